#!/bin/sh
# Writes embedded.c: the text files named as arguments, as C strings.
set -eu
echo '/* Written by gen/embed.sh; do not edit. */'
echo '#include "embedded.h"'
echo '#include <string.h>'
n=0
for f in "$@"; do
    # A string a line: compilers limit one literal, not the array. Octal escapes keep every byte.
    printf 'static const char file_%d[] =\n' "$n"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/?/\\?/g' -e 's/\t/\\t/g' -e 's/^/    "/' -e 's/$/\\n"/' "$f"
    echo '    "";'
    n=$((n + 1))
done
echo 'const embedded_file embedded_files[] = {'
n=0
for f in "$@"; do
    printf '    {"%s", file_%d},\n' "$f" "$n"
    n=$((n + 1))
done
cat <<'C'
};
const size_t embedded_file_count = sizeof embedded_files / sizeof *embedded_files;

const char *embedded_find(const char *path) {
    for (size_t i = 0; i < embedded_file_count; i++)
        if (!strcmp(embedded_files[i].path, path)) return embedded_files[i].text;
    return NULL;
}
C
