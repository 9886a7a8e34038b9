#!/bin/sh
# The pages (README.md of the rooms, runtime/CONTRACT.md, notes) show what their sources say: each
# "<!-- begin NAME -->" block is what `block NAME` prints today; links lead somewhere, files and code
# that are named exist, rules that are named by number stand in CONTRACT.md, and every stage of
# tests/run.sh has its row. A stale block is a failure, with a diff; `readme.sh --write` brings it up to date, but
# for what a command that fails has said: that is no page's text, and fails.
set -eu
cd "$(dirname "$0")/../.."
gen=${BUILD:-build}/attn-gen
contract=runtime/CONTRACT.md
pages=$(find README.md gen runtime templates tests -name '*.md' | sort)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fenced() { # fenced LANGUAGE: the standard input as a code block
    printf '```%s\n' "$1"
    cat
    printf '```\n'
}

whole_fields() { # the rows of model_fields.def as a table
    cat >"$work/whole.c" <<'C'
#include <stdint.h>
#include <stdio.h>
#include "types.def"
#include "weight_types.def"
#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x
static void row(const char *name, const char *values, const char *missing, const char *help) {
    printf("| `%s` | ", name);
    for (; *values; values++) *values == '|' ? (void)printf(", ") : (void)putchar(*values);
    printf(" | %s | %s |\n", missing, help);
}
static void choice(const char *name, const char *values, const char *help) {
    char first[32];
    sscanf(values, "%31[^|]", first);
    row(name, values, first, help);
}
int main(void) {
    puts("| key | values | default | meaning |\n|---|---|---|---|");
#define MODEL_ENUM(name, missing, values, help) choice(#name, values, help);
#define MODEL_INT(name, lowest, highest, missing, help) \
    row(#name, "integer from " #lowest, missing < lowest ? "" : #missing, help);
#define MODEL_BOOL(name, missing, help) row(#name, "true|false", missing ? "true" : "false", help);
#define MODEL_FLOAT(name, lowest, missing, help) row(#name, "number", #missing, help);
#define MODEL_FLOATS(name, help) row(#name, "list of numbers", "{ }", help);
#include "model_fields.def"
}
C
    ${CC:-cc} -Iruntime -o "$work/whole" "$work/whole.c"
    "$work/whole"
}

fields() { # the rows of spec_fields.def as a table
    cat >"$work/fields.c" <<'C'
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "types.def"
#include "weight_types.def"
enum { ATTN_UNSET = INT32_MIN, ATTN_TYPE_F32 = 0, ATTN_KV_TYPE_SAME = 0, ATTN_O_TYPE_SAME = 0, ATTN_DOT_AUTO = 0, ATTN_WEIGHT_F32 = 0, ATTN_WEIGHT_REST_AUTO = 0 };
static const char *const places[][2] = {
    {"ATTN_IN_BLOCK", "layers"}, {"ATTN_IN_REGULAR", "regular"}, {"ATTN_IN_MLA", "mla"},
    {"ATTN_IN_SELF", "full_self, sliding_self"}, {"ATTN_IN_SLIDING", "sliding_self"},
    {"ATTN_IN_CROSS", "segment_cross"}, {"flex", "flex"}};
static void row(const char *name, char id, const char *values, const char *dflt,
                const char *applies, const char *help) {
    printf("| `%s` | ", name);
    if (id != ' ') printf("`%c`", id);
    printf(" | ");
    for (; *values; values++) *values == '|' ? (void)printf(", ") : (void)putchar(*values);
    printf(" | %s | ", strstr(dflt, "UNSET") ? "" : dflt);
    const char *separator = strcmp(applies, "0") ? "" : "all";
    for (int i = 0; i < 7; i++) {
        if (!strstr(applies, places[i][0])) continue;
        printf("%s%s", separator, places[i][1]);
        separator = "; ";
    }
    if (!strcmp(separator, "all")) printf("all");
    printf(" | ");
    for (; *help; help++) *help == '|' ? (void)printf("\\|") : (void)putchar(*help);
    printf(" |\n");
}
static const char *highest(const char *text) {
    return strcmp(text, "INT32_MAX") ? text : "2147483647";
}
static void number(const char *name, char id, const char *low, const char *high, const char *dflt,
                   const char *applies, const char *help) {
    char values[64];
    snprintf(values, sizeof values, "%s .. %s", low, highest(high));
    row(name, id, values, dflt, applies, help);
}
static void choice(const char *name, char id, const char *values, int dflt, const char *applies,
                   const char *help) {
    char first[32] = "";
    for (const char *v = values; dflt >= 0; v += strcspn(v, "|") + 1, dflt--)
        snprintf(first, sizeof first, "%.*s", (int)strcspn(v, "|"), v);
    row(name, id, values, first, applies, help);
}
int main(void) {
    puts("| key | letter | values | default | where | meaning |\n|---|---|---|---|---|---|");
#define ATTN_FIELD_ENUM(name, id, values, dflt, applies, help) \
    choice(#name, id, values, dflt, #applies, help);
#define ATTN_FIELD_INT(name, id, low, high, dflt, applies, help) \
    number(#name, id, #low, #high, #dflt, #applies, help);
#define ATTN_FIELD_BOOL(name, id, dflt, applies, help) \
    row(#name, id, "true|false", (dflt) == 1 ? "true" : (dflt) == 0 ? "false" : "", #applies, help);
#define ATTN_FIELD_FLOAT(name, id, applies, help) row(#name, id, "number", "", #applies, help);
#define ATTN_FIELD_TYPES(name, id, applies, help) row(#name, id, "NAME=TYPE; ..", "", #applies, help);
#define ATTN_FIELD_TEXT(name, help) row(#name, ' ', "expression", "", "flex", help);
#define ATTN_FIELD_LIST(name, help) row(#name, ' ', "declarations", "", "flex", help);
#include "spec_fields.def"
}
C
    ${CC:-cc} -Iruntime -o "$work/fields" "$work/fields.c"
    "$work/fields"
}

helpers() { # prelude.lua: each function with the comment before it
    printf '| helper | meaning |\n|---|---|\n'
    awk '/^-- / {text = text (text ? " " : "") substr($0, 4); next}
        /^function / {
            match($0, /^function [a-z0-9_]+\([^)]*\)/)
            printf "| `%s` | %s |\n", substr($0, 10, RLENGTH - 9), text
        }
        {text = ""}' gen/lua/prelude.lua
}

statuses() { # attn.h: each status with its comment
    printf '| status | meaning |\n|---|---|\n'
    sed -n '/^typedef enum attn_status/,/^}/p' runtime/attn.h | tr -s ' \n' '  ' |
        sed 's/ATTN_STATUS_COUNT.*//; s/.*ATTN_OK = 0,/ATTN_OK,/; s|/\*|\t|g; s|\*/|\n|g; s/ATTN_OK,/&\tdone\n/' |
        sed -nE 's/^ *(ATTN_[A-Z_]+),? *\t *(.*[^ ]) *$/| `\1` | \2 |/p'
}

families() { # rows of hf_families.json as a table: types of equal words share a row
    awk '/^"(wrappers|out_of_reach|class_ends|families)":/ {part = $1}
        part == "\"wrappers\":" && /^  "[^"]+": \{/ {split($0, a, "\""); add(a[2], "the layers of the text model inside, of whichever family it is")}
        part == "\"out_of_reach\":" && /^  "/ {split($0, a, "\""); far[++m] = "`" a[2] "`"}
        part == "\"families\":" && /^"[^"]+": \{/ {split($0, a, "\""); name = a[2]}
        part == "\"families\":" && /^  "words": "|, "words": "/ {
            sub(/.*"words": "/, ""); sub(/",?$/, ""); add(name, $0)
        }
        function add(n, w) {
            if (!(w in seen)) words[seen[w] = ++count] = w
            i = seen[w]; names[i] = names[i] (names[i] ? ", " : "") "`" n "`"
        }
        END {
            print "| `model_type` | what its layers are |\n|---|---|"
            for (i = 1; i <= count; i++) if (words[i] !~ /^the layers of the text/) print "| " names[i] " | " words[i] " |"
            i = seen["the layers of the text model inside, of whichever family it is"]
            print "| " names[i] " | " words[i] " |"
            for (i = 1; i <= m; i++) all = all (i > 1 ? ", " : "") far[i]
            print "| " all " | refused, with the reason |"
        }' gen/import/hf_families.json
}

