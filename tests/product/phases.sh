#!/bin/sh
# Threads of a call: phases.c, with futexes and without, under TSan where the compiler has it; threads
# that come at once, late, or never; the library's and pools of the caller's.
set -u
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}
flags="-std=gnu11 -g -Wall -Wextra -Werror -Iruntime -DATTN_TEST_CPUS=8"
status=0
phases() { # phases NAME KINDS FLAGS..
    name=$1 kinds=$2
    shift 2
    # shellcheck disable=SC2086
    $cc $flags "$@" tests/product/phases.c runtime/sleep.c -lm -o "$work/$name" || exit 1
    for kind in $kinds; do
        if "$work/$name" $kind >"$work/log" 2>&1; then
            cat "$work/log"
        else
            echo "FAIL $name $kind" && head -n 40 "$work/log"
            status=1
        fi
    done
}
phases plain "now late few never pools" -O2 -fopenmp
phases serial "now pools" -O2
phases no-futex "now late pools" -O2 -fopenmp -DATTN_TEST_NO_FUTEX
if echo 'int main(void) { return 0; }' |
    $cc -x c -fsanitize=thread - -o "$work/has-tsan" 2>/dev/null && "$work/has-tsan"; then
    # libgomp's own barriers are not TSan's to see: the region is another test's.
    phases tsan "now late pools" -O1 -fopenmp -fsanitize=thread -DNO_REGION
    phases tsan-no-futex now -O1 -fopenmp -fsanitize=thread -DNO_REGION -DATTN_TEST_NO_FUTEX
else
    echo "skipped TSan: $cc has none here"
fi
exit $status
