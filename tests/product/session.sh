#!/bin/sh
# Runs what the pages show, README.md first: each "    $ COMMAND", in order, in FOLDER, where
# build/attn-gen and the like are; what stands below a command is what it prints ("...": and more).
# Digits of errors and what depends on the CPU are not compared. session.sh FOLDER [--write]: --write
# brings the pages up to date with what is printed, but for an error where the page shows none.
set -u
cd "$(dirname "$0")/../.."
root=$(pwd)
folder=$1
write=${2:-}
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT
total=0
wrong=0

plain() { # plain FILE: without what differs between machines
    sed -E -e 's/error [0-9.]+(e-[0-9]+)?/error E/' \
        -e 's/(__avx(2|512)_[a-z0-9]*): (5 shapes, max error E: ok|skipped, this CPU has no avx[0-9]*)$/\1: as the CPU has it/' \
        -e 's/^[0-9]+ passed, 0 failed(, [0-9]+ skipped)?$/N passed, 0 failed/' "$1"
}

says_error() { # says_error FILE: a program's or the shell's message stands in it
    grep -qE '^attn-(gen|verify): |^(sh|make|cc|c\+\+|gcc|g\+\+|ld)(\[[0-9]+\])?: |: (fatal )?error: |Traceback ' "$1"
}

session() { # session PAGE
    work=$all/$(echo "$1" | tr / _)
    mkdir "$work"
    # $work/N.command and $work/N.want
    count=$(awk -v work="$work" '
        /^    \$ / {n++; open = 1; print substr($0, 7) > (work "/" n ".command"); next}
        /^    / && open {print substr($0, 5) > (work "/" n ".want"); next}
        {open = 0}
        END {print n + 0}' "$root/$1")
    failed=0
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
            if says_error "$work/$n.want" || { [ $status -le 1 ] && ! says_error "$work/$n.got"; }; then
                cp "$work/$n.got" "$work/$n.new"
            fi
        fi
        failed=$((failed + 1))
        echo "$1: \$ $(cat "$work/$n.command")"
        if [ -e "$work/$n.want" ]; then cat "$work/diff"; else tail -n 20 "$work/$n.got"; fi
    done
    if [ "$write" = --write ]; then
        awk -v work="$work" '
            /^    \$ / {
                n++; new = work "/" n ".new"; open = 0; print
                while ((getline line <new) > 0) {print "    " line; open = 1}
                next
            }
            /^    / && open {next}
            {open = 0; print}' "$root/$1" >"$work/page" && cp "$work/page" "$root/$1"
    fi
    total=$((total + count)) wrong=$((wrong + failed))
}
for page in README.md gen/README.md tests/README.md; do session $page; done
echo "$((total - wrong)) commands of the pages as shown, $wrong not"
[ $wrong = 0 ] && [ "$total" -gt 20 ]
