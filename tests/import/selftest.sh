#!/bin/sh
# Every config of this folder, generated as whole layers for this machine: compiled, and the
# selftest of the attention inside them.
# Short: the files whose kernels no other file has, one of a kind; ATTN_FULL=1: all of them.
set -u
gen=$PWD/build/attn-gen
jobs=$(nproc 2>/dev/null || echo 2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
some="gpt-oss-20b smollm2-135m bert-base-uncased"
flags_of() { # short: -O2, as the Makefile has it, for one of them
    if [ -n "${ATTN_FULL:-}" ] || [ "$1" = smollm2-135m ]; then echo; else echo -Og; fi
}
for config in tests/import/*.json; do
    name=$(basename "$config" .json)
    case " $some " in *" $name "*) ;; *) [ -n "${ATTN_FULL:-}" ] || continue ;; esac
    if "$gen" generate "$config" --isa native -o "$work/$name" >"$work/log" 2>&1 &&
        make -s -j "$jobs" -C "$work/$name" selftest CFLAGS="$(flags_of "$name")" >>"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $config"
        tail -n 20 "$work/log"
    fi
    rm -rf "${work:?}/$name"
done
for config in tests/import/families/*.json; do
    [ -n "${ATTN_FULL:-}" ] || break
    folder=$work/$(basename "$config" .json)
    if "$gen" generate "$config" --isa native -o "$folder" >"$work/log" 2>&1 &&
        "$gen" check "$folder" >>"$work/log" 2>&1 && "$gen" explain "$config" >>"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: $config"
        tail -n 20 "$work/log"
    fi
    rm -rf "${folder:?}"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
