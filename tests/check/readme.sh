#!/bin/sh
# README.md shows what its sources say: each "<!-- begin NAME -->" block is what `block NAME` prints
# today. A stale block is a failure, with a diff; `readme.sh --write` brings the page up to date.
set -eu
cd "$(dirname "$0")/../.."
gen=${BUILD:-build}/attn-gen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fenced() { # fenced LANGUAGE: the standard input as a code block
    printf '```%s\n' "$1"
    cat
    printf '```\n'
}

fields() { # the rows of spec_fields.def as a table
    cat >"$work/fields.c" <<'C'
#include <stdint.h>
#include <stdio.h>
#include <string.h>
enum { ATTN_UNSET = INT32_MIN };
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
            match($0, /^function [a-z_]+\([^)]*\)/)
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

block() {
    case $1 in
    fields) fields ;;
    helpers) helpers ;;
    statuses) statuses ;;
    my.lua) fenced lua <tests/product/my.lua ;;
    example.c) fenced c <tests/product/example.c ;;
    layer.lua) fenced lua <tests/product/layer.lua ;;
    layer.c) fenced c <tests/product/layer.c ;;
    output) # expected.txt, with the tile of AVX2's kernels
        tile=$("$gen" explain tests/product/my.lua --isa avx2 | sed -n 's/.*__\(avx2_[a-z0-9]*\)\.c.*/\1/p' |
            head -n 1)
        sed "s/ISA_TILE/$tile/" tests/product/expected.txt | fenced ""
        ;;
    models) "$gen" models | fenced "" ;;
    explain) # without the lines that a reader of README.md can do without
        "$gen" explain --op sliding_self --window 255 --heads 8 --head-dim 64 --isa avx2 \
            --q-len 4096 --kv-len 4096 >"$work/explain" || exit 1
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
demo

while IFS= read -r line; do
    case $line in
    '<!-- begin '*)
        inside=${line#<!-- begin }
        inside=${inside% -->}
        printf '%s\n' "$line"
        block "$inside" </dev/null
        ;;
    '<!-- end -->')
        inside=
        printf '%s\n' "$line"
        ;;
    *) [ -n "${inside:-}" ] || printf '%s\n' "$line" ;;
    esac
done <README.md >"$work/README.md"

if [ "${1:-}" = --write ]; then
    cmp -s README.md "$work/README.md" || cp "$work/README.md" README.md
elif ! diff -u README.md "$work/README.md"; then
    echo "readme: stale: run sh tests/check/readme.sh --write" >&2
    exit 1
fi
echo "readme: ok"
