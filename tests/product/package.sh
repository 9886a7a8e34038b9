#!/bin/sh
# The package in every way that a product without CMake may take it (foreign.sh: with it): folder by
# its Makefile, pkg-config (as it stands and installed), single file; static and shared; a C and a
# C++ program from each; gcc and clang, and mingw's gcc for Windows. Then attn-gen itself:
# installed, moved, run there.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
export OMP_WAIT_POLICY=passive
. tests/product/results.sh
with_numpy
# Not every C library has these: what calls them does not link.
lean="-Daligned_alloc=absent_aligned_alloc -Dposix_memalign=absent_posix_memalign"

# use CC OUT FLAGS..: the product in C and in C++, built with these flags and run.
use() {
    cc=$1 out=$2
    shift 2
    # shellcheck disable=SC2086
    "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -O1 $lean "$here/use.c" -o "$out-c" "$@" &&
        "$out-c" | grep -q '^attn_f32_regular_sdpa_segment_cross' || return 1
    cxx=$(cxx_of "$cc")
    has "$cxx" || { skip "$out: $cxx is not installed" && return 0; }
    "$cxx" -std=c++11 -Wall -Wextra -Wpedantic -Werror -O1 -x c++ "$here/use.c" -x none -o "$out-cpp" \
        "$@" && "$out-cpp" | grep -q '^attn_f32_regular_sdpa_segment_cross'
}

pc() { # pc DIR ARGUMENTS..: pkg-config on one folder
    folder=$1
    shift
    PKG_CONFIG_PATH=$folder pkg-config "$@"
}

folder() { # folder CC: Makefile and pkg-config
    cc=$1 dir=$work/folder-$1 prefix=/opt/quick root=$work/root-$1
    pc=$root$prefix/lib/pkgconfig
    cp -r "$work/quick" "$dir"
    check "$cc-make" make -s -j "$jobs" -C "$dir" CC="$cc" CFLAGS="-Og $lean" lib
    check "$cc-selftest" make -s -j "$jobs" -C "$dir" CC="$cc" CFLAGS="-Og $lean" selftest
    openmp=$(make -s -C "$dir" CC="$cc" -pn 2>/dev/null | sed -n 's/^OPENMP := //p')
    # shellcheck disable=SC2086
    check "$cc-make-static" use "$cc" "$work/$cc-ms" -I"$dir" "$dir/build/libquick.a" $openmp -lm
    has pkg-config || { skip "$cc-pkg-config: pkg-config is not installed" && return; }
    # shellcheck disable=SC2046
    check "$cc-pkg-config" use "$cc" "$work/$cc-pf" $(pc "$dir" --cflags --libs quick)
    check "$cc-install" make -s -C "$dir" CC="$cc" CFLAGS=-Og install PREFIX=$prefix DESTDIR="$root"
    # shellcheck disable=SC2046
    check "$cc-pkg-config-shared" use "$cc" "$work/$cc-ps" \
        $(pc "$pc" --define-variable=prefix="$root$prefix" --cflags --libs quick) -Wl,-rpath,"$root$prefix/lib"
    check "$cc-make-shared" use "$cc" "$work/$cc-md" -I"$dir" -L"$dir/build" -lquick \
        -Wl,-rpath,"$dir/build" -lm
    if [ "$python" ]; then
        check "$cc-python-installed" env PYTHONPATH="$root$prefix/lib/quick" "$python" -c \
            "import os, quick; assert os.path.samefile(quick.load().path, '$root$prefix/lib/libquick.so')"
    else
        skip "$cc-python-installed: no python3 here has numpy (PYTHON=.. names one that does)"
    fi
    rm "$root$prefix/lib/libquick.so"
    for static in "" --static; do
        # shellcheck disable=SC2046,SC2086
        check "$cc-pkg-config-installed$static" use "$cc" "$work/$cc-pa" \
            $(pc "$pc" $static --define-variable=prefix="$root$prefix" --cflags --libs quick)
    done
}

