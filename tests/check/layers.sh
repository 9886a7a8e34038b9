#!/bin/sh
# Who may include whom: generated and a model's products -> attn_kernel.h and simd/; gen ->
# runtime's spec, op, cpu and kernel headers; runtime -> never gen; only the room lua sees Lua;
# templates decide nothing that belongs to the plan. No source is compiled by nobody.
set -eu
status=0
fail() {
    echo "layers: $1" >&2
    status=1
}
forbid() { # forbid PATTERN WHAT FILES..
    pattern=$1 what=$2
    shift 2
    found=$(grep -nE "$pattern" "$@" 2>/dev/null || true)
    [ -z "$found" ] || fail "$what:
$found"
}
# shellcheck disable=SC2046
{
    rooms=$(find gen -mindepth 1 -type d -printf '%P|')
    forbid '#include *[<"](\.\./)*gen/|#include "(util\.h|('"${rooms%|}"')/[a-z_]+\.h")' \
        "the runtime includes the generator" $(find runtime -name '*.[ch]')
    forbid '#include *<(lua|lualib|lauxlib)\.h>' "Lua outside gen/lua" \
        $(find gen runtime tests -name '*.[ch]' ! -path 'gen/lua/*')
    forbid '#include "(dispatch|reference|simd/[a-z0-9]+)\.h"' \
        "the generator includes more of the runtime than spec, cpu and attn_kernel" \
        $(find gen -name '*.[ch]' ! -path 'gen/lab/*' ! -path 'gen/verify/*' ! -path 'gen/expr/*') \
        $(find gen/expr -name '*.[ch]' ! -name '*interval*' \
        ! -name cond.c ! -name expr_internal.h)
    forbid 'attn_mask_(at|value|row|stride)' "the reference reads masks as the kernels do" \
        runtime/reference.c
    isas=$(sed -n 's/^ATTN_ISA_ROW([A-Z0-9_]*, "\([a-z0-9]*\)".*/\1|/p' runtime/isa.def | tr -d '\n')
    for f in generated/attn_*.c; do
        [ -e "$f" ] || continue
        extra=$(grep -E '^#include' "$f" |
            grep -vE '"runtime/(attn_kernel|simd/('"$isas"'minmax))\.h"' || true)
        [ -z "$extra" ] || fail "$f: $extra"
        prefix=$(sed -n 's/.*Statics begin with \(k[0-9a-f]*_\)\..*/\1/p' "$f")
        shadows=$(grep -E "(^ +|[(,] *)(const )?[a-z_0-9]+ \**$prefix[a-z_0-9]+( =|[;,)])" "$f" |
            grep -vE '(return|sizeof) ' || true)
        [ -z "$shadows" ] || fail "$f: a local has the name of a function, and its prefix: $shadows"
    done
    forbid 'cblas|immintrin|_mm(256|512)?_' "a template names an instruction set's intrinsics" \
        $(find templates -name '*.tpl')
    forbid '\b(printf|malloc|calloc|realloc|free|abort|exit)\(' "a kernel template allocates or prints" \
        $(find templates -name '*.c.tpl' ! -name 'selftest.c.tpl')
}
# The rooms of gen/, lowest first. A file includes and calls what lies in its own room and in those
# before it. base: what lies flat in gen/ and every room may use; program: what uses every room.
rooms="runtime base lua expr spec import plan output show lab verify program"
room_of() { # room_of FILE: the room that a source, header or object belongs to
    case $1 in
    gen/main.* | gen/cli.* | gen/help.*) echo program ;;
    gen/*/*) path=${1#gen/} && echo "${path%%/*}" ;;
    gen/*) echo base ;;
    runtime/*) echo runtime ;;
    *) echo base ;; # embedded.c, written by the build
    esac
}
rank_of() {
    rank=0
    for room in $rooms; do
        rank=$((rank + 1))
        [ "$room" != "$1" ] || break
    done
    echo $rank
}
upward() { # upward WHAT: reads "FROM TO" lines, files; fails where TO's room lies above FROM's
    while read -r from to; do
        a=$(room_of "$from") b=$(room_of "$to")
        [ "$(rank_of "$b")" -le "$(rank_of "$a")" ] || echo "$from ($a) $1 $to ($b)"
    done
}
includes=$(for f in $(find gen -name '*.[ch]'); do
    sed -n 's/^#include "\([^"]*\)".*/\1/p' "$f" | while read -r name; do
        for at in "$(dirname "$f")/$name" "gen/$name" "runtime/$name"; do
            [ ! -e "$at" ] || { echo "$f $at" && break; }
        done
    done
