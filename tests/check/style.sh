#!/bin/sh
# .clang-format holds for every C file, shell scripts parse, text files end as .editorconfig says, and
# templates form no pointer for what they only ask for.
set -eu
status=0
files=$(find gen runtime tests -name '*.[ch]' | sort)
# shellcheck disable=SC2086
if command -v clang-format >/dev/null 2>&1; then
    clang-format --dry-run -Werror $files 2>&1 | head -40 | grep . && status=1
else
    echo "style: clang-format: skipped, not installed"
fi
for f in $(find tests gen .ci -name '*.sh' -o -path '.ci/run'); do sh -n "$f" || status=1; done
if grep -rnE --include='*.[ch]' --include='*.lua' --include='*.tpl' --include='*.md' --include='*.sh' \
    '[[:space:]]+$' gen runtime templates tests README.md; then
    echo "style: trailing blanks"
    status=1
fi
if grep -rnE 'ATTN_PREFETCH_L[12]\(.*\(uintptr_t\)' templates; then
    echo "style: ATTN_AHEAD forms the addresses that are asked for: a pointer may not leave its object"
    status=1
fi
[ $status = 0 ] && echo "style: ok"
exit $status
