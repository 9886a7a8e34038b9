#!/bin/sh
# The package in every way that a product may take it: folder by its Makefile, pkg-config (as it
# stands and installed), CMake (as a subdirectory and installed), single file; static and shared; a
# C and a C++ program from each; gcc and clang. Then attn-gen itself: installed, moved, run there.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
gen=$(pwd)/$build/attn-gen
here=$(pwd)/tests/product
jobs=$(nproc 2>/dev/null || echo 2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive

check() { # check NAME COMMAND..
    name=$1
    shift
    if "$@" >"$work/$name.log" 2>&1; then
        echo "pass $name" >>"$work/results"
    else
        { echo "FAIL $name" && sed 's/^/    /' "$work/$name.log" | tail -n 20; } >>"$work/results"
    fi
}
skip() {
    echo "skipped $1" >>"$work/results"
}
has() { command -v "$1" >/dev/null 2>&1; }

cxx_of() {
    case $1 in gcc) echo g++ ;; clang) echo clang++ ;; esac
}

# use CC OUT FLAGS..: the product in C and in C++, built with these flags and run.
use() {
    cc=$1 out=$2
    shift 2
    "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -O1 "$here/use.c" -o "$out-c" "$@" -lm &&
        "$out-c" | grep -q '^attn_f32_regular_sdpa_segment_cross' || return 1
    cxx=$(cxx_of "$cc")
    has "$cxx" || { skip "$out: $cxx is not installed" && return 0; }
    "$cxx" -std=c++11 -Wall -Wextra -Wpedantic -Werror -O1 -x c++ "$here/use.c" -x none -o "$out-cpp" \
        "$@" -lm && "$out-cpp" | grep -q '^attn_f32_regular_sdpa_segment_cross'
}

pc() { # pc DIR ARGUMENTS..: pkg-config on one folder
    folder=$1
    shift
    PKG_CONFIG_PATH=$folder pkg-config "$@"
}

folder() { # folder CC: Makefile and pkg-config
    cc=$1 dir=$work/folder-$1 prefix=$work/prefix-$1
    cp -r "$work/quick" "$dir"
    check "$cc-make" make -s -j "$jobs" -C "$dir" CC="$cc" CFLAGS=-O1 lib shared
    check "$cc-selftest" make -s -j "$jobs" -C "$dir" CC="$cc" CFLAGS=-O1 selftest
    openmp=$(make -s -C "$dir" CC="$cc" -pn 2>/dev/null | sed -n 's/^OPENMP := //p')
    # shellcheck disable=SC2086
    check "$cc-make-static" use "$cc" "$work/$cc-ms" -I"$dir" "$dir/build/libquick.a" $openmp
    check "$cc-make-shared" use "$cc" "$work/$cc-md" -I"$dir" -L"$dir/build" -lquick \
        -Wl,-rpath,"$dir/build"
    check "$cc-install" make -s -C "$dir" CC="$cc" CFLAGS=-O1 install PREFIX="$prefix"
    has pkg-config || { skip "$cc-pkg-config: pkg-config is not installed" && return; }
    # shellcheck disable=SC2046
    check "$cc-pkg-config" use "$cc" "$work/$cc-pf" $(pc "$dir" --cflags --libs quick) \
        -Wl,-rpath,"$dir/build"
    # shellcheck disable=SC2046
    check "$cc-pkg-config-shared" use "$cc" "$work/$cc-ps" \
        $(pc "$prefix/lib/pkgconfig" --cflags --libs quick) -Wl,-rpath,"$prefix/lib"
    rm "$prefix/lib/libquick.so"
    # shellcheck disable=SC2046
    check "$cc-pkg-config-static" use "$cc" "$work/$cc-pa" \
        $(pc "$prefix/lib/pkgconfig" --static --cflags --libs quick)
}

