#!/bin/sh
# Whole models (tests/golden/model) against transformers' classes: a file, two files and their index,
# f32, bf16 and f16, tied heads, caps and scales, BERT's tables and pooler; encoders and decoders;
# whether packed layers are asked for in large pages; then wrong files, each with what open says of it.
set -u
cd "$(dirname "$0")/../.."
gen=${BUILD:-build}/attn-gen
here=tests/product
cases=tests/golden/model
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. $here/results.sh
cc=${CC:-cc}
isa=portable
grep -qw avx2 /proc/cpuinfo 2>/dev/null && isa=avx2

# The runtime is that of the tree, compiled once.
level=-Og
objects() { # objects FOLDER FILE..: FOLDER/NAME.o of each
    to=$1
    shift
    mkdir -p "$to"
    printf '%s\n' "$@" | xargs -P 2 -n 1 sh -c \
        '"$0" -std=c11 $2 -Wall -Wextra -Werror -fopenmp -I"$1" -Iruntime -I. -c "$3" -o "$1/$(basename "$3").o"' "$cc" "$to" "$level"
}
weights_of() { # weights_of CASE: a folder with config.json and safetensors, or a GGUF file
    if [ -f "$cases/$1/model.gguf" ]; then echo "$cases/$1/model.gguf"; else echo "$cases/$1"; fi
}
on=$isa
program=model # which is built for a case
build() { # build CASE FLAG..: $work/CASE/test
    name=$1 dir=$work/$1
    shift
    "$gen" generate "$(weights_of "$name")" --name "$name" --isa "$on" --runtime "$PWD/runtime" -o "$dir" "$@" &&
        objects "$dir" "$dir"/*_model.c "$dir/registry.c" "$dir"/attn_*.c &&
        "$cc" -std=c11 -O1 -g -Wall -Wextra -Wpedantic -Werror -I"$dir" -Iruntime -I. \
            -DMODEL_HEADER="\"${name}_model.h\"" -DMODEL_OPEN="${name}_model_open" \
            -DPACKED="\"$dir/weights\"" -DPAGED=$paged -DCAPACITY=$capacity -fopenmp \
            $here/$program.c "$dir"/*.o "$work"/runtime/*.o -lm -o "$dir/test"
}

check runtime objects "$work/runtime" runtime/*.c || { results; exit 1; }
more= && [ -z "${ATTN_FULL:-}" ] || more="deepseek3_gguf mistral_gguf mixtral_gguf qwen2_gguf qwen3_gguf \
    qwen3moe_gguf gemma_gguf gemma2_gguf cohere2_gguf opt phi olmo modernbert nomic_bert phi3 wav2vec2"
for name in llama qwen2 gemma2 cohere2 bert gpt2 falcon bloom granitemoe phi3_long clip_vision_model albert opt_350m \
    stablelm gpt_bigcode olmoe_gguf deepseek2_gguf llama4_gguf llama_gguf qwen2moe_gguf gpt_oss_gguf gemma3_gguf \
    phi3_gguf $more; do
    pool= paged=0 capacity=0 on=$isa level=-Og
    case $name in
    bert | albert) pool=pooler ;;
    clip_vision_model) pool=cls ;;
    gemma2) paged=1 ;;
    phi3_long | phi3_gguf) capacity=64 ;;
    esac
    case $name${ATTN_FULL:-} in # where tensors lie, not how they are multiplied
    *_gguf) on=portable level=-O0 ;;
    esac
    flags=${pool:+--pool $pool}
    [ $paged = 0 ] || flags="--layout paged --page 16"
    # shellcheck disable=SC2086
    check "$name-builds" build $name $flags && check $name "$work/$name/test" $cases/$name "$(weights_of $name)"
done

# Factors of as many digits as published models' have: no line is too long.
sed -E 's/^   ([0-9]+\.[0-9]+)/   \11234567/' $cases/phi3_long/config.json >"$work/long.json"
check long-lists "$gen" generate "$work/long.json" --isa portable -o "$work/long"

# An encoder and a decoder.
on=$isa level=-Og program=encoder
for name in whisper bart t5; do
    check $name-builds build $name && check $name "$work/$name/test" $cases/$name
done

# One layer of several megabytes, whose weights the test writes.
large() {
    mkdir -p "$work/made/large" && cat >"$work/made/large/config.json" <<'J' || return 1
{"model_type": "llama", "hidden_size": 256, "intermediate_size": 2048, "num_hidden_layers": 1,
 "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 8, "rms_norm_eps": 1e-6,
 "max_position_embeddings": 64, "tie_word_embeddings": true}
J
    (cases=$work/made && build large) && "$work/large/test" "$work/made/large/model.safetensors"
}
program=large_pages
check large-pages large

# Every wrong tensor of the model at once, in one message; files that are none.
broken() { # broken: makes them
    mkdir -p "$work/bad" "$work/none" "$work/out"
    file=$cases/qwen2/model.safetensors
    sed 's/model\.layers\.1\.mlp\.up_proj/model.layers.1.mlp.xx_proj/; s/model\.norm\.weight/model.norx.weight/' \
        $file >"$work/bad/names.safetensors"
    sed 's/"shape":\[32,48\]/"shape":[48,32]/' $file >"$work/bad/shape.safetensors"
    head -c 3000 $file >"$work/bad/cut.safetensors"
    head -c 20 $file >"$work/bad/header.safetensors"
    sed 's/model-00002-of-00002/..\/..\/of-00002/' $cases/llama/model.safetensors.index.json >"$work/out/model.safetensors.index.json"
    sed 's/model-00002-of-00002/model-00001-of-00002/' $cases/llama/model.safetensors.index.json >"$work/bad/model.safetensors.index.json"
    LC_ALL=C sed 's/q_layernorm\.norms\.1\./q_layernorm.norms.7./' $cases/stablelm/model.safetensors >"$work/bad/heads.safetensors"
    mkdir -p "$work/fifo" && mkfifo "$work/fifo/model.safetensors" || return 1
    LC_ALL=C sed "s/model\\.norm\\.weight/model.no$(printf '\177')m.weight/" $file >"$work/bad/odd.safetensors"
    for to in bad out; do cp $cases/llama/model-00001-of-00002.safetensors "$work/$to"; done
    timeout 60 "$work/qwen2/test" --errors "$work/bad/odd.safetensors" "$work/fifo" "$work/bad/names.safetensors" "$work/bad/shape.safetensors" \
        "$work/bad/cut.safetensors" "$work/bad/header.safetensors" "$work/absent" "$work/none" \
        "$work/out" "$work/bad" tests/import/gguf/*llama*.gguf $cases/llama | sed "s|$work|WORK|g" >"$work/messages"
    sed 's/encoder\.layers\.1\.fc1/encoder.layers.7.fc1/; s/encoder_attn\.q_proj\.bias/encoder_attn.x_proj.bias/; s/model.encoder.layer_norm.bias/model.encoder.layer_norx.bias/; s/encoder\.layers\.0\.self_attn\.k_proj/encoder.layers.0.self_attn.K_proj/' \
        $cases/whisper/model.safetensors >"$work/bad/both.safetensors"
    "$work/whisper/test" --errors "$work/bad/both.safetensors" | sed "s|$work|WORK|g" >>"$work/messages"
}
says() { # says TEXT..: all in the messages
    for text; do
        grep -qF -- "$text" "$work/messages" || { echo "no message has: $text" && cat "$work/messages" && return 1; }
    done
}
check wrong-files broken
check wrong-names says 'norm.weight: missing, [32]' 'model.norx.weight: unknown: no weight of this model' \
    'layer 1: model.layers.1.mlp.xx_proj.weight: unknown weight' 'layer 1: up_proj.weight: missing, [48, 32]'
"$work/stablelm/test" --errors "$work/bad/heads.safetensors" >>"$work/messages"
check wrong-heads says 'q_layernorm.weight: must be [4, 8], got [1, 8]' \
    'layer 0: model.layers.0.self_attn.q_layernorm.norms.2.weight: unknown weight'
check wrong-characters says 'model.no?m.weight: unknown: no weight of this model'
check wrong-fifo says 'WORK/fifo/model.safetensors: cannot be read: not a file, or empty'
check wrong-shapes says 'layer 0: model.layers.0.mlp.down_proj.weight: must be [32, 48], got [48, 32]'
check wrong-bytes says 'are not within the file' "not a safetensors file: the header's length" \
    'WORK/absent: cannot be read: No such file or directory' \
    'WORK/none: a folder without model.safetensors or model.safetensors.index.json'
check wrong-index says "weight_map names '../../of-00002.safetensors': must be a file of the same folder" \
    'is said to be in model-00001-of-00002.safetensors, and is in no file'
check wrong-both says 'model.encoder.layers.7.fc1.bias: layer 7: the model has 2' \
    'encoder.layer_norm.bias: missing, [32]' 'model.encoder.layer_norx.bias: unknown: no weight of this model' \
    'layer 0: k_proj.weight: missing, [32, 32]' 'layer 1: up_proj.bias: missing, [48]' \
    'layer 3: model.decoder.layers.0.encoder_attn.x_proj.bias: unknown weight' \
    'layer 3: q_proj.bias: missing, [32]'
check wrong-kind says 'its weights lie as those of GGUF files, and qwen2 was generated for those of safetensors files'

# Files of packed weights: each refused by name, none packed anew.
spoil() { # spoil FILE OFFSET: one byte of it differs
    cp "$work/good.packed" "$1" && printf '\252' | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
wrong_packed() {
    good=$work/good.packed
    rm -rf "$work/other" && mkdir "$work/other" || return 1
    "$work/qwen2/test" --save $cases/qwen2 "$good" && "$work/gemma2/test" --save $cases/gemma2 "$work/foreign.packed" || return 1
    size=$(wc -c <"$good")
    head -c $((size - 100)) "$good" >"$work/cut.packed"
    head -c 40 "$good" >"$work/short.packed"
    cp "$good" "$work/long.packed" && echo >>"$work/long.packed"
    : >"$work/empty.packed"
    mkfifo "$work/fifo.packed" && ! timeout 60 "$work/qwen2/test" --save $cases/qwen2 "$work/fifo.packed" >"$work/fifo.txt" &&
        grep -q 'there is something else than a file' "$work/fifo.txt" && [ -p "$work/fifo.packed" ] || return 1
    spoil "$work/magic.packed" 0 && spoil "$work/version.packed" 8 && spoil "$work/head.packed" 45 &&
        spoil "$work/table.packed" 70 && spoil "$work/data.packed" $((size - 300)) || return 1
    cp $cases/qwen2/model.safetensors "$work/other/" && # another element of the last layer
        printf '\060\060' | dd of="$work/other/model.safetensors" bs=1 seek=$(($(wc -c <"$work/other/model.safetensors") - 200)) conv=notrunc 2>/dev/null
    "$work/qwen2/test" --packed $cases/qwen2 "$work/cut.packed" "$work/short.packed" "$work/long.packed" "$work/empty.packed" \
        "$work/magic.packed" "$work/version.packed" "$work/head.packed" "$work/table.packed" "$work/data.packed" \
        "$work/foreign.packed" $cases/qwen2/model.safetensors "$work" "$good" | sed "s|$work|WORK|g" >"$work/messages" &&
        "$work/qwen2/test" --packed "$work/other" "$good" | sed "s|$work|WORK|g" >>"$work/messages"
}
check wrong-packed wrong_packed
check wrong-packed-said says 'WORK/cut.packed: not the packed weights of this model: it is truncated:' \
    'WORK/short.packed: not the packed weights of this model: attn_model_save did not write it: it is too short' \
    'WORK/long.packed: not the packed weights of this model: it is too long' \
    'WORK/empty.packed: packed weights cannot be read: not a file, or empty' \
    'WORK/magic.packed: not the packed weights of this model: attn_model_save did not write it' \
    'WORK/version.packed: not the packed weights of this model: a runtime of another version wrote it' \
    "WORK/head.packed: not the packed weights of this model: it is damaged: its head's checksum differs" \
    "WORK/table.packed: not the packed weights of this model: it is damaged: its head's checksum differs" \
    'WORK/data.packed: not the packed weights of this model: it is damaged: the checksum of section' \
    'WORK/foreign.packed: not the packed weights of this model: it was packed for another model' \
    'tests/golden/model/qwen2/model.safetensors: not the packed weights of this model: attn_model_save did not' \
    'WORK: packed weights cannot be read: not a file, or empty' \
    'WORK/good.packed: not the packed weights of this model: it is stale: the weights have changed since it was packed'
check good-packed test "$(grep -c good.packed "$work/messages")" = 1

results