block() {
    case $1 in
    fields) fields ;;
    families) families ;;
    helpers) helpers ;;
    statuses) statuses ;;
    my.lua) fenced lua <tests/product/my.lua ;;
    example.c) fenced c <tests/product/example.c ;;
    tokens.c) fenced c <tests/product/tokens.c ;;
    tokens.cpp) fenced cpp <tests/product/tokens.cpp ;;
    tokens.py) fenced python <tests/product/tokens.py ;;
    model-fields) whole_fields ;;
    layer.lua) fenced lua <tests/product/layer.lua ;;
    layer.c) fenced c <tests/product/layer.c ;;
    output) # expected.txt, with the tile of AVX2's kernels
        tile=$("$gen" explain tests/product/my.lua --isa avx2 | sed -n 's/.*__\(avx2_[a-z0-9]*\)\.c.*/\1/p' |
            head -n 1)
        [ -n "$tile" ] || return 1
        sed "s/ISA_TILE/$tile/" tests/product/expected.txt | fenced ""
        ;;
    op_range) # the lines that hold the window
        "$gen" generate --op sliding_self --window 255 --heads 8 --head-dim 64 --isa avx2 --dump c \
            >"$work/kernel" || return 1
        grep -m 1 -A1 'from = p - 255' "$work/kernel" | fenced c
        ;;
    models)
        "$gen" models >"$work/models" || return 1
        fenced "" <"$work/models"
        ;;
    explain) # without the lines that a reader can do without
        "$gen" explain --op sliding_self --window 255 --heads 8 --head-dim 64 --isa avx2 \
            --q-len 4096 --kv-len 4096 >"$work/explain" || return 1
        grep -vE '^$|layers:|spec:|bytes of C|generated C|1 layer' "$work/explain" | fenced ""
        ;;
    *) echo "readme: no block '$1'" >&2 && return 1 ;;
    esac
}

