# results.sh - sourced by the tests of this folder, in the root of the tree: $work, a folder that goes
# with the script; results of named checks, from several processes at a time, in $work/results.
gen=$(cd "${BUILD:-build}" && pwd)/attn-gen
here=$PWD/tests/product
cc=${CC:-cc}
jobs=$(nproc 2>/dev/null || echo 2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() { # check NAME COMMAND..: one line of results, and the end of the output of what failed
    test=$1
    shift
    if "$@" >"$work/$test.log" 2>&1; then
        echo "pass $test" >>"$work/results"
    else
        { echo "FAIL $test" && sed 's/^/    /' "$work/$test.log" | tail -n 20; } >>"$work/results"
        return 1
    fi
}
skip() { # skip TEXT: what, and why
    echo "skipped $1" >>"$work/results"
}
has() { command -v "$1" >/dev/null 2>&1; }
cxx_of() { case $1 in gcc) echo g++ ;; clang) echo clang++ ;; esac }

with_numpy() { # sets $python to one that has numpy ($PYTHON first), or to nothing
    python=
    for candidate in ${PYTHON:-} python3 /usr/bin/python3; do
        if [ -z "$python" ] && "$candidate" -c 'import numpy' 2>/dev/null; then python=$candidate; fi
    done
}

results() { # what did not pass, then the line that tests/run.sh counts; status 1 if any failed
    grep -v '^pass' "$work/results"
    awk '/^pass/ {p++} /^FAIL/ {f++} /^skipped/ {s++}
        END {printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0}' "$work/results"
}
