#!/bin/sh
# Adding to an axis is a row and a file. In a copy of the tree this test adds an op (`first_key`,
# where a query sees key 0 only), an instruction set (`twin`, portable.h under another name), a
# storage type (`pair`, bf16 under another name) and a layout (`chunked`: keys in chunks of 16, a row
# of nothing after each), counts the files that each touched, builds once, and holds the result to
# what the axes promise. Kernels of all of them pass their selftest; those of op and type also agree
# with the oracle of the property tests, on all instruction sets here; names, banners, explain and
# the tiles it counts say what they do. The instruction set is chosen by its rank, in a single file.
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
mark() { # what touched counts from
    rm -rf was
    mkdir was
    cp -r gen templates runtime was
}
touched() { # touched WHAT MOST: how many files an addition took; more than MOST are too many
    n=$(for d in gen templates runtime; do diff -rq "was/$d" "$d" || true; done | grep -c .)
    [ "$n" -le "$2" ] || fail "$1 touched $n files"
    echo "axes: $1 was added in $n files"
}

mark
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
touched "an op" 4

# The last row, and not the best of all.
mark
before runtime/isa.def '#undef' <<'T'
ATTN_ISA_ROW(TWIN, "twin", ANY, 10, NULL, true, true, 4, 16, "vector", PORTABLE)
T
sed 's/SIMD_PORTABLE_H/SIMD_TWIN_H/' runtime/simd/portable.h >runtime/simd/twin.h
touched "an instruction set" 2

mark
sed -i 's/^    TYPE(BF16, \(.*\))\(.*\)$/    TYPE(BF16, \1) \\\n    TYPE(PAIR, pair, 16, 8, pair, "BF16", "BF16")\2/' runtime/types.def
sed 's/bf16/pair/g; s/BF16/PAIR/g' runtime/simd/bf16.h >runtime/simd/pair.h
touched "a storage type" 2

# `rows` of this layout say which key they are counted from.
mark
sed -i 's/ATTN_FIELD_ENUM(layout, .*"dense|paged/&|chunked/' runtime/spec_fields.def
sed -i 's/ATTN_LAYOUT_PAGED }/ATTN_LAYOUT_PAGED, ATTN_LAYOUT_CHUNKED }/' runtime/attn.h
before runtime/layout.c '/* In the order of attn_layout. */' <<'T'
static int64_t chunked_place(int64_t key) {
    return key + key / 16;
}

T
before runtime/layout.c '};' <<'T'
    {.place = chunked_place, .words = "keys lie in chunks of 16, a row apart."},
T
sed -n '/^\$ local function rows_of/,/^\$ local function key_at/p' templates/layout/dense.c.tpl | sed '$d' \
    >templates/layout/chunked.c.tpl
cat >>templates/layout/chunked.c.tpl <<'T'
$ local function keys_of(view, b, h) -- "k->", "args->k."
$   local address = view:sub(-1) == ">" and view:sub(1, -3) or "&" .. view:sub(1, -2)
$   return "keys_of(" .. address .. ", " .. b .. ", " .. h .. ")"
$ end
$ local function key_at(rows, key, step) return "find(" .. rows .. ", " .. key .. ", " .. step .. ")" end
$ local function token(view) return view .. "token" end
$ local function declare()
/* Keys in chunks of 16, a row apart; `at` is where key 0 lies, others are counted from `key`. */
typedef struct key_rows {
    const ${plan.type.k.c} *at;
    int64_t key;
} key_rows;

static inline key_rows keys_of(const attn_view *v, int64_t b, int64_t head) {
    return (key_rows){(const ${plan.type.k.c} *)v->data + b * v->batch + head * v->head, 0};
}

static inline const ${plan.type.k.c} *find(key_rows rows, int64_t key, ptrdiff_t step) {
    key += rows.key;
    return rows.at + (key + key / 16) * step;
}

static inline uintptr_t beyond(key_rows rows, int64_t key, ptrdiff_t step) {
    return ATTN_AHEAD(rows.at, (key + key / 16) * step);
}

static inline int gap(int32_t key) {
    return key % 16 == 0 ? 2 : 1;
}
$ end
$ local function runs(from, to, values_at, body)
    for (int32_t from = ${from}, end; from <= ${to}; from = end + 1) {
        values here = *${values_at};
        if (here.column == 1) here.v += from / 16 * here.row;
        end = min32(from / 16 * 16 + 15, ${to});
$   body("from", "end", "&here")
    }
$ end
$ return {
$   page = false,
$   declare = declare,
$   rows = function() return "key_rows " end,
$   q_at = row_at("const " .. plan.type.q.c),
$   o_at = row_at(plan.type.o.c),
$   k_rows = keys_of,
$   v_rows = keys_of,
$   k_from = function(rows, key) return "{" .. rows .. ".at, " .. rows .. ".key + " .. key .. "}" end,
$   k_at = key_at,
$   v_at = key_at,
$   first = function(rows) return rows .. ".at" end,
$   one = function(v, k) return v .. ".at == " .. k .. ".at" end,
$   held = function(rows) return rows end,
$   block = function(type) return "const " .. type .. " *" end,
$   block_at = key_at,
$   ahead = function(rows, key, step) return "beyond(" .. rows .. ", " .. key .. ", " .. step .. ")" end,
$   beside = function(row, n, step) return row .. " + " .. n .. " * " .. step end,
$   v_next = function(row, key, step) return row .. " += gap(" .. key .. ") * " .. step end,
$   k_step = token,
$   v_step = token,
$   head_step = function(view) return view .. "head" end,
$   keys_here = function(rows, key, n) return "min32(" .. n .. ", 16 - " .. key .. " % 16)" end,
$   runs = runs,
$ }
T
touched "a layout" 4

