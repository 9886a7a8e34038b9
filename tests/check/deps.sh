#!/bin/sh
# Installs what is missing (Debian packages, as root or by sudo), or names it. `deps.sh test` also
# asks for what only the tests need, `deps.sh full` for more compilers too, where apt has them.
set -eu
missing=""
need() { # need FILE-OR-COMMAND PACKAGE
    case "$1" in
    /*) [ -e "$1" ] && return 0 ;;
    *) command -v "$1" >/dev/null 2>&1 && return 0 ;;
    esac
    missing="$missing $2"
}
library() { # library HEADER PACKAGE: found by the compiler, wherever it is
    printf '#include <%s>\n' "$1" | ${CC:-cc} -I/usr/include/lua5.4 -E - >/dev/null 2>&1 ||
        missing="$missing $2"
}
need "${CC:-cc}" gcc
command -v "${CC:-cc}" >/dev/null 2>&1 || missing="$missing libc6-dev"
[ -n "$missing" ] || library lua.h liblua5.4-dev
[ -n "$missing" ] || library cjson/cJSON.h libcjson-dev
if [ -n "$missing" ]; then missing="$missing liblua5.4-dev libcjson-dev"; fi
if [ "${1:-}" = test ] || [ "${1:-}" = full ]; then
    printf '#include <criterion/criterion.h>\n' | ${CC:-cc} -E - >/dev/null 2>&1 ||
        missing="$missing libcriterion-dev"
    need gcc gcc
    need g++ g++
    need clang clang
    need clang-format clang-format
    need cmake cmake
    need pkg-config pkg-config
fi
optional() { # optional COMMAND PACKAGE
    if apt-cache show "$2" >/dev/null 2>&1; then need "$1" "$2"; fi
}
if [ "${1:-}" = full ]; then
    optional gcc-11 gcc-11
    optional clang-16 clang-16
    optional i686-linux-gnu-gcc gcc-i686-linux-gnu
    # Without these, tests say what they skip.
    need ninja ninja-build
    need x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64
    need wine wine64
    need python3 python3
fi
[ -n "$missing" ] || exit 0
echo "deps: missing:$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "deps: install the packages above with this system's package manager, then try again" >&2
    exit 1
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "deps: not root and no sudo: run 'apt-get install$missing' as root" >&2
        exit 1
    }
    sudo=sudo
fi
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq $missing >/dev/null
echo "deps: installed"
