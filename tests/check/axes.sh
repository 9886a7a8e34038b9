#!/bin/sh
# Adding an op is a template file and a row in the tables: this test adds one (`first_key`, where a
# query sees key 0 only) in a copy of the tree, and runs its kernels and layers. It counts the files
# it had to touch: the field table, the spec rules' enum in attn.h, the oracle of the runtime, one
# template.
set -eu
root=$(pwd)
jobs=$(nproc 2>/dev/null || echo 2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r gen templates runtime Makefile "$work"
mkdir -p "$work/tests/bench"
cp tests/bench/bench.mk "$work/tests/bench"
cd "$work"
sed -i 's/full_self|sliding_self|segment_cross/full_self|sliding_self|segment_cross|first_key/' \
    runtime/spec_fields.def
sed -i 's/ATTN_OP_SEGMENT_CROSS }/ATTN_OP_SEGMENT_CROSS, ATTN_OP_FIRST_KEY }/' runtime/attn.h
sed -i 's|^    r->first = 0;$|    r->first = 0;\n    if (spec->op == ATTN_OP_FIRST_KEY) { r->last = r->x.kv_len > 0 ? 0 : -1; return; }|' \
    runtime/reference.c
cat >templates/op/first_key.c.tpl <<'T'
/* op first_key: every query sees key 0. */
static inline void op_range(const item *x, int32_t i, int32_t *lo, int32_t *hi) {
    (void)i;
    *lo = 0;
    *hi = x->kv_len > 0 ? 0 : -1;
}
T
make -s -j "$jobs" build/attn-gen CFLAGS=-O0 >/dev/null
touched=$(for d in gen templates runtime; do diff -rq "$root/$d" "$d" || true; done | grep -c .)
check() { # check PASSED FLAGS..: what is generated from these passes its selftest
    passed=$1
    shift
    build/attn-gen generate "$@" --op first_key --heads 2 --isa portable -o out >/dev/null
    make -s -j "$jobs" -C out selftest CFLAGS=-O1 OPENMP= | tail -1 | grep -q "^$passed passed, 0 failed, 0 skipped"
    rm -rf out
}
for backend in sdpa flex; do
    check 1 --form regular --head-dim 16 --backend $backend
    check 1 --form mla --kv-comp-dim 16 --retr-dim 8 --backend $backend
    # A layer's selftest runs its core, and then the layer in one call and in steps.
    check 2 --level block --d-model 24 --form regular --backend $backend
    check 2 --level block --d-model 24 --form mla --head-dim 12 --kv-comp-dim 16 --retr-dim 8 \
        --q-comp-dim 10 --backend $backend
    # With key = shared, a second core serves many rows, where keys are not absorbed.
    check 3 --level block --d-model 24 --form mla --key shared --head-dim 12 --kv-comp-dim 16 \
        --retr-dim 8 --backend $backend
done
echo "axes: an op was added in $touched files, and runs in both forms and backends, also as a layer"
[ "$touched" -le 4 ]