done)
wrong=$(echo "$includes" | upward includes)
[ -z "$wrong" ] || fail "a room includes what lies above it:
$wrong"
objects=${BUILD:-build}/obj
if [ -d "$objects/gen" ]; then
    # "SYMBOL FILE" of what objects define, then "FILE SYMBOL" of what they call, joined.
    calls=$(find "$objects/gen" -name '*.o' ! -path '*/serial/*' | while read -r o; do
        f=${o#"$objects/"} && f=${f%.o}.c
        [ -e "$f" ] && nm "$o" | awk -v f="$f" 'NF == 3 && $2 ~ /[A-Z]/ {print "d", $3, f}
            NF == 2 && $1 == "U" {print "u", $2, f}'
    done | sort -k1,1 | awk '$1 == "d" {at[$2] = $3}
        $1 == "u" && ($2 in at) && at[$2] != $3 {print $3, at[$2]}' | sort -u)
    wrong=$(echo "$calls" | upward calls)
    [ -z "$wrong" ] || fail "a room calls what lies above it:
$wrong"
    wrong=$(echo "$calls" | grep '^[a-z/_0-9]*\.c [a-z/_0-9]*\.c$' | LC_ALL=C tsort 2>&1 >/dev/null || true)
    [ -z "$wrong" ] || fail "files call each other in a circle:
$wrong"
fi
# A source is built by make, or named by the script that compiles it. (The runtime's go into every
# folder, as they are.)
made=$(make -n BUILD=build/none programs)
for f in $(find gen tests -name '*.c'); do
    echo "$made" | grep -qF " $f" || grep -rqw --include='*.sh' -e "$(basename "$f" .c)" tests ||
        fail "$f is compiled by nobody"
done
# Only a layout forms addresses of elements of Q, K, V and O.
# shellcheck disable=SC2046
forbid '(->|\.)data \+|(->|\.)token\b' "a template forms an address past the layout's hooks" \
    templates/kernel.c.tpl templates/form/mla.c.tpl templates/form/regular.c.tpl \
    $(find templates/part templates/op templates/backend templates/engine templates/variant -name '*.tpl')
# A layer's panels, units and blocks of columns are its plan's (gen/plan/block_stages.c).
# shellcheck disable=SC2046
forbid '^[$].*//|[$][{][^}]*//' "a template of layers divides what its plan has divided" \
    templates/block.c.tpl $(find templates/block templates/form -name '*.tpl')
# One file, one job.
flat=$(find gen -maxdepth 1 -name '*.c' | wc -l)
[ "$flat" -le 6 ] || fail "$flat sources lie flat in gen/, and 6 may"
long=$(find gen runtime -name '*.c' | while read -r f; do
    [ "$(wc -l <"$f")" -le 650 ] || wc -l "$f"
done)
[ -z "$long" ] || fail "sources of more than 650 lines:
$long"
# Axis values live in their own file and in the tables: no other template names one.
for axis in form op backend variant layout engine; do
    for file in templates/"$axis"/*.c.tpl; do
        value=${file##*/} && value=${value%.c.tpl}
        hits=$(grep -rlwE "[\"']$value[\"']" --include='*.tpl' templates |
            grep -vE "/${value}(_[a-z_]+)?\.c\.tpl$" || true)
        for f in $hits; do
            # Text may name an axis; code may not branch on it.
            if grep -nE "^\\$.*[\"']$value[\"']" "$f"; then fail "$f branches on $value"; fi
        done
    done
done
# Who includes a list of rows defines what is made of all its kinds, or does not compile.
partial() { # partial LIST MACRO..
    list=$1
    shift
    if for macro; do echo "#define $macro(...)"; done | cat - "runtime/$list" |
        ${CC:-cc} -E -x c - >/dev/null 2>&1; then
        fail "runtime/$list: may be included with no other macro than: $*"
    fi
}
partial spec_fields.def
partial spec_fields.def ATTN_FIELD_ENUM ATTN_FIELD_INT ATTN_FIELD_BOOL ATTN_FIELD_FLOAT
partial spec_fields.def ATTN_FIELD_TEXT
partial model_fields.def
partial model_fields.def MODEL_ENUM MODEL_INT MODEL_BOOL MODEL_FLOAT
partial model_names.def
partial weight_names.def
partial weight_names.def NAME CONV1D BESIDE
[ $status = 0 ] && echo "layers: ok"
exit $status
