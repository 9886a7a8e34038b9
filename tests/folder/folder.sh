#!/bin/sh
# Folders, files and nodes that others made, as the programs meet them: links, hostile manifests and
# journals, devices, FIFOs, kills, full disks, two writers at once. tests/folder/main.c has the faults
# of single calls. ATTN_FULL=1: a fault at each call, not at every ninth, and more races.
set -u
cd "$(dirname "$0")/../.."
build=$(cd "${BUILD:-build}" && pwd)
gen=$build/attn-gen
verify=$build/attn-verify
make -s BUILD="${BUILD:-build}" all "${BUILD:-build}/folder-faults" "${BUILD:-build}/fault.so" || exit 1
work=$(mktemp -d)
mounted=""
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$work"' EXIT
passed=0
failed=0
skipped=0
ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    printf 'FAIL: %s\n' "$1"
}
skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1"
}
check() { # check STATUS TEXT COMMAND..: exit status, and text in its output; nothing hangs
    want=$1 text=$2
    shift 2
    out=$(timeout 90 "$@" 2>&1)
    got=$?
    if [ "$got" = "$want" ] && { [ -z "$text" ] || printf "%s" "$out" | grep -qF -- "$text"; }; then
        ok
    else
        bad "$*
  exit $got, wanted $want and \"$text\":
$out"
    fi
}
is() { # is NAME COMMAND..: a condition
    label=$1
    shift
    if "$@" >/dev/null 2>&1; then ok; else bad "$label: $*"; fi
}

# Three models in few files; their folders as a fresh write makes them.
one="--heads 4 --head-dim 16 --isa portable --runtime ../runtime"
two="--heads 6 --head-dim 32 --isa portable --runtime ../runtime"
lone="--heads 4 --head-dim 16 --isa portable" # for what writes no folder
six="--heads 8 --kv-heads 2 --head-dim 8 --isa portable"
cp -r runtime "$work/runtime"
cd "$work" || exit 1
# shellcheck disable=SC2086
{
    "$gen" generate $one -o one >one.txt
    "$gen" generate $two -o two >two.txt
    "$gen" generate $six -o six >six.txt
}
fresh() { # fresh NAME: the folder out as a fresh write made NAME
    rm -rf out
    cp -r "$1" out
}
listing() { find "$1" -mindepth 1 -printf '%P %y %l %s\n' 2>/dev/null | sort; }

