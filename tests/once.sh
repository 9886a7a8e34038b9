#!/bin/sh
# once.sh FOLDER COMPILER VERSION ARGUMENTS..: a compiler for the stages of run.sh, which compile the same
# runtime and often the same kernels. An object of these is made once of the same text, options and
# headers, kept in FOLDER, and copied after that. run.sh writes the programs that call this script.
# Everything else is the compiler's alone.
set -u
folder=$1 compiler=$2 version=$3
shift 3
# What a ccache of that name looks for is not this again.
PATH=${PATH%%"$folder":*}${PATH#*"$folder":}
object='' source='' rules='' target='' compiles='' depends='' other='' options='' after=''
for word; do
    case $after in
    -o) object=$word ;;
    -MF) rules=$word ;;
    -MT) target=$word ;;
    *) after=none ;;
    esac
    [ "$after" = none ] || { after='' && continue; }
    after=''
    case $word in
    -o | -MF | -MT) after=$word ;;
    -c) compiles=1 ;;
    -MD) depends=1 ;;
    -I?*) ;; # these files read others by their place,
    -DCMAKE_INTDIR=*) ;; # and nobody this
    -I | -M* | -fdump* | -save-temps* | --coverage | -fprofile* | -ftest-coverage | -gsplit* | -fstack-usage) other=1 ;; # more comes out than an object
    *.c) source=${source:+several}$word ;;
    *) options="$options $word" ;;
    esac
done
case $source in
*/runtime/*.c | runtime/*.c) ;;
*) case ${source##*/} in attn_*__*.c) ;; *) other=1 ;; esac ;;
esac
[ "$compiles" ] && [ "$object" ] && { [ ! "$depends" ] || [ "$rules" ]; } || other=1

# The source and the headers beside it that it reads, one after the other; fails where one is not there.
texts() {
    awk 'function text(path, line, name, part, found) {
            if (path in seen) return
            seen[path] = 1
            while ((found = (getline line <path)) > 0) {
                print line
                if (line !~ /^ *# *include "/) continue
                name = path
                sub(/[^\/]*$/, "", name)
                split(line, part, "\"")
                text(name part[2])
            }
            if (found < 0) missing = 1
            close(path)
        }
        BEGIN {text(ARGV[1]); exit missing}' "$source"
}
if [ "$other" ] || ! read="$(texts)"; then exec "$compiler" "$@"; fi

hash=$(printf '%s\n' "$version$options" "$read" | sha256sum)
kept=$folder/${hash%% *}.o
if [ -e "$kept" ]; then
    cp "$kept" "$object" || exit
    [ ! "$rules" ] || echo "${target:-$object}: $source" >"$rules"
    exit
fi
"$compiler" "$@" || exit
cp "$object" "$kept.$$" && mv "$kept.$$" "$kept"
