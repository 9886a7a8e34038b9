#!/bin/sh
# objects.sh FOLDER FLAGS FILE..: FOLDER/NAME.c.o of each C file by $CC, several at a time.
set -eu
export to="$1" flags="$2"
shift 2
mkdir -p "$to"
# shellcheck disable=SC2016
printf '%s\n' "$@" | xargs -P "$(nproc 2>/dev/null || echo 2)" -n 1 \
    sh -c '${CC:-cc} $flags -c -o "$to/$(basename "$0").o" "$0"'
