#!/bin/sh
# Runs what README.md shows: each "    $ COMMAND", in order, in FOLDER, where build/attn-gen and the
# like are; what stands below a command is what it prints ("...": and more). Digits of errors and
# what depends on the CPU are not compared. session.sh FOLDER [--write]: --write brings README.md up
# to date with what is printed.
set -u
cd "$(dirname "$0")/../.."
readme=$(pwd)/README.md
folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# $work/N.command and $work/N.want
count=$(awk -v work="$work" '
    /^    \$ / {n++; open = 1; print substr($0, 7) > (work "/" n ".command"); next}
    /^    / && open {print substr($0, 5) > (work "/" n ".want"); next}
    {open = 0}
    END {print n + 0}' "$readme")

plain() { # plain FILE: without what differs between machines
    sed -E -e 's/error [0-9.]+(e-[0-9]+)?/error E/' \
        -e 's/(__avx(2|512)_[a-z0-9]*): (5 shapes, max error E: ok|skipped, this CPU has no avx[0-9]*)$/\1: as the CPU has it/' \
        -e 's/^[0-9]+ passed, 0 failed(, [0-9]+ skipped)?$/N passed, 0 failed/' "$1"
}

n=0
while [ $n -lt "$count" ]; do
    n=$((n + 1))
    (cd "$folder" && sh "$work/$n.command") >"$work/$n.got" 2>&1
    status=$?
    if [ ! -e "$work/$n.want" ]; then
        [ $status = 0 ] && continue
    else
        plain "$work/$n.want" >"$work/want"
        plain "$work/$n.got" >"$work/got"
        if [ "$(tail -n 1 "$work/want")" = ... ]; then # and more
            lines=$(($(wc -l <"$work/want") - 1))
            for file in got "$n.got"; do
                { head -n "$lines" "$work/$file" && echo ...; } >"$work/head"
                mv "$work/head" "$work/$file"
            done
        fi
        diff "$work/want" "$work/got" >"$work/diff" && continue
        cp "$work/$n.got" "$work/$n.new"
    fi
    failed=$((failed + 1))
    echo "README.md: \$ $(cat "$work/$n.command")"
    if [ -e "$work/$n.want" ]; then cat "$work/diff"; else tail -n 20 "$work/$n.got"; fi
done
if [ "${2:-}" = --write ]; then
    awk -v work="$work" '
        /^    \$ / {
            n++; new = work "/" n ".new"; open = 0; print
            while ((getline line <new) > 0) {print "    " line; open = 1}
            next
        }
        /^    / && open {next}
        {open = 0; print}' "$readme" >"$work/README.md" && cp "$work/README.md" "$readme"
fi
echo "$((count - failed)) commands of README.md as shown, $failed not"
[ $failed = 0 ] && [ "$count" -gt 10 ]
