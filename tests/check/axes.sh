#!/bin/sh
# Adding to an axis is a row and a file. In a copy of the tree this test adds an op (`first_key`,
# where a query sees key 0 only), an instruction set (`twin`, portable.h under another name) and a
# storage type (`pair`, bf16 under another name), counts the files that each touched, and holds the
# result to what the axis promises. The op's kernels and layers pass their selftest in both forms and
# backends and agree with the oracle of the property tests; banner, explain and the tiles it counts
# say what it does. The instruction set is generated, chosen by its rank and built, also into a
# single file. Kernels of the storage type carry its name and pass their selftest.
set -eu
root=$(pwd)
jobs=$(nproc 2>/dev/null || echo 2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r gen templates runtime Makefile "$work"
mkdir -p "$work/tests/bench" "$work/tests/property"
cp tests/bench/bench.mk "$work/tests/bench"
cp tests/property/*.[ch] "$work/tests/property"
cd "$work"
fail() {
    echo "axes: $1" >&2
    exit 1
}
before() { # before FILE LINE: puts what it reads before the first line that begins so
    cat >text
    awk -v at="$2" 'index($0, at) == 1 && !done {while ((getline line < "text") > 0) print line; done = 1}
        {print} END {exit !done}' "$1" >new || fail "$1 has no line that begins with: $2"
    mv new "$1"
}
touched() { # files of the tree that an addition has touched so far
    for d in gen templates runtime; do diff -rq "$root/$d" "$d" || true; done | grep -c .
}

# --- An op: its name, its rule, its template; for the test, an oracle's restatement.
sed -i 's/full_self|sliding_self|segment_cross/&|first_key/' runtime/spec_fields.def
sed -i 's/ATTN_OP_SEGMENT_CROSS }/ATTN_OP_SEGMENT_CROSS, ATTN_OP_FIRST_KEY }/' runtime/attn.h
before runtime/op.c '/* In the order of attn_op. */' <<'T'
static attn_op_reach first_reach(const attn_spec *s) {
    (void)s;
    return (attn_op_reach){ATTN_FAR, ATTN_FAR, 1};
}

static attn_keys first_keys(const attn_spec *s, int64_t place) {
    (void)s, (void)place;
    return (attn_keys){0, 0};
}

static void first_words(const attn_spec *s, char text[ATTN_OP_WORDS_MAX]) {
    (void)s;
    snprintf(text, ATTN_OP_WORDS_MAX, "every query sees key 0");
}

T
before runtime/op.c '};' <<'T'
    {.fields = ATTN_IN_SELF, .reach = first_reach, .keys = first_keys, .words = first_words},
T
cat >templates/op/first_key.c.tpl <<'T'
/* op first_key: every query sees key 0. */
static inline void op_range(const item *x, int32_t i, int32_t *lo, int32_t *hi) {
    (void)i;
    *lo = 0;
    *hi = x->kv_len > 0 ? 0 : -1;
}
T
op_files=$(touched)

# --- An instruction set: its row and its vocabulary. The last row, and not the best of all.
before runtime/isa.def '#undef' <<'T'
ATTN_ISA_ROW(TWIN, "twin", ANY, 10, NULL, true, 4, 16, "vector", PORTABLE)
T
sed 's/SIMD_PORTABLE_H/SIMD_TWIN_H/' runtime/simd/portable.h >runtime/simd/twin.h
isa_files=$(($(touched) - op_files))

# --- For the test: an oracle's restatement, and problems.
before gen/lab/oracle.c '    if (spec->op == ATTN_OP_SEGMENT_CROSS) {' <<'T'
    if (spec->op == ATTN_OP_FIRST_KEY) {
        *hi = 0;
        return;
    }
T
before tests/property/specs.c '    {"window0"' <<'T'
    {"first_key", "op=first_key;heads=4;kv_heads=2;head_dim=16;sinks=true", 0, 0, 0, 0},
T

make -s -j "$jobs" build/attn-gen build/property CFLAGS=-O0 >/dev/null
check() { # check PASSED FLAGS..: what is generated from these passes its selftest
    passed=$1
    shift
    build/attn-gen generate "$@" --op first_key --heads 2 --isa portable -o out >/dev/null
    grep -q '^ \* Keys: every query sees key 0, below kv_len\[b\]\.$' out/attn_*.c ||
        fail "a banner does not say which keys are visible: $*"
    make -s -j "$jobs" -C out selftest CFLAGS=-O1 OPENMP= | tail -1 |
        grep -q "^$passed passed, 0 failed, 0 skipped" || fail "a selftest: $*"
    rm -rf out
}
for backend in sdpa flex; do
    check 1 --form regular --head-dim 16 --backend $backend
    check 1 --form mla --kv-comp-dim 16 --retr-dim 8 --backend $backend
done
# A layer's selftest runs its core, and then the layer in one call and in steps.
check 2 --level block --d-model 24 --form regular
check 2 --level block --d-model 24 --form mla --head-dim 12 --kv-comp-dim 16 --retr-dim 8 \
    --q-comp-dim 10
# With key = shared, a second core serves many rows, where keys are not absorbed.
check 3 --level block --d-model 24 --form mla --key shared --head-dim 12 --kv-comp-dim 16 \
    --retr-dim 8
# 48 queries x 256 keys in tiles of 12 x 128: key 0 lies in the first block.
build/attn-gen explain --op first_key --heads 2 --head-dim 16 --isa portable --q-len 48 \
    --kv-len 256 >explained
for line in 'op=first_key' 'tiles of 12 queries x 128 keys: 4 skipped, 0 full, 4 partial$' \
    'visible pairs a head: 48;'; do
    grep -q "$line" explained || fail "explain does not say: $line"
done
build/property --test sweep --spec first_key --isa portable --shapes 40 --cflags -O1 >swept ||
    fail "an op's kernels and the oracle: $(cat swept)"
grep -q ' 0 failed$' swept || fail "an op's kernels and the oracle: $(cat swept)"
[ "$op_files" -le 4 ] || fail "an op touched $op_files files"
echo "axes: an op was added in $op_files files, and runs in both forms and backends, also as a layer"

build/attn-gen generate --isa portable,twin --level block --d-model 24 --heads 2 -o out >/dev/null
grep -q '^#include "runtime/simd/twin\.h"$' out/attn_*__twin_*.c || fail "no kernel has the twin's header"
make -s -j "$jobs" -C out selftest CFLAGS=-O1 OPENMP= | tail -1 |
    grep -q "^4 passed, 0 failed, 0 skipped" || fail "the twin's selftest"
rm -rf out
cat >plan.c <<'T'
#include "k.h"
#include <stdio.h>
int main(void) {
    attn_plan *plan;
    if (attn_plan_create(&plan, &k_layer[0], 0) != ATTN_OK) return 1;
    puts(attn_plan_kernel(plan, 9));
    attn_plan_destroy(plan);
    return 0;
}
T
build/attn-gen generate --heads 2 --head-dim 8 --name k --single-file -o out >/dev/null
${CC:-cc} -O1 -Iout plan.c out/k.c -lm -o plan
chosen() { # chosen ISA ATTN_ISA: what a plan takes
    name=$(ATTN_ISA=$2 ./plan)
    case $name in *"__$1_"*) ;; *) fail "ATTN_ISA=$2 chooses $name" ;; esac
}
chosen portable portable
chosen twin twin
if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
    chosen avx2 avx2
    case $(ATTN_ISA= ./plan) in *__twin_*) fail "the last row is taken for the best" ;; esac