# make's own flags: -O2 unless CFLAGS says another -O; another folder; install in an empty DESTDIR
flags() {
    dir=$work/portable
    make -C "$dir" -n CFLAGS=-g BUILD="$work/elsewhere" lib >"$work/flags" &&
        [ "$(grep -c -e ' -O2 .*-g .*-c ' "$work/flags")" -gt 6 ] &&
        make -C "$dir" -n CFLAGS=-O3 lib | grep -q -e ' -O2 .*-O3 .*-c ' &&
        CFLAGS=-g make -C "$dir" -n lib | grep -q -e ' -O2 .*-g .*-c ' || return 1
    make -s -j "$jobs" -C "$dir" BUILD="$work/elsewhere" CFLAGS=-O0 lib && [ -e "$work/elsewhere/libquick.a" ] &&
        [ ! -e "$dir/build" ]
}

run_windows() { # run_windows PROGRAM..: where wine is
    WINEPREFIX=$work/wine WINEDEBUG=-all wine "$@" | tr -d '\r'
}
windows() { # folder, README's programs; no DLL of the compiler's is needed
    cc=x86_64-w64-mingw32-gcc dir=$work/folder-windows
    strict="-std=c11 -Wall -Wextra -Wpedantic -Werror -O1 -static"
    cp -r "$work/quick" "$dir"
    check windows-make make -s -j "$jobs" -C "$dir" CC=$cc LDFLAGS=-static \
        CFLAGS="-O1 -Wall -Wextra -Wpedantic -Werror" lib shared build/selftest.exe
    # shellcheck disable=SC2086
    check windows-use $cc $strict -I"$dir" "$here/use.c" "$dir/build/libquick.a" -fopenmp -o "$work/use.exe"
    # shellcheck disable=SC2086
    check windows-single $cc $strict -I"$work/layer-single" "$here/layer.c" "$work/layer-single/layer.c" \
        -o "$work/layer.exe"
    has wine || { skip "programs for Windows are not run: wine is not installed" && return; }
    run_windows wineboot -i >/dev/null 2>&1
    check windows-selftest run_windows "$dir/build/selftest.exe"
    check windows-selftest-all grep -q '^6 passed, 0 failed, 0 skipped\|^[24] passed, 0 failed, [42] skipped' \
        "$work/windows-selftest.log"
    check windows-use-runs run_windows "$work/use.exe"
    check windows-use-all [ "$(grep -c '^attn_f32_regular_' "$work/windows-use-runs.log")" = 2 ]
    check windows-layer-runs run_windows "$work/layer.exe" "$here/../golden/block/llama3.safetensors" w. in.x
    check windows-layer diff "$here/layer.txt" "$work/windows-layer-runs.log"
    WINEPREFIX=$work/wine wineserver -k
}