# --- Links below the folder. ---
mkdir outside
cp six/runtime/attn.h outside/attn.h
cp six/runtime/spec.h outside/spec.h
echo precious >outside/victim
seal() { (cd outside && find . -type f -exec cksum {} + && find . | sort) >"$1"; }
seal sealed
intact() {
    seal now
    if cmp -s sealed now; then ok; else bad "$1: files outside of the folder changed"; fi
}
# shellcheck disable=SC2086
{
    fresh six # its manifest lists runtime/attn.h, by its hash
    rm -r out/runtime
    ln -s ../outside out/runtime
    check 2 "out/runtime/" "$gen" generate $six -o out
    check 2 "follows no links" "$gen" generate $six -o out
    check 0 "kept: it is below a link" "$gen" generate $one -o out
    intact "a link named runtime"
    fresh six
    rm -r out/runtime/simd
    ln -s ../../outside out/runtime/simd
    check 2 "out/runtime/simd/" "$gen" generate $six -o out
    intact "a link named runtime/simd"

    for name in registry.c manifest.json Makefile model.lua; do
        fresh one
        rm out/$name
        ln -s ../outside/victim out/$name
        check 2 "out/$name" "$gen" generate $two -o out
        is "$name stays a link" test -L out/$name
        is "nothing else changed" cmp out/selftest.c one/selftest.c
        intact "a link named $name"
    done
    fresh one
    for name in $(ls one); do
        for end in new tmp new~; do ln -s ../outside/victim out/$name.$end; done
    done
    check 0 "1 kernel" "$gen" generate $two -o out
    intact "links named FILE.new"

    # The stage and its journal may come from others as well.
    fresh one
    ln -s ../outside out/.attn-gen
    listing out >before
    check 2 ".attn-gen is in the way" "$gen" generate $two -o out
    listing out >after
    is "nothing is written beside a foreign stage" cmp before after
    intact "a link named .attn-gen"
    hash=$(sed -n '/"registry.c"/{n;s/.*"\([0-9a-f]\{16\}\)".*/\1/p;}' one/manifest.json)
    for path in ../outside/victim /etc/passwd .git/config runtime/../../outside/victim x//y \
        other/x .hidden runtime/.x ""; do
        fresh one
        mkdir -p out/.attn-gen out/.git
        cp one/registry.c out/.git/config
        printf 'attn-gen journal 1\nadd %s %s\n' "$hash" "$path" >out/.attn-gen/journal
        check 2 "its journal is none of attn-gen" "$gen" generate $two -o out
        is "$path in a journal" test -e out/.git/config
        intact "$path in a journal"
    done
    for text in '' 'attn-gen journal 1' 'attn-gen journal 2\n' 'attn-gen journal 1\nadd 12 x\n' \
        'attn-gen journal 1\nadd\n' 'attn-gen journal 1\nmove 0123456789abcdef x\n' \
        'attn-gen journal 1\nadd 0123456789abcdef x\0y\n'; do
        fresh one
        mkdir out/.attn-gen
        printf "$text" >out/.attn-gen/journal
        check 2 "its journal is none of attn-gen" "$gen" generate $two -o out
        is "registry.c is the old one" cmp out/registry.c one/registry.c
    done
    fresh one
    mkdir out/.attn-gen
    cp one/registry.c out/mine.c
    echo edited >out/Makefile
    ln -s ../../outside/victim out/.attn-gen/0.old
    echo attack >out/.attn-gen/1.old
    printf 'attn-gen journal 1\nreplace %s registry.c\nreplace %s Makefile\n' "$hash" "$hash" \
        >out/.attn-gen/journal
    check 0 "1 kernel" "$gen" generate $one -o out
    is "a file that the journal does not know" cmp out/mine.c one/registry.c
    is "registry.c is no link" test ! -L out/registry.c
    is "registry.c" cmp out/registry.c one/registry.c
    intact "links in a stage"
    fresh one
    mkdir -p out/.attn-gen
    echo mine >out/.attn-gen/notes
    check 2 "cannot remove what an interrupted write left" "$gen" generate $two -o out
    is "a file in the stage that is none of ours" test -e out/.attn-gen/notes

    # --- Manifests that others wrote: what is not ours stays. ---
    digest=$hash
    entry() { printf '{"path": "%s", "hash": "%s"}' "$1" "$2"; }
    hostile() { # hostile ENTRIES: a manifest with them, in a folder with things of others
        fresh one
        mkdir -p out/.git out/sub out/dir.c
        for f in .git/config sub/x.c mine.c .hidden ../outside.c; do cp one/registry.c out/$f; done
        printf '{"generator": "attn-gen 0.1.0", "files": [%s]}\n' "$1" >out/manifest.json
    }
    absolute=$work/outside.c
    for path in .git/config ../outside.c "$absolute" ./mine.c sub/x.c sub/../mine.c .hidden \
        runtime/../mine.c dir.c dir.c/ mine.c/ "" . .. / runtime runtime/ //mine.c; do
        hostile "$(entry "$path" "$digest"), $(entry "$path" "$digest")"
        check 0 "1 kernel" "$gen" generate $two -o out
        for f in .git/config sub/x.c mine.c .hidden ../outside.c; do
            is "$path in a manifest: $f" cmp one/registry.c out/$f
        done
        is "$path in a manifest: dir.c" test -d out/dir.c
        check 1 "orphan" "$gen" check out
    done
    hostile "$(entry mine.c 0123456789abcdef)"
    check 0 "mine.c: kept: not as the last manifest lists it" "$gen" generate $two -o out
    is "a file with another hash stays" test -e out/mine.c
    hostile "$(entry mine.c "${digest}0"), $(entry mine.c "x"), $(entry mine.c "")"
    check 0 "mine.c: kept" "$gen" generate $two -o out
    hostile "$(entry mine.c "$digest"), $(entry mine.c 0123456789abcdef)"
    check 0 "mine.c: kept" "$gen" generate $two -o out
    is "a file listed with two hashes stays" test -e out/mine.c
    hostile "$(entry mine.c "$digest"), $(entry mine.c "$digest")"
    check 0 "1 kernel" "$gen" generate $two -o out
    is "a listed file goes, once" test ! -e out/mine.c
    hostile '1, null, "mine.c", [], {"path": 7, "hash": []}, {"hash": "x"}, {"path": "mine.c"}'
    check 0 "1 kernel" "$gen" generate $two -o out
    is "entries that are none" test -e out/mine.c
    fresh one
    old=$(ls out | grep '^attn_.*\.c$')
    echo '/* mine */' >>"out/$old"
    check 0 "$old: kept" "$gen" generate $two -o out
    is "an edited kernel stays" test -e "out/$old"

    # --- What -o may be. ---
    for what in explain report; do
        rm -f page
        "$gen" $what $lone -o page >/dev/null
        ln -s outside/victim link
        check 2 "symbolic link" "$gen" $what $lone -o link
        is "a link stays one" test -L link
        ln -sf nowhere link
        check 2 "symbolic link that leads nowhere" "$gen" $what $lone -o link
        is "nothing was made there" test ! -e nowhere
        rm -f link
        intact "$what -o on a link"
        check 2 "cannot write" "$gen" $what $lone -o outside
        check 2 "names no file" "$gen" $what $lone -o none/
        is "$what made no folder" test ! -e none
        check 2 "" "$gen" $what $lone -o page/x
        mkfifo fifo
        ln -s fifo link
        check 2 "nobody reads it" "$gen" $what $lone -o fifo
        for to in fifo link; do
            timeout 90 cat fifo >got &
            sleep 0.2
            check 0 "" "$gen" $what $lone -o $to
            wait $!
            is "$what writes into a FIFO" cmp got page
        done
        is "$what leaves a FIFO alone" test -p fifo
        timeout 90 head -c 1 fifo >/dev/null &
        sleep 0.2
        timeout 90 "$gen" $what tiny -o fifo >/dev/null 2>err
        [ $? -le 2 ] && ok || bad "a reader that goes away"
        wait $!
        "$gen" $what $lone -o /dev/stdout 2>err | cat >got
        is "$what -o /dev/stdout, a pipe" test "$(head -c 200 got)" = "$(head -c 200 page)"
        echo before >got
        "$gen" $what $lone -o /dev/stdout >>got 2>err
        is "$what appends to a file that is /dev/stdout" test "$(head -n 1 got)" = before
        is "/dev/stdout is still a link" test -L /dev/stdout
        check 0 "" "$gen" $what $lone -o /dev/null
        is "/dev/null is still a device" test -c /dev/null
        check 2 "No space left" "$gen" $what $lone -o /dev/full
        ln -sf /dev/null link
        check 0 "" "$gen" $what $lone -o link
        is "a link to a device stays one" test -L link
        if mknod null c 1 3 2>/dev/null && mknod full c 1 7 && mknod block b 7 0; then
            if : 2>/dev/null >null; then
                check 0 "" "$gen" $what $lone -o null
                check 2 "No space left" "$gen" $what $lone -o full
            else
                skip "devices: this file system opens none"
            fi
            check 2 "block device" "$gen" $what $lone -o block
            is "nodes stay" test -c null -a -c full -a -b block
        else
            skip "devices: mknod needs root"
        fi
        rm -f null full block fifo link
    done
    check 2 "cannot write" "$gen" tune $lone -o outside
    mkfifo fifo
    for what in "generate $one" "golden one" "generate $lone --single-file"; do
        for to in fifo page /dev/null; do check 2 "is not a folder" "$gen" $what -o $to; done
    done
    is "nodes stay" test -p fifo -a -c /dev/null
    check 2 "is not a folder" "$gen" generate $one -o page/deep/er
    ln -s one byname
    check 0 "current" "$gen" check byname
    check 0 "1 kernel" "$gen" generate $one -o byname
    is "a folder may be named by a link" test -L byname

    # --- A FIFO or a device is no input. ---
    mkfifo config.json model.lua tune.lua case.safetensors single.c
    "$gen" golden one -o cases --cases 1 >/dev/null
    check 2 "a FIFO" "$gen" explain config.json
    check 2 "a FIFO" "$gen" generate model.lua -o none
    check 2 "a FIFO" "$gen" generate $one --tune tune.lua -o none
    check 2 "a FIFO" "$gen" check single.c
    check 2 "a FIFO" "$gen" golden single.c -o none
    check 2 "a FIFO" "$verify" case.safetensors
    check 2 "a device" "$verify" /dev/zero
    check 2 "a folder" "$verify" one
    ln -s /dev/zero zero.lua
    check 2 "a device" "$gen" explain zero.lua
    is "nothing was made" test ! -e none
    for name in manifest.json model.lua; do
        fresh one
        rm out/$name
        mkfifo out/$name
        check 2 "$name" "$gen" check out
        check 2 "$name" "$gen" golden out -o none
        check 2 "$name" "$gen" generate $one -o out
        [ $name = model.lua ] || check 2 "$name" "$gen" diff out one
        timeout 90 "$gen" diff one out >/dev/null 2>&1
        is "diff does not wait" test $? != 124
        is "a FIFO stays" test -p out/$name
    done
    for name in registry.c one.h runtime/attn.h runtime/simd/x.h; do
        fresh six
        rm -f out/$name
        mkfifo out/$name
        check 2 "a FIFO" "$verify" --folder out cases/*
        timeout 90 "$gen" check out >/dev/null 2>&1
        is "check tells a FIFO named $name" test $? = 1
    done
    mkdir tpl
    cp -r "$OLDPWD"/templates/. tpl
    rm tpl/kernel.c.tpl
    mkfifo tpl/kernel.c.tpl
    check 2 "a FIFO" "$gen" generate $one --templates tpl -o none
    # What the caller handed over is read, also from a pipe.
    key=attn_f32_regular_sdpa_full_self_h4d16
    printf 'return { ["%s"] = { portable = { key_block = 64, tiles = 2 } } }\n' $key >t.lua
    "$gen" explain $lone --tune t.lua >want
    cat t.lua | "$gen" explain $lone --tune /dev/stdin >got
    is "--tune /dev/stdin, a pipe" cmp want got
    "$gen" explain $lone --tune /dev/stdin <t.lua >got
    is "--tune /dev/stdin, a file" cmp want got
    cat t.lua | { "$gen" explain $lone --tune /dev/fd/3 3<&0 >got; }
    is "--tune /dev/fd/3" cmp want got

    # --- Kills and full disks. ---
    step=9
    [ -z "${ATTN_FULL:-}" ] || step=1
    whole() { # whole NAMES..: out is one of these
        for name in "$@"; do
            if [ "$name" = none ]; then
                [ ! -e out ] || [ -z "$(ls -A out)" ]
            else
                diff -r "$name" out
            fi >/dev/null 2>&1 && return 0
        done
        return 1
    }
    start() { if [ "$1" = none ]; then rm -rf out; else fresh "$1"; fi; }
    strike() { # strike KIND N FLAGS..: generate with a fault
        fault=$1:$2
        shift 2
        (FAULT=$fault LD_PRELOAD=$build/fault.so "$gen" generate "$@" -o out; exit 0) >log 2>&1
    }
    calls=0 halves=0
    next=0
    for from in none one six; do
        for kind in kill torn full fullest; do
            n=1
            while :; do
                start $from
                strike $kind $n $two
                grep -q "fault: not reached" log && break
                calls=$((calls + 1))
                at="$from -> two, $kind at call $n"
                if "$gen" check out 2>&1 | grep -q "half-written"; then
                    halves=$((halves + 1))
                    [ $kind != full ] || bad "$at: a full disk leaves the old folder"
                    check 2 "half-written" "$gen" diff out one
                    check 2 "half-written" "$gen" diff one out
                    check 2 "half-written" "$gen" golden out -o none
                    check 2 "half-written" "$verify" --folder out cases/*
                elif [ $kind = full ]; then
                    is "$at: the old folder" whole $from
                else
                    is "$at: the old folder or the new one" whole $from two
                fi
                # Whatever model comes next.
                next=$(((next + 1) % 3))
                case $next in
                0) "$gen" generate $one -o out >log 2>&1; is "$at, then one" whole one ;;
                1) "$gen" generate $two -o out >log 2>&1; is "$at, then two" whole two ;;
                2) "$gen" generate $six -o out >log 2>&1; is "$at, then six" whole six ;;
                esac
                n=$((n + step))
            done
        done
    done
    echo "faults at $calls calls of attn-gen generate, $halves half-written folders, each told and repaired"

    # A limit of file sizes is a full disk too.
    fresh one
    check 2 "File too large" sh -c "ulimit -f 8; '$gen' generate $six -o out"
    is "a limit of file sizes: the old folder" whole one
    check 2 "File too large" sh -c "ulimit -f 1; '$gen' report $lone -o out/page"
    is "a limit of file sizes: no page" whole one

    # A single file among those of others.
    rm -rf out before
    mkdir out
    echo mine >out/notes.txt
    single="--heads 4 --head-dim 16 --isa portable --name solo --single-file"
    "$gen" generate $single -o out >log
    cp -r out before
    "$gen" generate $single --causal false -o out >log 2>&1 || cat log
    cp -r out behind
    n=1
    while :; do
        rm -rf out
        cp -r before out
        strike kill $n $single --causal false
        grep -q "fault: not reached" log && break
        if "$gen" check out/solo.c 2>&1 | grep -q "half-written"; then
            check 2 "half-written" "$gen" golden out/solo.c -o none
            check 2 "half-written" "$verify" --folder out cases/*
        else
            is "a single file, kill at call $n" whole before behind
        fi
        "$gen" generate $single -o out >log
        is "a single file, kill at call $n, again" whole before
        n=$((n + (step + 2) / 3))
    done
    check 2 "it has a manifest.json" "$gen" generate $single -o one

    # One file: the old one or the new one, and at most its own temporary beside it.
    for kind in kill torn full; do
        n=1
        while :; do
            rm -rf out
            mkdir out
            echo old >out/page
            (FAULT=$kind:$n LD_PRELOAD=$build/fault.so "$gen" explain $lone -o out/page; exit 0) >log 2>&1
            grep -q "fault: not reached" log && break
            is "explain -o, $kind at call $n" eval 'test "$(cat out/page)" = old || cmp out/page page'
            [ $kind != full ] || is "nothing is left" test "$(ls -A out)" = page
            "$gen" explain $lone -o out/page
            is "explain -o, $kind at call $n, again" test "$(ls -A out)" = page
            n=$((n + 1))
        done
    done

    # A disk that is really full.
    mkdir small
    if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=64k none small 2>/dev/null; then
        mounted=$work/small
        rm -rf out
        ln -s small/out out
        size=64 full=0
        while [ $size -le 1200 ]; do
            mount -o remount,size=${size}k small
            rm -rf small/out
            state=none
            if "$gen" generate $one -o small/out >log 2>&1; then state=one; else full=$((full + 1)); fi
            [ $state = one ] || is "a tmpfs of $size KB: nothing is left" test ! -e small/out
            if [ $state = one ]; then
                if "$gen" generate $six -o small/out >log 2>&1; then
                    is "a tmpfs of $size KB: the new folder" whole six
                else
                    full=$((full + 1))
                    is "a tmpfs of $size KB: the old folder" whole one
                fi
            fi
            size=$((size + 8 * step))
        done
        is "it was full, and it was not" test $full -gt 3 -a -e small/out/manifest.json
        umount small && mounted=""
        rm out
    else
        skip "a full tmpfs: needs root and mount"
    fi

    # --- Two writers. ---
    races=12
    [ -z "${ATTN_FULL:-}" ] || races=120
    i=0
    while [ $i -lt $races ]; do
        i=$((i + 1))
        if [ $((i % 3)) = 0 ]; then fresh six; else rm -rf out; fi
        "$gen" generate $one -o out >log1 2>&1 &
        first=$!
        "$gen" generate $two -o out >log2 2>&1
        second=$?
        wait $first
        is "race $i: both are done" test $? = 0 -a $second = 0
        is "race $i: no mix" whole one two
    done
    mkdir held
    flock held sleep 1 &
    check 0 "waiting for another attn-gen" sh -c "sleep 0.3; '$gen' generate $one -o held"
    wait
}
echo "folder: end to end"
echo "$passed passed, $failed failed, $skipped skipped"
"$build/folder-faults" ${ATTN_FULL:+--full} 2>/dev/null || failed=1
[ "$failed" = 0 ]
