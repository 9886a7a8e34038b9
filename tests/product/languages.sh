#!/bin/sh
# NAME.hpp and NAME.py of generated folders: cores, one with expressions, a layer, what serves many
# users, and whole models.
# C++17 and 20, g++ and clang++, without exceptions; Python with numpy ($PYTHON, or one that has it),
# modules and libraries that do not fit each other too.
set -u
cd "$(dirname "$0")/../.."
export OMP_WAIT_POLICY=passive
. tests/product/results.sh
cases=tests/golden/model

folder() { # folder NAME MODEL FLAG..: and its libraries
    name=$1 model=$2
    shift 2
    "$gen" generate "$model" --name "$name" --isa portable -o "$work/$name" "$@" &&
        make -s -j 2 -C "$work/$name" CFLAGS=-O0 lib shared
}
strict() { # strict CXX STANDARD NAME: the header alone
    echo "#include \"$3.hpp\"" | "$1" -std="c++$2" -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
        -Werror -fno-exceptions -fno-rtti -fsyntax-only -I"$work/$3" -x c++ -
}
program() { # program CXX STANDARD NAME SOURCE: built with the folder's archive
    "$1" -std="c++$2" -O1 -Wall -Wextra -Wpedantic -Werror -fopenmp -I"$work/$3" "$here/$4" \
        "$work/$3/build/lib$3.a" -lm -o "$work/$4-$1"
}
tokens() { # tokens COMMAND..: as tokens.c prints them
    [ "$("$@" $cases/llama 1 2 3)" = "44 44 44 8 50 9 36 24" ]
}
several() { # two headers in one program, each with its own namespace
    printf '#include "my.hpp"\n#include "layer.hpp"\n#include "my.hpp"\n%s\n' \
        'attn::my::span<int> s; attn::layer::span<const int> t(s);' |
        "$1" -std=c++17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$work/my" -I"$work/layer" -x c++ -
}

check my folder my $here/my.lua
check quick folder quick $here/quick.lua
check layer folder layer $here/layer.lua
check users folder users $here/users.lua
check llama folder llama $cases/llama
check t5 folder t5 $cases/t5
check bert folder bert $cases/bert --pool pooler
for cxx in g++ clang++; do
    has $cxx || { skip "C++ by $cxx: it is not installed" && continue; }
    standard=17
    if [ $cxx = g++ ]; then standard=20; fi
    for name in my layer users llama t5; do
        check $cxx-17-$name strict $cxx 17 $name
        check $cxx-20-$name strict $cxx 20 $name
    done
    check $cxx-several several $cxx
    check $cxx-use program $cxx $standard quick use.cpp && check $cxx-use-runs "$work/use.cpp-$cxx"
    check $cxx-layer program $cxx 17 layer layer.cpp && check $cxx-layer-runs "$work/layer.cpp-$cxx"
    check $cxx-users program $cxx 17 users users.cpp && check $cxx-users-runs "$work/users.cpp-$cxx"
    check $cxx-encode program $cxx 17 t5 encode.cpp &&
        check $cxx-encode-runs "$work/encode.cpp-$cxx" $cases/t5
    check $cxx-tokens program $cxx $standard llama tokens.cpp &&
        check $cxx-tokens-runs tokens "$work/tokens.cpp-$cxx"
done

# Names that C++ and Python have themselves.
keyword() { # keyword NAME
    "$gen" generate $here/quick.lua --name "$1" --isa portable -o "$work/$1" && [ -e "$work/$1/$1_.py" ] &&
        printf '#include "%s.hpp"\nattn::%s_::plan p;\n' "$1" "$1" |
            g++ -std=c++17 -fsyntax-only -I"$work/$1" -x c++ - && "$gen" check "$work/$1"
}
lengths() { # every place of a name has room for short and long ones; full: of each length
    name=mmmmmmm step=_mmmmmmm
    [ -z "${ATTN_FULL:-}" ] || name=m step=_m
    while [ ${#name} -lt 63 ]; do
        name=$name$step
        for model in $here/my.lua $here/layer.lua $cases/llama; do
            "$gen" generate "$model" --name "$name" --isa portable --runtime "$PWD/runtime" -o "$work/names" ||
                return 1
            rm -r "$work/names"
        done
    done
}
check lengths lengths
if has g++; then
    check keyword keyword class
    check module keyword random
fi

with_numpy
if [ -n "$python" ]; then
    export PYTHONPATH="$work/my:$work/layer:$work/users:$work/llama:$work/bert:$work/t5" PYTHONDONTWRITEBYTECODE=1
    check python "$python" -W error $here/languages.py $cases
    check python-tokens tokens "$python" $here/tokens.py
else
    skip "Python: no python3 here has numpy (PYTHON=.. names one that does)"
fi
results