# For the test: an oracle's restatement of the op, and problems.
before gen/lab/oracle.c '    if (spec->op == ATTN_OP_SEGMENT_CROSS) {' <<'T'
    if (spec->op == ATTN_OP_FIRST_KEY) {
        *hi = 0;
        return;
    }
T
before tests/property/specs.c '    {"window0"' <<'T'
    {"first_key", "op=first_key;heads=4;kv_heads=2;head_dim=16;sinks=true;kv_type=pair", 0, 0, 0, 0},
T
make -s -j "$jobs" build/attn-gen build/property CFLAGS=-O0 >/dev/null

# Every form and backend of the op, as layers too; the type and the layout where rows are tiles, dot
# products, gathered, and of one latent row; all of it on the instruction set.
cat >all.lua <<'T'
return { layers = {
  { op = "first_key", heads = 2, head_dim = 16, backend = "flex" },
  { op = "first_key", heads = 2, form = "mla", kv_comp_dim = 16, retr_dim = 8, backend = "flex",
    kv_type = "pair" },
  { op = "first_key", level = "block", d_model = 24, heads = 2 },
  { op = "first_key", level = "block", d_model = 24, heads = 2, form = "mla", head_dim = 12,
    kv_comp_dim = 16, retr_dim = 8, q_comp_dim = 10 },
  { op = "first_key", level = "block", d_model = 24, heads = 2, form = "mla", head_dim = 12,
    kv_comp_dim = 16, retr_dim = 8, key = "shared" },
  { op = "segment_cross", lookback = 2, heads = 2, head_dim = 12, backend = "flex", kv_type = "pair",
    layout = "chunked" },
  { heads = 4, kv_heads = 2, head_dim = 20, layout = "chunked" },
  { heads = 2, head_dim = 16, kv_type = "pair", backend = "flex", mask = "k <= q", layout = "chunked" },
  { op = "sliding_self", window = 40, heads = 3, form = "mla", key = "shared", kv_comp_dim = 16,
    retr_dim = 8, scale = 0.3, layout = "chunked" },
} }
T
build/attn-gen generate all.lua --isa twin -o all >/dev/null
grep -q '^ \* Keys: every query sees key 0, below kv_len\[b\]\.$' all/attn_*first_key*.c ||
    fail "a banner does not say which keys are visible"
grep -q '^ \* Layout: keys lie in chunks of 16, a row apart\.$' all/attn_f32_chunked_*.c ||
    fail "a banner does not say where keys lie"
! grep -q 'chunks of 16' all/attn_*first_key*.c || fail "a dense kernel has chunks"
ls all/attn_f32_kvpair_*__twin_*.c all/attn_f32_kvpair_chunked_*__twin_*.c >/dev/null ||
    fail "names do not say what kernels are"
grep -q '^#include "runtime/simd/twin\.h"$' all/attn_f32_regular_*__twin_*.c ||
    fail "no kernel has the twin's header"
grep -q '^#include "runtime/simd/pair\.h"$' all/attn_f32_kvpair_*.c || fail "no kernel has the type's header"
make -s -j "$jobs" -C all selftest CFLAGS=-O0 OPENMP= >log 2>&1 || true
grep -q "^13 passed, 0 failed, 0 skipped" log || fail "the selftest: $(cat log)"
echo "axes: their kernels pass the selftest, also in layers"

! build/attn-gen generate --level block --d-model 24 --heads 2 --layout chunked -o no 2>log ||
    fail "a layer has another layout than its cache"
grep -q 'layout: must be dense or paged in layers' log || fail "a layer's layout: $(cat log)"
! build/attn-gen generate --heads 2 --head-dim 16 --kv-type i8 --layout chunked -o no 2>log ||
    fail "a layout without scales takes i8"
grep -q 'kv.type: must not be i8 with layout = chunked, which has no place for its scales' log ||
    fail "a layout without scales: $(cat log)"

# 48 queries x 256 keys in tiles of 12 x 96: key 0 lies in the first block.
build/attn-gen explain --op first_key --heads 2 --head-dim 16 --isa portable --q-len 48 \
    --kv-len 256 >explained
for line in 'op=first_key' 'tiles of 12 queries x 96 keys: 8 skipped, 0 full, 4 partial$' \
    'visible pairs a head: 48;'; do
    grep -q "$line" explained || fail "explain does not say: $line"
done
build/property --test sweep --spec first_key --isa native --shapes 40 --cflags -O0 >swept ||
    fail "an op's kernels and the oracle: $(cat swept)"
grep -q ' 0 failed$' swept || fail "an op's kernels and the oracle: $(cat swept)"
echo "axes: the op's kernels of the type agree with an oracle"

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
build/attn-gen generate --op segment_cross --heads 2 --head-dim 8 --name k --single-file -o out >/dev/null
${CC:-cc} -O0 -Iout plan.c out/k.c -lm -o plan
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
build/attn-gen generate --help | grep -q 'portable, avx2, avx512, avx512vnni, avx512bf16, avxvnni, twin' || fail "--isa's help"
echo "axes: the instruction set is chosen by its rank"