single() { # single CC: no flags but -Og, portable; then strict ones, shared, all instruction sets
    cc=$1 dir=$work/single-$1
    cp -r "$work/single" "$dir"
    check "$cc-single-compiles" "$cc" -Og -c "$work/single-portable/quick.c" -o "$dir/quick.o"
    check "$cc-single-strict" "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -Og -fPIC -shared \
        "$dir/quick.c" -lm -o "$dir/libquick.so"
    check "$cc-single-static" use "$cc" "$work/$cc-ss" -I"$dir" "$dir/quick.o" -lm
    check "$cc-single-shared" use "$cc" "$work/$cc-sd" -I"$dir" -L"$dir" -lquick -Wl,-rpath,"$dir" -lm
}
run_layer() { # run_layer CC FLAGS..: the README's layer on the weights of a golden
    cc=$1
    shift
    # shellcheck disable=SC2086
    "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -Og $lean "$here/layer.c" -o "$work/$cc-layer" "$@" -lm &&
        "$work/$cc-layer" "$here/../golden/block/llama3.safetensors" w. in.x | diff "$here/layer.txt" -
}
layer_single() { # layer_single CC
    "$1" -std=c11 -Wall -Wextra -Wpedantic -Werror -Og -c "$work/layer-single/layer.c" -o "$work/$1-layer.o" &&
        run_layer "$1" -I"$work/layer-single" "$work/$1-layer.o"
}
blocks_single() { # weights in blocks, whose scales no core has the type of
    "$gen" generate --level block --d-model 256 --n-heads 4 --weight-type q4_k --kv-type i8 --dot f32 \
        --name blocks --single-file -o "$work/blocks-single" &&
        ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$work/blocks-single/blocks.c"
}
layer_cmake() { # layer_cmake CC
    out=$work/cmake-$1/layer
    cmake -S "$work/layer" -B "$out" -DCMAKE_C_COMPILER="$1" -DATTN_OPENMP=OFF -DCMAKE_C_FLAGS=-O0 && cmake --build "$out" &&
        run_layer "$1" -I"$work/layer" "$out/liblayer.a"
}
openmp_single() {
    gcc -Og -fopenmp -c "$work/single-portable/quick.c" -o "$work/openmp.o" &&
        use gcc "$work/openmp" -I"$work/single-portable" "$work/openmp.o" -fopenmp -lm
}
two_files() {
    [ "$(ls "$1")" = "quick.c
quick.h" ] && "$gen" check "$1/quick.c"
}
no_foreign_file() { # a file of the user's is not replaced
    mkdir "$work/own" && echo 'int mine;' >"$work/own/quick.h" || return 1
    "$gen" generate "$here/quick.lua" --single-file -o "$work/own" && return 1
    [ "$(cat "$work/own/quick.h")" = 'int mine;' ] && [ ! -e "$work/own/quick.c" ]
}
stale_single() {
    sed 's/quick_create(/quick_make(/' "$work/single/quick.h" >"$work/stale.h" || return 1
    mkdir "$work/stale" && cp "$work/single/quick.c" "$work/stale" && mv "$work/stale.h" "$work/stale/quick.h"
    "$gen" check "$work/stale/quick.c" | grep -q 'quick.h: stale'
}
named() { # --name, for flags and for a model file
    "$gen" generate --heads 2 --head-dim 8 --isa portable --name tiny-head -o "$work/named" &&
        [ -e "$work/named/tiny_head.h" ] && "$gen" check "$work/named" || return 1
    "$gen" generate --heads 2 --head-dim 8 --name attn -o "$work/refused" && return 1
    [ ! -e "$work/refused" ]
}

installed() { # to DESTDIR, moved, run elsewhere without the tree
    make -s install BUILD="$build" DESTDIR="$work/dest" PREFIX=/opt/attn >/dev/null &&
        mv "$work/dest/opt/attn" "$work/moved" && cd "$work" || return 1
    moved=$work/moved
    "$moved/bin/attn-gen" --version | grep -q '^attn-gen [0-9]' &&
        "$moved/bin/attn-verify" --version | grep -q '^attn-verify [0-9]' &&
        "$moved/bin/attn-gen" generate quick.lua -o from-moved && diff -r quick from-moved || return 1
    grep -q '^\.SH COMMANDS' "$moved/share/man/man1/attn-gen.1" &&
        grep -q 'retr\\-dim' "$moved/share/man/man1/attn-gen.1" || return 1
    bash -c '. "$1" && COMP_WORDS=(attn-gen generate --op s) COMP_CWORD=3 && _attn_gen &&
        [ "${COMPREPLY[*]}" = "sliding_self segment_cross" ]' - \
        "$moved/share/bash-completion/completions/attn-gen" || return 1
    for command in $("$moved/bin/attn-gen" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
        "$moved/bin/attn-gen" "$command" --help | grep -q '^Example:' || return 1
    done
}

check generate "$gen" generate "$here/quick.lua" -o "$work/quick"
check generate-portable "$gen" generate "$here/quick.lua" --isa portable -o "$work/portable"
check generate-single "$gen" generate "$here/quick.lua" --single-file -o "$work/single"
check generate-single-portable "$gen" generate "$here/quick.lua" --isa portable --single-file -o "$work/single-portable"
check generate-layer "$gen" generate "$here/layer.lua" --isa portable,avx2 -o "$work/layer"
check generate-layer-single "$gen" generate "$here/layer.lua" --isa portable,avx2 --single-file -o "$work/layer-single"
check blocks-single blocks_single
check two-files two_files "$work/single"
check no-foreign-file no_foreign_file
check stale-single stale_single
check named named
cp "$here/quick.lua" "$work"
check installed installed
(
    check flags flags
    if has x86_64-w64-mingw32-gcc; then
        windows
    else
        skip "Windows: x86_64-w64-mingw32-gcc is not installed"
    fi
) &
for cc in gcc clang; do
    if ! has $cc; then
        skip "$cc is not installed"
        continue
    fi
    (
        folder $cc
        single $cc
        check $cc-layer-single layer_single $cc
        if has cmake; then check $cc-layer-cmake layer_cmake $cc; else skip "$cc-layer-cmake: no cmake"; fi
    ) &
done
wait
has gcc && check single-openmp openmp_single

results