# Of what `make demo` prints, which is too slow to run here: the kernels of its model, and the
# bench's columns, are those that the page shows.
demo() {
    ok=0
    for kernel in $(sed -n '/^2\. Compiled/,/^```/p' README.md | grep -o 'attn_[A-Za-z0-9_]*__avx2_[a-z0-9]*'); do
        "$gen" explain tiny --isa avx2 | grep -q "$kernel\.c" || { echo "readme: demo: $kernel" >&2 && ok=1; }
    done
    columns=$(sed -n '/%3s.*"case"/{s/^[^,]*,//; p; n; p}' tests/bench/report.c | grep -o '"[^"]*"' | tr -d '"')
    # shellcheck disable=SC2086
    [ "$(grep '^case  ' README.md | tr -s ' ')" = "$(echo $columns)" ] || {
        echo "readme: demo: the bench's columns are" $columns >&2
        ok=1
    }
    return $ok
}

# --- Links and names ---

prose() { awk '/^```/ {code = !code} !code && !/^    /' "$1"; } # prose PAGE: without its code
anchors() { # anchors PAGE: what its headings are called in links
    prose "$1" | sed -n 's/^##* //p' | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}
links() { # links PAGE: every relative one leads somewhere
    prose "$1" | grep -oE '\]\([^)]*\)' | sed 's/^](//; s/)$//' | grep -v '^https*:' | while read -r link; do
        to=${link%%#*}
        page=$1
        [ -z "$to" ] || page=$(dirname "$1")/$to
        if [ ! -e "$page" ]; then
            echo "$1: no file '$to'"
        elif [ "$to" != "$link" ] && ! anchors "$page" | grep -qx "${link#*#}"; then
            echo "$1: no heading '${link#*#}' in $page"
        fi
    done
}
# names PAGE: files of this tree that it names, from the root or beside it, exist. Capitals stand
# for what is to be filled in.
names() {
    grep -oE '(^|[^A-Za-z0-9_./-])(gen|runtime|templates|tests|generated)/[A-Za-z0-9_./*-]*[A-Za-z0-9_*]' "$1" |
        sed 's/^[^a-z]//' | sort -u | while read -r name; do
        case $name in *NAME* | *..*) continue ;; esac
        # shellcheck disable=SC2086
        ls -d $name >/dev/null 2>&1 || echo "$1: no file '$name'"
    done
    prose "$1" | grep -oE '`[a-z_]+/[a-z_./-]*\.(c|h|sh|md|def|lua|json|py|tpl|safetensors)`' | tr -d '`' | sort -u |
        while read -r name; do
            case $name in build/*) continue ;; esac
            [ -e "$name" ] || [ -e "$(dirname "$1")/$name" ] || echo "$1: no file '$name'"
        done
}
# words PAGE: names in backticks, of functions, fields and files, stand somewhere in the tree. Capitals
# are to be filled in; names of kernels and parts of them are examples, and a model's.
{
    grep -rhoE --include='*.[ch]' --include='*.def' --include='*.inc' --include='*.lua' --include='*.tpl' --include='*.sh' \
        --include='*.py' --include='*.mk' --include='*.json' --include=Makefile '[A-Za-z_][A-Za-z0-9_]+' gen runtime templates tests Makefile
    find gen runtime templates tests -type f | sed 's|.*/||' | grep -oE '[A-Za-z_][A-Za-z0-9_]+'
    printf 'w255\nmath_model\n_gguf\n'
} | sort -u >"$work/words"
words() {
    case $1 in README.md | tests/bench/*) return ;; esac # of texts and machines
    prose "$1" | grep -oE '`[^`]+`' | grep -vE 'NAME|FORM|f32_[a-z]+' | grep -oE '[A-Za-z_][A-Za-z0-9_]+' | sort -u |
        comm -23 - "$work/words" | sed "s|^|$1: nothing in the tree is called |"
}
# rules: a "rule N" in code or text is one of CONTRACT.md, which its file names.
rules() {
    grep -rnoE --include='*.[ch]' --include='*.sh' --include='*.py' --include='*.tpl' --include='*.def' --include='*.md' \
        '\b[Rr]ules? [0-9]+' gen runtime templates tests README.md | while IFS=: read -r file line text; do
        grep -q 'CONTRACT\.md' "$file" || [ "$file" = $contract ] || echo "$file:$line: $text: of $contract? say so"
        grep -q "^- \*\*${text##* }\. " $contract || echo "$file:$line: $text: $contract has none"
    done
}
# stages: each of run.sh has a row in tests/README.md, and no row is left over.
stages() {
    sh tests/run.sh --list | sort >"$work/stages"
    sed -n '/^## Stages/,/^## /s/^| \([a-z][a-z0-9-]*\) |.*/\1/p' tests/README.md | grep -vx stage | sort >"$work/rows"
    diff "$work/stages" "$work/rows" | sed -n 's/^</tests\/README.md: no row for stage/p; s/^>/tests\/README.md: no such stage:/p'
}

