#!/bin/sh
# CMake projects of others that take a generated folder: C, C++ or both; with and without a build
# type; static and shared; as a subdirectory, by FetchContent, two models in one project, installed,
# as a single file; C++ by the handles of the generated .hpp too. Kernels are never at -O0 unless the project says so. ATTN_FULL=1: every
# combination (WAYS="fetch two": of these ways alone); else a few that have each value at least once.
set -u
cd "$(dirname "$0")/../.."
export OMP_WAIT_POLICY=passive
unset CFLAGS CXXFLAGS CMAKE_BUILD_TYPE CMAKE_GENERATOR BUILD_SHARED_LIBS
. tests/product/results.sh

slow='compiled at -O0' # what registry.c says of itself there
is_slow() { grep -q "$slow" "$1/build.log"; }
build() { # build DIR CONFIG..: as much as there are
    dir=$1
    shift
    for config in "${@:-}"; do
        cmake --build "$dir" --parallel "$jobs" ${config:+--config "$config"} || return 1
    done >"$dir/build.log" 2>&1 || { cat "$dir/build.log" && return 1; }
}
run() { # run DIR [CONFIG]: its tests, of which there must be some
    ctest --test-dir "$1" ${2:+-C "$2"} | tee "$1/test.log"
    grep -q '^100% tests passed, 0 tests failed out of [1-9]' "$1/test.log"
}
configure() { # configure DIR SOURCE FLAGS..
    dir=$1 source=$2
    shift 2
    cmake -S "$source" -B "$dir" "$@"
}

# project NAME WAY LANGUAGES BUILD_TYPE SHARED FLAGS..: built, fast, and run
project() {
    dir=$work/$1 way=$2 languages=$3 type=$4 shared=$5
    shift 5
    folder=$work/quick
    if [ "$way" = single ]; then folder=$work/single; fi
    configure "$dir" $here/cmake -DWAY="$way" -DLANGUAGES="$languages" ${type:+-DCMAKE_BUILD_TYPE=$type} \
        -DBUILD_SHARED_LIBS="$shared" -DFOLDER="$folder" -DOTHER="$work/other" \
        -DCMAKE_PREFIX_PATH="$work/prefix-$shared" "$@" &&
        build "$dir" && run "$dir" || return 1
    if is_slow "$dir"; then
        # A single file has no build files that could say more than the project does.
        [ "$way" = single ] && [ -z "${type#Debug}" ]
    fi
}
case_of() { # case_of WAY LANGUAGES BUILD_TYPE SHARED FLAGS..
    name=$1-$(printf %s "$2" | tr ';' '+')-${3:-none}-$4
    check "$name" project "$name" "$@"
}

install_library() { # install_library SHARED FLAGS..: with no build type, for products of all kinds
    dir=$work/library-$1 shared=$1
    shift
    configure "$dir" "$work/quick" -DBUILD_SHARED_LIBS="$shared" "$@" && build "$dir" && run "$dir" || return 1
    if is_slow "$dir"; then return 1; fi
    cmake --install "$dir" --prefix "$work/prefix-$shared" &&
        has pkg-config || return 0
    pc=$(dirname "$(find "$work/prefix-$shared" -name quick.pc)")
    libdir=$(PKG_CONFIG_PATH=$pc pkg-config --variable=libdir quick)
    ls "$libdir"/libquick.* && [ "${libdir#"$work/prefix-$shared/"}" != "$libdir" ]
}
other_version() { # a product that asks for an interface of another version is told
    if configure "$work/version" $here/cmake -DWAY=installed -DLANGUAGES=C -DVERSION=9.1 \
        -DCMAKE_PREFIX_PATH="$work/prefix-OFF" >"$work/version.log" 2>&1; then return 1; fi
    grep -q 'requested version "9.1"' "$work/version.log"
}
no_openmp() { # the library without OpenMP asks its users for none
    configure "$work/serial" "$work/quick" -DATTN_OPENMP=OFF && build "$work/serial" &&
        cmake --install "$work/serial" --prefix "$work/prefix-serial" &&
        project serial-use installed CXX "" serial -DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON
}
unoptimized() { # what the project asks for is what it gets, and is said
    configure "$work/slow" "$work/quick" -DATTN_OPTIMIZE=OFF -DCMAKE_BUILD_TYPE=Debug &&
        build "$work/slow" && is_slow "$work/slow" || return 1
    configure "$work/wish" "$work/quick" -DCMAKE_C_FLAGS="-g -O1" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON &&
        grep -q -e '-g -O1 ' "$work/wish/compile_commands.json" || return 1
    if grep -q -e '-O2' "$work/wish/compile_commands.json"; then return 1; fi
}
several_configurations() {
    dir=$work/multi
    configure "$dir" $here/cmake -G "Ninja Multi-Config" -DWAY=subdirectory -DLANGUAGES=CXX \
        -DFOLDER="$work/quick" && build "$dir" Debug Release && run "$dir" Debug && run "$dir" Release || return 1
    if is_slow "$dir"; then return 1; fi
}

if ! has cmake; then
    skip "foreign projects: cmake is not installed"
    results
    exit
fi
clang=
if has clang && has clang++; then clang="-DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++"; fi
# One instruction set: what is tested here is how files are built, not what is in them.
check generate "$gen" generate $here/quick.lua --isa portable -o "$work/quick"
check generate-other "$gen" generate $here/quick.lua --isa portable --name other -o "$work/other"
check generate-single "$gen" generate $here/quick.lua --isa portable --single-file -o "$work/single"
(
    check library-static install_library OFF
    case_of installed C "" OFF -DVERSION=0.1
    case_of installed CXX "" OFF -DVERSION=0.1
    check other-version other_version
    check unoptimized unoptimized
) &
(
    # shellcheck disable=SC2086
    check library-shared install_library ON $clang
    case_of installed CXX Debug ON
    # shellcheck disable=SC2086
    case_of subdirectory CXX "" ON $clang
    case_of subdirectory C Debug OFF
    case_of single CXX Release OFF
) &
wait
(
    case_of two "C;CXX" "" OFF
    if has ninja; then
        check several-configurations several_configurations
    else
        skip "several configurations: ninja is not installed"
    fi
) &
(
    case_of fetch CXX Release OFF
    check no-openmp no_openmp
) &
wait
if [ -n "${ATTN_FULL:-}" ]; then
    for way in ${WAYS:-subdirectory fetch two installed single}; do
        for languages in C CXX "C;CXX"; do
            for type in "" Debug Release RelWithDebInfo MinSizeRel; do
                rm -rf "$work/$way-"*
                case_of $way "$languages" "$type" OFF &
                case_of $way "$languages" "$type" ON &
                wait
            done
        done
    done
fi
results
