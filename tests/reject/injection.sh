#!/bin/sh
# Text of others, wherever it is printed: in C, build files and messages it stays text, and what no
# quoting saves is refused. ATTN_FULL=1: random tune files, and every awkward name is built.
set -u
cd "$(dirname "$0")/../.."
gen=$PWD/${BUILD:-build}/attn-gen
verify=$PWD/${BUILD:-build}/attn-verify
golden=$PWD/tests/golden/flex
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
cc=${CC:-cc}
passed=0
failed=0
verdict() { # verdict OK WHAT: counts
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL: %s\n' "$2" | cat -v
        [ ! -e said ] || head -c 600 said | cat -v
    fi
}
run() { # run STATUS COMMAND..: what it says is in ./said
    want=$1
    shift
    "$@" >said 2>&1
    got=$?
    [ "$got" = "$want" ]
    verdict $? "exit $got, wanted $want: $*"
}
# Nothing that moves a cursor, hides, or starts a line that the program does not mean.
clean() { # clean WHAT
    ! LC_ALL=C grep -qaE "$(printf '[\001-\010\013-\037\177]|\342\200[\216\217\252-\256]|\342\201[\246-\251]|^::')" said
    verdict $? "$1: unprintable, or a forged line"
    rm -f said
}
esc=$(printf '\033]0;x\007')
bidi=$(printf '\342\200\256')
line=$(printf 'x\n::error::x')
one="--heads 2 --head-dim 8 --isa portable"
key=attn_f32_regular_sdpa_full_self_h2d8

# --- Paths in build files ---
mkdir -p a
for path in 'a b' "$line" 'a"b' "a'b" '$(touch pwned)' '`touch pwned`' 'a#b' 'a\b' 'a\' 'a;touch pwned' 'a%b' \
    'a:b' '-a' 'a*' '~a' '${a}' 'a|b' 'a&b' 'a<b' '??/a' 'a!b' "a${esc}b" "$bidi" ../run_time ../runtime/ runtime2; do
    # shellcheck disable=SC2086
    run 2 "$gen" generate $one --runtime "$path" -o out
    [ ! -e out ]
    verdict $? "--runtime $path left files"
    clean "--runtime $path"
done
# shellcheck disable=SC2086
for path in ../runtime /opt/attn-0.1_b+x,y=z@w/runtime; do
    run 0 "$gen" generate $one --runtime "$path" -o out
    grep -qxF "RUNTIME = $path" out/Makefile && grep -qF -- " -I${path%/runtime} " out/Makefile
    verdict $? "--runtime $path is not what make takes"
    rm -rf out
done
# A manifest's options are the command line's.
# shellcheck disable=SC2086
run 0 "$gen" generate $one --runtime ../runtime -o out
sed -i 's|"runtime":.*"../runtime"|"runtime": "a\\"\\n#include \\"/etc/passwd"|' out/manifest.json
run 2 "$gen" check out
clean "a manifest's runtime"
sed -i 's|"unroll":.*|"unroll": 2000000000,|' out/manifest.json
run 2 "$gen" check out
rm -rf out

# --- A tune file in the comments of a single file ---
tuned() { # tuned WHAT: t.lua
    rm -rf single
    # shellcheck disable=SC2086
    run 0 "$gen" generate $one --single-file --name s --tune t.lua -o single
    run 0 $cc -std=c11 -trigraphs -Wall -Wextra -Werror -fsyntax-only single/s.c
    run 0 "$gen" check single/s.c
    rm -f said
    # Read back, it is the file: generated from it again, the same.
    # shellcheck disable=SC2086
    "$gen" golden single/s.c --cases 1 -o "cases$passed" >/dev/null 2>&1
    verdict $? "$1: the single file is not read back"
}
choice="return { [\"$key\"] = { portable = { key_block = 64 } } }"
nl='
'
for text in "$(printf '\r')" '\' '??/' "\\ " "${bidi}" "*/" "/*" "\\x41 \\" "$(printf '\013\014\177')" \
    "$(printf '\377\200\r\n#error')" '//!' '//| ' '??' '%s%n'; do
    printf '%s --[==[ %s\n#error injected %s\n%s]==]\n' "$choice" "$text" "$text" "$nl" >t.lua
    tuned "tune text $text"
    printf '%s -- %s' "$choice" "$(printf '%s' "$text" | tr -d '\r\n')" >t.lua
    tuned "tune text $text at the end"
