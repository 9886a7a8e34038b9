#!/bin/sh
# Who may include whom: generated -> attn_kernel.h and simd/ (and what a product sees); gen ->
# runtime's spec, cpu and kernel headers; runtime -> never gen; only lua_host.c sees Lua; templates
# decide nothing that belongs to the plan.
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
    forbid '#include *[<"](\.\./)*gen/|#include "(emit|plan|model|lua_host|expr/|util)' \
        "the runtime includes the generator" $(find runtime -name '*.[ch]')
    forbid '#include *<(lua|lualib|lauxlib)\.h>' "Lua outside gen/lua_host.c" \
        $(find gen runtime tests -name '*.[ch]' ! -path gen/lua_host.c)
    forbid '#include "(dispatch|reference|simd/[a-z0-9]+)\.h"' \
        "the generator includes more of the runtime than spec, cpu and attn_kernel" \
        $(find gen -maxdepth 1 -name '*.[ch]') $(find gen/expr -name '*.[ch]' ! -name '*interval*' \
        ! -name cond.c ! -name expr_internal.h)
    for f in generated/attn_*.c; do
        [ -e "$f" ] || continue
        extra=$(grep -E '^#include' "$f" |
            grep -vE '"\.\./runtime/(attn_kernel|simd/(portable|avx2|avx512|minmax))\.h"' || true)
        [ -z "$extra" ] || fail "$f: $extra"
    done
    forbid 'cblas|immintrin|_mm(256|512)?_' "a template names an instruction set's intrinsics" \
        $(find templates -name '*.tpl')
    forbid '\b(printf|malloc|calloc|realloc|free|abort|exit)\(' "a kernel template allocates or prints" \
        $(find templates -name '*.c.tpl' ! -name 'selftest.c.tpl')
}
# Axis values live in their own file and in the tables: no other template names one.
for value in full_self sliding_self segment_cross sdpa flex mla; do
    hits=$(grep -rlw --include='*.tpl' "$value" templates |
        grep -vE "/($value|$value)(_tile)?\.c\.tpl$" | grep -v 'templates/kernel.c.tpl' || true)
    for f in $hits; do
        # Comments may name an axis; code may not branch on it.
        if grep -nE "^\\$.*[\"']$value[\"']" "$f"; then fail "$f branches on $value"; fi
    done
done
[ $status = 0 ] && echo "layers: ok"
exit $status
