#!/bin/sh
# Adding an op is a template file and a row in the tables: this test adds one (`first_key`, where a
# query sees key 0 only) in a copy of the tree, and runs its kernel. It counts the files it had to
# touch: the field table, the spec rules' enum in attn.h, the oracle of the runtime, one template.
set -eu
root=$(pwd)
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
make -s build/attn-gen CFLAGS=-O0 >/dev/null
touched=$(for d in gen templates runtime; do diff -rq "$root/$d" "$d" || true; done | grep -c .)
for form in "--form regular --head-dim 16" "--form mla --kv-comp-dim 16 --retr-dim 8"; do
    for backend in sdpa flex; do
        # shellcheck disable=SC2086
        build/attn-gen generate $form --op first_key --backend $backend --heads 2 --isa portable \
            -o "out-$backend" >/dev/null
        make -s -C "out-$backend" selftest CFLAGS=-O1 OPENMP= | tail -1 | grep -q '^1 passed, 0 failed'
        rm -rf "out-$backend"
    done
done
echo "axes: an op was added in $touched files, and runs in both forms and backends"
[ "$touched" -le 4 ]