cmake_ways() { # cmake_ways CC
    cc=$1 dir=$work/cmake-$1
    has cmake || { skip "$cc-cmake: cmake is not installed" && return; }
    has "$(cxx_of "$cc")" || { skip "$cc-cmake: $(cxx_of "$cc") is not installed" && return; }
    mkdir "$dir"
    set -- -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$(cxx_of "$cc")" -DCMAKE_C_FLAGS=-O1
    check "$cc-layer-cmake" layer_cmake "$cc"
    check "$cc-cmake-static" cmake_product "$dir/static" -DQUICK_FOLDER="$work/quick" "$@"
    check "$cc-cmake-install" cmake_install "$dir" "$@"
    check "$cc-cmake-installed" cmake_product "$dir/shared" \
        -DCMAKE_PREFIX_PATH="$dir/prefix" "$@"
}
cmake_product() {
    out=$1
    shift
    cmake -S "$here/cmake" -B "$out" "$@" && cmake --build "$out" && "$out/use" && "$out/use-cpp"
}
cmake_install() {
    out=$1
    shift
    cmake -S "$work/quick" -B "$out/build" -DBUILD_SHARED_LIBS=ON "$@" &&
        cmake --build "$out/build" && ctest --test-dir "$out/build" &&
        cmake --install "$out/build" --prefix "$out/prefix" &&
        grep -q "^libdir=$out/prefix/lib" "$out"/prefix/lib*/pkgconfig/quick.pc "$out"/prefix/lib/*/pkgconfig/quick.pc
}

single() { # single CC: no flags at all; then strict ones, OpenMP, shared
    cc=$1 dir=$work/single-$1
    cp -r "$work/single" "$dir"
    check "$cc-single-compiles" "$cc" -O2 -c "$dir/quick.c" -o "$dir/quick.o"
    check "$cc-single-strict" "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -O1 -fPIC -shared \
        "$dir/quick.c" -lm -o "$dir/libquick.so"
    check "$cc-single-static" use "$cc" "$work/$cc-ss" -I"$dir" "$dir/quick.o"
    check "$cc-single-shared" use "$cc" "$work/$cc-sd" -I"$dir" -L"$dir" -lquick -Wl,-rpath,"$dir"
}
run_layer() { # run_layer CC FLAGS..: the README's layer on the weights of a golden
    cc=$1
    shift
    "$cc" -std=gnu11 -Wall -Wextra -Wpedantic -Werror -O1 "$here/layer.c" -o "$work/$cc-layer" "$@" -lm &&
        "$work/$cc-layer" "$here/../golden/block/llama3.safetensors" w. in.x | diff "$here/layer.txt" -
}
layer_single() { # layer_single CC
    "$1" -std=c11 -Wall -Wextra -Wpedantic -Werror -O2 -c "$work/layer-single/layer.c" -o "$work/$1-layer.o" &&
        run_layer "$1" -I"$work/layer-single" "$work/$1-layer.o"
}
layer_cmake() { # layer_cmake CC
    out=$work/cmake-$1/layer
    cmake -S "$work/layer" -B "$out" -DCMAKE_C_COMPILER="$1" -DATTN_OPENMP=OFF && cmake --build "$out" &&
        run_layer "$1" -I"$work/layer" "$out/liblayer.a"
}
openmp_single() {
    gcc -O1 -fopenmp -c "$work/single/quick.c" -o "$work/openmp.o" &&
        use gcc "$work/openmp" -I"$work/single" "$work/openmp.o" -fopenmp
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
check generate-single "$gen" generate "$here/quick.lua" --single-file -o "$work/single"
check generate-layer "$gen" generate "$here/layer.lua" --isa portable,avx2 -o "$work/layer"
check generate-layer-single "$gen" generate "$here/layer.lua" --single-file -o "$work/layer-single"
check two-files two_files "$work/single"
check no-foreign-file no_foreign_file
check stale-single stale_single
check named named
cp "$here/quick.lua" "$work"
check installed installed
for cc in gcc clang; do
    if ! has $cc; then
        skip "$cc is not installed"
        continue
    fi
    (
        folder $cc
        single $cc
        check $cc-layer-single layer_single $cc
        cmake_ways $cc
    ) &
done
wait
has gcc && check single-openmp openmp_single

grep -v '^pass' "$work/results"
awk '/^pass/ {p++} /^FAIL/ {f++} /^skipped/ {s++}
    END {printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0}' "$work/results"