done
if [ -n "${ATTN_FULL:-}" ]; then
    for n in $(seq 300); do
        { printf '%s --[==[\n' "$choice"; head -c "$n" /dev/urandom | tr -d '\000]'; printf '\n]==]\n'; } >t.lua
        tuned "random tune text $n"
    done
fi
rm -rf cases* single

# --- Names ---
for name in 'a b' "$line" '$(x)' 'a/b' '../a' 'a"b' "$esc" "$bidi" attn attn_x 9a ''; do
    # shellcheck disable=SC2086
    run 2 "$gen" generate $one --name "$name" -o out
    clean "--name $name"
done
for name in stdio stdint math c m string stdlib immintrin x86intrin omp pthread dl gcc gomp errno Float \
    STDIO time signal thrd timer sem pthread_attr memfd OpenMP con lpt1 std-int; do
    case $name in std-int) ok=0 ;; *) ok=2 ;; esac
    # shellcheck disable=SC2086
    run $ok "$gen" generate $one --name "$name" -o out
    [ $ok = 0 ] || grep -qE -- "--name (${name}_model|model_$name)" said
    verdict $? "--name $name: no other is named"
    rm -rf out
done
printf 'return { layers = { { heads = 2, head_dim = 8 } } }\n' >stdio.lua
run 0 "$gen" generate stdio.lua --isa portable -o out
[ -e out/stdio_model.h ] && grep -q '"stdio_model"' out/model.lua
verdict $? "stdio.lua does not become stdio_model"
printf 'return { name = "math", layers = { { heads = 2, head_dim = 8 } } }\n' >own.lua
run 2 "$gen" generate own.lua --isa portable -o out2
grep -qF "own.lua: the model cannot be called 'math': math.h would hide a header" said
verdict $? "a reserved name in a model file"
run 0 "$gen" generate own.lua --isa portable --name mine -o out2
mkdir string
cp "$OLDPWD/tests/import/smollm2-135m.json" string/config.json
run 0 "$gen" generate string/config.json --level core --isa portable -o out3
[ -e out3/string_model.h ]
verdict $? "string/config.json does not become string_model"
rm -rf out*
# Awkward, and fine: keywords, and targets of build files.
names="int class"
[ -z "${ATTN_FULL:-}" ] || names="int class std namespace new main all test install clean lib shared selftest build runtime registry spec cpu template export module"
for name in $names; do
    rm -rf out
    # shellcheck disable=SC2086
    run 0 "$gen" generate $one --name $name -o out
    for f in out/*.c out/runtime/*.c; do run 0 $cc -std=c11 -Wall -Iout -Iout/runtime -fsyntax-only "$f"; done
    printf '#include <stdio.h>\n#include <math.h>\n#include <string>\n#include "%s.h"\nint main() { attn_plan *p; return %s_create(&p, 0, 0); }\n' \
        $name $name >out/use.cc
    run 0 g++ -Wall -Iout -fsyntax-only out/use.cc
    run 0 cmake -S out -B out/build/cmake
    [ -z "${ATTN_FULL:-}" ] || run 0 make -s -C out lib shared
done
rm -rf out

# --- Messages ---
hostile="$esc$bidi$line"
json=$(printf '%s' "$hostile" | sed -e 's/\\/\\\\/g' | tr '\n' ' ' | sed -e 's/ ::/\\n::/' -e 's/'"$(printf '\033')"'/\\u001b/' -e 's/'"$(printf '\007')"'/\\u0007/')
printf '{"model_type": "%s"}' "$json" >c.json
run 2 "$gen" explain c.json && clean "a config's value"
printf '{"model_type": "llama", "attention_%s": 4}' "$json" >c.json
run 2 "$gen" explain c.json && clean "a config's key"
printf '{"model_type": "llama", "x%s": 4}' "$json" >c.json
"$gen" explain c.json --isa portable >said 2>&1
clean "a config's note"
printf '{"a": 1, "%s": }' "$bidi" >c.json
run 2 "$gen" explain c.json && clean "a line of a config"
printf 'error("%s")' "$(printf '%s' "$hostile" | tr '\n' '~' | sed 's/~/\\n/')" >m.lua
run 2 "$gen" explain m.lua && clean "a model's own error"
printf 'return { ["%s"] = 1 }' "$(printf '%s' "$hostile" | tr '\n' '~' | sed 's/~/\\n/')" >m.lua
run 2 "$gen" explain m.lua && clean "a model's key"
# shellcheck disable=SC2086
run 2 "$gen" explain $one --tune m.lua && clean "a tune file's key"
# shellcheck disable=SC2086
run 2 "$gen" explain $one --isa "$hostile" && clean "--isa"
run 2 "$gen" explain "$hostile.lua" && clean "a model's path"
run 2 "$gen" explain "$hostile" && clean "a model's name"
# shellcheck disable=SC2086
run 0 "$gen" generate $one -o "$hostile" && clean "-o"
touch "$line"
# shellcheck disable=SC2086
run 2 "$gen" generate $one -o "$line" && clean "-o on a file"
touch "$hostile/$hostile.c" 2>/dev/null || touch "$hostile/$esc$bidi.c"
run 1 "$gen" check "$hostile" && clean "an orphan's name"
header="{\"$json\": {\"dtype\": \"F32\", \"shape\": [9], \"data_offsets\": [0, 4]}}"
{
    printf "\\$(printf '%03o' ${#header})\0\0\0\0\0\0\0%s" "$header"
} >c.safetensors
run 2 "$verify" --oracle c.safetensors && clean "a tensor's name"
cp -r "$hostile" copy
sed -i "s|\"header\":.*|\"header\": \"$(printf '%s' "$json" | sed 's/\\/&&/g')\",|" copy/manifest.json
run 1 "$gen" diff "$hostile" copy && clean "a manifest's text"

# --- Files that are nobody's business ---
# shellcheck disable=SC2086
run 0 "$gen" generate $one -o own
printf 'secret = "hunter2"\n' >secret
for file in model.lua manifest.json; do
    rm -rf link && cp -r own link
    ln -sf ../secret link/$file
    for command in check golden; do
        "$gen" $command link -o cases >said 2>&1 || "$gen" $command link >>said 2>&1
        ! grep -q hunter2 said
        verdict $? "$command shows what $file links to"
    done
    run 2 "$gen" check link
done
rm -rf link && cp -r own link
sed -i 's|"path":.*"registry.c"|"path": "../secret"|' link/manifest.json
"$gen" diff own link >said 2>&1
grep -q 'secret: is no file of the folder' said
verdict $? "diff looks at files outside of the folder"

# --- Programs without a shell ---
odd="o'd \$(touch pwned) \"q\" ;x"
mkdir -p "$odd/tmp"
# shellcheck disable=SC2086
run 0 "$gen" generate $one -o "$odd/out"
run 0 "$gen" golden "$odd/out" --cases 1 -o "$odd/cases"
run 0 env TMPDIR="$odd/tmp" CC="$cc  -O0" "$verify" --folder "$odd/out" "$odd/cases/$key.0.safetensors"
run 1 env CC="$cc; touch pwned" "$verify" --isa portable "$odd/cases/$key.0.safetensors"
[ ! -e pwned ] && [ ! -e "$odd/out/pwned" ] && [ -z "$(ls "$odd/tmp")" ]
verdict $? "a shell ran, or a temporary folder stayed"

# --- A standard output that takes nothing ---
silent() { # silent COMMAND..: fails, and says so
    for out in full closed; do
        if [ $out = full ]; then "$@" >/dev/full 2>said; else "$@" >&- 2>said; fi
        [ $? = 2 ] && grep -q 'cannot write to the standard output' said
        verdict $? "$* > $out"
    done
}
# shellcheck disable=SC2086
{
    silent "$gen" --help
    silent "$gen" --version
    silent "$gen" generate --help
    silent "$gen" models
    silent "$gen" man
    silent "$gen" completion bash
    silent "$gen" explain $one
    silent "$gen" explain $one --json
    silent "$gen" explain $one --svg
    for d in spec plan expr lua c; do silent "$gen" generate $one --dump $d; done
    silent "$gen" generate $one -o own
    silent "$gen" report $one -o r.html
    silent "$gen" check own
    silent "$gen" golden own --cases 1 -o "$odd/cases"
    silent "$gen" diff own link
    silent "$verify" --help
    silent "$verify" --version
    silent "$verify" --oracle "$golden"/causal.safetensors
}
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
