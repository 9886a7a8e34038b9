#!/bin/sh
# A model as a guest of a process: what its shared libraries show, however they are built; threads,
# forks and dlclose; two models in one program.
set -u
cd "$(dirname "$0")/../.."
gen=$(pwd)/${BUILD:-build}/attn-gen
here=$(pwd)/tests/product
cc=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive ATTN_ISA=portable
flags="-O0 -DATTN_TEST_CPUS=8"
cd "$work" || exit 1
passed=0
failed=0
check() { # check NAME COMMAND..
    name=$1
    shift
    if "$@" >log 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name" && sed 's/^/    /' log | tail -n 20
    fi
}

# declared HEADER FLAGS..: the functions and objects that a product sees.
declared() {
    header=$1
    shift
    echo "#include \"$header\"" | $cc -E -P "$@" - | grep -v '^static' |
        grep -oE '\b(attn|one|two|layer)_[a-z_]+ ?\(|\b(one|two|layer)_layer\b' | tr -d ' (' | sort -u
}
shows() { # shows LIBRARY HEADER FLAGS..: these symbols and no others
    library=$1
    shift
    nm -D --defined-only "$library" | sed -E 's/^[0-9a-f]* [A-Z] //' | sort -u >shown
    declared "$@" | diff - shown
}
kernel() { # kernel NAME FLAGS..: a folder, its Makefile's libraries
    name=$1
    shift
    "$gen" generate "$@" --isa portable --name "$name" -o "$name" &&
        make -s -j "$(nproc)" -C "$name" CC="$cc" CFLAGS="$flags" lib shared
}
single() { # single NAME FLAGS..: one file; nothing but -shared
    name=$1
    shift
    mkdir -p one-file
    "$gen" generate "$@" --isa portable --name "$name" --single-file -o one-file &&
        $cc $flags -fPIC -shared -fopenmp "one-file/$name.c" -o "one-file/lib$name.so" -lm
}
foreign() { # the archive inside a product's own library
    $cc -shared -o libforeign.so -Wl,--whole-archive one/build/libone.a -Wl,--no-whole-archive \
        -fopenmp -lm && shows libforeign.so one.h -Ione
}
cmake_shared() {
    cmake -S two -B by-cmake -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_TYPE=None \
        -DCMAKE_C_FLAGS="$flags" -DCMAKE_C_COMPILER="$cc" && cmake --build by-cmake
}
linked() { # linked DIRECTORY OF ONE, OF TWO
    $cc -DLINKED "$here/process.c" -o linked -Ione -Itwo -L"$1" -lone -L"$2" -ltwo \
        -Wl,-rpath,"$1" -Wl,-rpath,"$2" -ldl && ./linked
}

check kernel-one kernel one --heads 4 --head-dim 64
check kernel-two kernel two --heads 2 --head-dim 32
check single-one single one --heads 4 --head-dim 64
check single-two single two --heads 2 --head-dim 32
check layer "$gen" generate "$here/layer.lua" --isa portable --single-file -o layer
check layer-shared $cc -O0 -fPIC -shared layer/layer.c -o layer/liblayer.so -lm
check process $cc -Ione/runtime "$here/process.c" -o process -ldl

check shows-make shows one/build/libone.so one.h -Ione
check shows-single shows one-file/libone.so one.h -Ione-file
check shows-layer shows layer/liblayer.so layer.h -Ilayer
check shows-foreign foreign
if command -v cmake >/dev/null 2>&1; then
    check cmake cmake_shared
    check shows-cmake shows by-cmake/libtwo.so two.h -Itwo
    check close-cmake ./process close ./by-cmake/libtwo.so
fi

one=./one/build/libone.so two=./two/build/libtwo.so
check threads ./process threads $one
check fork ./process fork $one
check fork-single ./process fork ./one-file/libone.so
check close ./process close $one
for scope in local global; do
    check "two-$scope" ./process two $one $two $scope
    check "two-$scope-single" ./process two ./one-file/libone.so ./one-file/libtwo.so $scope
    check "two-$scope-mixed" ./process two $two ./one-file/libone.so $scope
done
check linked linked "$work/one/build" "$work/two/build"
check linked-single linked "$work/one-file" "$work/one-file"
check linked-mixed linked "$work/one-file" "$work/two/build"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