fi
build/attn-gen generate --help | grep -q 'portable, avx2, avx512, twin' || fail "--isa's help"
[ "$isa_files" -le 2 ] || fail "an instruction set touched $isa_files files"
echo "axes: an instruction set was added in $isa_files files, and is generated, chosen and run"
rm -rf out

# A storage type is a row and a header: `pair`, a twin of bf16.
for d in gen templates runtime; do rm -rf "before/$d" && mkdir -p before && cp -r "$d" before; done
sed -i 's/^    TYPE(BF16, \(.*\))$/    TYPE(BF16, \1) \\\n    TYPE(PAIR, pair, 16, 8, pair, "BF16", "BF16")/' runtime/types.def
sed 's/bf16/pair/g; s/BF16/PAIR/g' runtime/simd/bf16.h >runtime/simd/pair.h
type_files=$(for d in gen templates runtime; do diff -rq "before/$d" "$d" || true; done | grep -c .)
make -s -j "$jobs" build/attn-gen CFLAGS=-O0 >/dev/null
for how in "--head-dim 16" "--op segment_cross --lookback 2 --head-dim 12 --backend flex"; do
    # shellcheck disable=SC2086
    build/attn-gen generate --heads 2 $how --kv-type pair --isa native -o out >/dev/null
    ls out/attn_f32_kvpair_*__portable_*.c >/dev/null || fail "no name has the type"
    grep -q '^#include "runtime/simd/pair\.h"$' out/attn_*__portable_*.c || fail "no kernel has the type's header"
    make -s -j "$jobs" -C out selftest CFLAGS=-O1 OPENMP= | tail -1 |
        grep -Eq "^[1-9] passed, 0 failed, 0 skipped" || fail "the type's selftest: $how"
    rm -rf out
done
[ "$type_files" -le 2 ] || fail "a storage type touched $type_files files"
echo "axes: a storage type was added in $type_files files, and its kernels run"
