#!/bin/sh
# No memory: allocations of attn-gen's commands and of the runtime's create functions fail (memory.c,
# create.c). Here memory is out from each of the first allocations on, and some fail alone;
# ATTN_FULL=1: each of the first 2000 either way, and as many of the others as FAULT_SECONDS (180) a
# command allow. FAULT_COMMANDS: these alone, by name.
set -eu
cd "$(dirname "$0")/../.."
gen=$PWD/${BUILD:-build}/attn-gen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}
warn="-std=c11 -O1 -Wall -Wextra -Werror"
# shellcheck disable=SC2086
{
    $cc $warn -shared -fPIC tests/fault/alloc.c -o "$work/alloc.so"
    $cc $warn tests/fault/memory.c -o "$work/memory"
    sh tests/product/objects.sh "$work/runtime" "-std=c11 -O0 -Wall -Wextra -Werror -fopenmp" runtime/*.c
    $cc $warn -D_GNU_SOURCE -Iruntime -fopenmp -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free \
        tests/fault/create.c "$work"/runtime/*.o -lm -o "$work/create"
}
config=$PWD/tests/import/smollm2-135m.json
cd "$work"
printf '{"model_type": "llama", "hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1,\n "intermediate_size": 64, "num_hidden_layers": 2, "rms_norm_eps": 1e-6, "_a": [1, {"b": null}]}\n' >small.json
printf 'return { name = "small", layers = { { heads = 2, head_dim = 8 },\n  { heads = 2, head_dim = 8, backend = "flex", mask = both(causal(), "doc[q] == doc[k]"),\n    tensor = "doc=i32[kv_len]" } } }\n' >small.lua
printf 'return { ["attn_f32_regular_sdpa_full_self_h2d8"] = { portable = { key_block = 64 } } }\n' >tune.lua
"$gen" generate small.lua --isa portable --name other -o old >/dev/null
"$gen" generate --heads 2 --head-dim 8 --isa portable -o new >/dev/null
"$gen" generate --heads 2 --head-dim 8 --isa portable --single-file -o single >/dev/null

status=0
if [ -n "${ATTN_FULL:-}" ]; then first=2000 alone=2000 seconds=${FAULT_SECONDS:-180}
else first=500 alone=1 seconds=0.3; fi
fault() { # fault NAME [-o PATH [-i FROM]] -- ARGUMENTS
    name=$1
    shift
    case " ${FAULT_COMMANDS:-$name} " in *" $name "*) ;; *) return 0 ;; esac
    options=""
    while [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    shift
    # shellcheck disable=SC2086
    ./memory ./alloc.so $first $alone $seconds "$name" $options -- "$gen" "$@" || status=1
}
./create || status=1
one="--heads 2 --head-dim 8 --isa portable"
# shellcheck disable=SC2086
{
    fault generate -o out -- generate $one -o out
    fault generate-model -o out -- generate small.lua --isa portable -o out
    fault generate-config -o out -- generate small.json --isa portable -o out
    fault generate-over -o out -i old -- generate small.lua --isa portable -o out
    fault generate-tuned -o out -- generate $one --tune tune.lua -o out
    fault single-file -o out -- generate $one --tune tune.lua --single-file -o out
    fault dump-spec -- generate "$config" --dump spec
    fault explain -- explain small.lua --isa portable --q-len 64 --kv-len 64
    fault explain-json -- explain small.lua --isa portable --q-len 64 --kv-len 64 --json
    fault explain-out -o out -- explain $one --json -o out
    fault explain-svg -- explain $one --svg
    fault report -o out -- report $one -o out
    fault check -- check new
    fault check-single -- check single/attn_f32_regular_sdpa_full_self_h2d8.c
    fault diff -- diff old new
    fault golden -o out -- golden new --cases 1 -o out
    fault help -- generate --help
    fault man -- man
    fault models -- models
    if [ -n "${ATTN_FULL:-}" ]; then fault catalog -o out -- generate catalog --isa portable -o out; fi
}
exit $status
