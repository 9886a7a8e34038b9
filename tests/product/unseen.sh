#!/bin/sh
# Keys that nobody sees: unseen.c for each kind of range, and sizes that 32 bits do not hold. On the
# widest instruction set; ATTN_FULL=1: on all.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
cc=${CC:-cc}
gen=$build/attn-gen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive
passed=0
failed=0
fail() {
    failed=$((failed + 1))
    echo "FAIL: $*"
}
unseen() { # unseen ISA KIND FLAGS..
    isa=$1 kind=$2
    shift 2
    dir=$work/$kind-$isa
    "$gen" generate --heads 2 --head-dim 64 "$@" --isa "$isa" --name k -o "$dir" >/dev/null || {
        fail "$kind: not generated"
        return
    }
    kernel=$(cd "$dir" && ls attn_*.c)
    flags="-std=gnu11 -O1 -g -fopenmp ${UNSEEN_CFLAGS:-}"
    # The runtime of all is the same.
    [ -d "$work/runtime" ] || sh tests/product/objects.sh "$work/runtime" "$flags" "$dir"/runtime/*.c || {
        fail "the runtime: not compiled"
        return
    }
    # shellcheck disable=SC2086
    "$cc" $flags -DKERNEL="\"$kernel\"" -I"$dir" -I"$dir/runtime" \
        tests/product/unseen.c "$dir/registry.c" "$work"/runtime/*.o -lm -o "$dir/unseen" || {
        fail "$kind: not compiled"
        return
    }
    out=$("$dir/unseen" "$kind" 2>&1)
    status=$?
    printf '%s\n' "$out" | grep FAIL
    [ $status -lt 2 ] || fail "unseen $kind, $isa: exit $status (139: it touched keys that nobody sees)"
    # shellcheck disable=SC2046
    set -- $(printf '%s\n' "$out" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p') 0 0
    passed=$((passed + $1)) failed=$((failed + $2))
}
widest=portable
for isa in avx2 avx512; do
    grep -q "$isa" /proc/cpuinfo && widest=$isa
done
isas=$widest
[ -z "${ATTN_FULL:-}" ] || isas="portable avx2 avx512"
for isa in $isas; do
    unseen "$isa" slide --op sliding_self --window 255
    [ -z "${ATTN_FULL:-}" ] ||
        unseen "$isa" ahead --op sliding_self --window 20 --causal false --right-window 9
    unseen "$isa" far --op sliding_self --window 255
    unseen "$isa" near --backend flex --mask 'q - k < 100'
    unseen "$isa" block --backend flex --mask 'k >= q // 64 * 64'
    unseen "$isa" cross --op segment_cross --lookback 40
    unseen "$isa" full
done
if command -v i686-linux-gnu-gcc >/dev/null 2>&1; then
    dir=$work/sizes
    "$gen" generate --heads 8 --head-dim 128 --causal false --isa portable --name k -o "$dir" >/dev/null
    if i686-linux-gnu-gcc -std=gnu11 -O0 -msse2 -mfpmath=sse -static -I"$dir" -I"$dir/runtime" \
        tests/product/sizes.c "$dir"/attn_*.c "$dir/registry.c" "$dir"/runtime/*.c -lm -o "$dir/sizes" &&
        "$dir/sizes"; then :; else fail "sizes, i686"; fi
else
    echo "skipped i686: no i686-linux-gnu-gcc"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