# generated PAGE: what it shows of `generate` is what that prints, the number of files too. (Other
# commands take longer: tests/product/session.sh.)
mkdir -p "$work/tree/build"
ln -s "$PWD/tests" "$work/tree/tests"
ln -s "$(cd "$(dirname "$gen")" && pwd)/attn-gen" "$work/tree/build/attn-gen"
generated() {
    awk '/^    \$ / {command = /^    \$ build\/attn-gen generate / ? substr($0, 7) : ""; next}
        command && /^    .* files in build\// {print command; print substr($0, 5); command = ""}
        !/^    / {command = ""}' "$1" >"$work/generate"
    while read -r command && IFS= read -r want; do
        (cd "$work/tree" && sh -c "$command") >"$work/got" 2>&1 && failed=0 || failed=$?
        got=$(tail -n 1 "$work/got") # notes come before it
        if [ "$got" = "$want" ]; then
            continue
        elif [ $failed != 0 ] || ! grep -q ' files in build/' "$work/got"; then
            echo "$1: \$ $command: fails: $got"
        elif [ "$2" = --write ]; then
            awk -v want="    $want" -v got="    $got" '$0 == want {$0 = got} {print}' "$1" >"$work/page"
            cp "$work/page" "$1"
        else
            echo "$1: \$ $command: prints $got"
        fi
    done <"$work/generate"
}
refresh() { # refresh PAGE: with its blocks as they are today
    while IFS= read -r line; do
        case $line in
        '<!-- begin '*)
            inside=${line#<!-- begin }
            inside=${inside% -->}
            printf '%s\n' "$line"
            block "$inside" </dev/null || { echo "readme: $1: block $inside: cannot be made" >&2 && exit 1; }
            ;;
        '<!-- end -->')
            inside=
            printf '%s\n' "$line"
            ;;
        *) [ -n "${inside:-}" ] || printf '%s\n' "$line" ;;
        esac
    done <"$1"
}
status=0
for page in $(grep -l '^<!-- begin ' $pages); do
    refresh "$page" >"$work/page"
    if [ "${1:-}" = --write ]; then
        cmp -s "$page" "$work/page" || cp "$work/page" "$page"
    elif ! diff -u "$page" "$work/page"; then
        echo "readme: $page is stale: run sh tests/check/readme.sh --write" >&2
        status=1
    fi
done
demo || status=1
{
    for page in $pages; do links "$page" && names "$page" && words "$page"; done | sort -u
    # A product gets this page, and nothing of this tree beside it but runtime/.
    grep -n '](\.\.' $contract | sed "s|^|$contract: leads out of runtime/: |"
    for page in $pages; do generated "$page" "${1:-}"; done
    rules
    stages
} >"$work/wrong"
if [ -s "$work/wrong" ]; then
    sed 's/^/readme: /' "$work/wrong" >&2
    status=1
fi
[ $(($(wc -c <README.md))) -lt 23000 ] || { echo "readme: README.md is for newcomers: 23,000 bytes" >&2 && status=1; }
[ $status = 0 ] && echo "readme: ok"
exit $status
