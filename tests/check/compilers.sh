#!/bin/sh
# The compilers at hand, and what is asked of them:
#   faults      each program of compilers/ is wrong where runtime/compiler.h has a guard, and only
#               there; with the guard it is right
#   refusals    options that change floating point are refused, by #error or when a plan is made;
#               harmless ones are not; 32-bit x86 with SSE runs, with x87 it is refused
#   standards   C11 and later, strict and GNU; before that the reason is said
#   scan        gcc's own dumps of the code show none of the faults (gcc_scan.py)
#   kernels     built and run: selftest, and goldens by attn-verify --folder
# Short: what the faults were found in. ATTN_FULL=1: the catalog and four models with every compiler,
# level and base. COMPILERS="gcc-12 clang" limits the list, PARTS="faults kernels" what is done, ONLY
# the scans and kernels: a shell pattern of COMPILER NAME FLAGS, as in ONLY='* masks -O2*'. Runs side
# by side share one long campaign that way.
set -u
cd "$(dirname "$0")/../.."
root=$(pwd)
here=$root/tests/check/compilers
build=${BUILD:-build}
jobs=$(nproc 2>/dev/null || echo 2)
full=${ATTN_FULL:-}
others="gcc-11 gcc-12 gcc-13 gcc-14 gcc-15 clang-14 clang-15 clang-16 clang-19"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive
strict="-std=c11 -Wall -Wextra -Wpedantic -Werror"
passed=0
failed=0
skipped=0

pass() { passed=$((passed + 1)); }
fail() { # fail TEXT [LOG]
    failed=$((failed + 1))
    echo "FAIL $1"
    if [ -n "${2:-}" ]; then tail -n 12 "$2" | sed 's/^/    /'; fi
}
skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1"
}
only() { # only COMPILER NAME FLAGS: is it asked for?
    # shellcheck disable=SC2254
    case "$*" in ${ONLY:-*}) ;; *) return 1 ;; esac
}
has() { command -v "$1" >/dev/null 2>&1; }
cpu_has() { grep -qw "$1" /proc/cpuinfo; }

is_clang() { "$1" --version | grep -q clang; }
version() { "$1" -dumpfullversion -dumpversion; }
# Each compiler once, whatever names it has.
compilers() {
    seen=" "
    for cc in ${COMPILERS:-gcc clang ${full:+$others}}; do
        has "$cc" || continue
        if is_clang "$cc"; then what=clang-$(version "$cc"); else what=gcc-$(version "$cc"); fi
        case $seen in *" $what "*) continue ;; esac
        seen="$seen$what "
        echo "$cc"
    done
}
# Releases whose faults are known, so that a guard without its fault is a mistake.
is_known() {
    is_clang "$1" && return 0
    case $(version "$1") in [0-9].* | 1[01].* | 12.[0-2].*) return 0 ;; esac
    return 1
}

# --- faults ---

guard() { # guard CC FLAGS MACRO: 0 or 1
    # shellcheck disable=SC2086
    printf '#include "%s/runtime/compiler.h"\n%s\n' "$root" "$3" | "$1" -std=c11 $2 -E -P -x c - | tail -n 1
}
fault() { # fault CC PROGRAM FLAGS MACRO
    cc=$1 name="$1 $2 ($3)"
    active=$(guard "$cc" "$3" "$4")
    # shellcheck disable=SC2086
    "$cc" $strict $3 "$here/$2.c" -o "$work/plain" -lm 2>"$work/log" &&
        "$cc" $strict $3 -DGUARDED "$here/$2.c" -o "$work/guarded" -lm 2>"$work/log" || {
        fail "$name does not compile" "$work/log"
        return
    }
    present=0
    "$work/plain" || present=1
    if ! "$work/guarded"; then
        fail "$name: wrong with its guard"
    elif [ "$present" = "$active" ]; then
        pass
    elif [ "$present" = 1 ]; then
        fail "$name: has the fault, and $4 is off"
    elif is_known "$cc"; then
        fail "$name: $4 is on without the fault"
    else
        pass
        echo "note: $name is right: $4 could end before $(version "$cc")"
    fi
}
faults() { # faults CC
    fault "$1" null_based_stores "-O2" ATTN_NULL_STORES_FAULT
    if cpu_has avx2; then
        for flags in "-O0 -funsigned-char" "-O2 -funsigned-char" -O2; do
            fault "$1" char_blendv "$flags" ATTN_CHAR_BLEND_FAULT
        done
    else
        skip "$1: faults with AVX2: this CPU has none"
    fi
    if cpu_has avx512bw; then
        fault "$1" broadcast_constant "-O2 -march=x86-64-v4" ATTN_BROADCAST_FAULT
        fault "$1" broadcast_constant "-O0 -march=x86-64-v4" ATTN_BROADCAST_FAULT
        fault "$1" not_blendv "-O2 -march=x86-64-v4" ATTN_NOT_BLEND_FAULT
        fault "$1" not_blendv "-O2 -march=x86-64-v3" ATTN_NOT_BLEND_FAULT
    else
        skip "$1: faults with AVX-512: this CPU has none"
    fi
}

# --- refusals ---

# What becomes of a kernel file: "error" with our sentence, "refused" at run time, "ok", "unknown"
# option, or "broken".
outcome() { # outcome CC FLAGS
    # shellcheck disable=SC2086
    if "$1" -std=c11 $2 "$here/arithmetic.c" -o "$work/arithmetic" -lm 2>"$work/log"; then
        "$work/arithmetic"
    elif grep -q '"attn: ' "$work/log"; then
        echo error
    elif grep -qE 'unrecognized command-line option|unknown argument|unknown FP unit|unit is not supported' "$work/log"; then
        echo unknown
    else
        echo broken
    fi
}
option() { # option CC WANTED FLAGS: one of the wanted outcomes is right
    got=$(outcome "$1" "$3")
    case " $2 unknown " in
    *" $got "*) pass ;;
    *) fail "$1 $3: $got, wanted $2" "$work/log" ;;
    esac
}
refusals() { # refusals CC
    for flags in -ffast-math -Ofast -ffinite-math-only -mfpmath=387 -mfpmath=both; do
        option "$1" error "-O2 $flags"
        option "$1" error "-O0 $flags"
    done
    for flags in "-ffast-math -fno-finite-math-only" "-fassociative-math -fno-signed-zeros -fno-trapping-math" \
        -funsafe-math-optimizations -freciprocal-math -fno-signed-zeros; do
        option "$1" "error refused" "-O1 $flags"
        option "$1" "error refused" "-O2 $flags"
        option "$1" "error refused" "-O3 -march=native $flags"
    done
    if is_clang "$1"; then
        option "$1" "error refused" "-O2 -fno-honor-nans"
    else
        option "$1" "error refused" "-O2 -fsingle-precision-constant"
    fi
    for flags in -O0 -O1 -O2 -O3 -Os -Og "-O3 -march=native -ffp-contract=fast" "-O2 -fno-math-errno" \
        "-O2 -fno-trapping-math" "-O2 -frounding-math" "-O2 -funsigned-char" "-O2 -fsigned-char" "-O2 -fwrapv" \
        "-O2 -fno-strict-aliasing" "-O2 -flto" "-O2 -std=gnu11" "-O2 -std=c17" "-O2 -std=c2x"; do
        option "$1" ok "$flags"
    done
}
# 32-bit x86: x87 is refused; with SSE the portable kernels run.
thirty_two() {
    cc=i686-linux-gnu-gcc
    has $cc || {
        skip "$cc is not installed"
        return
    }
    for flags in -O2 -O0 "-O2 -msse2" "-O2 -msse2 -mfpmath=both"; do option $cc error "$flags -static"; done
    option $cc ok "-O2 -msse2 -mfpmath=sse -static"
    [ -n "$full" ] || return
    folder masks-32 --isa portable
    selftest $cc masks-32 "-O2 -msse2 -mfpmath=sse -static" OPENMP=
}

# --- standards ---

standards() { # standards CC
    files=generated/attn_f32_regular_flex_full*avx2*.c
    if [ -n "$full" ]; then files="generated/registry.c generated/attn_f32_*_flex_*.c"; fi
    for std in gnu11 ${full:+c11 c17 gnu17 gnu2x} c2x; do
        # shellcheck disable=SC2086
        if "$1" -std=$std -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I. runtime/*.c $files 2>"$work/log"; then
            pass
        else
            fail "$1 -std=$std" "$work/log"
        fi
    done
    for std in c99 gnu99 c90; do
        option "$1" error "-std=$std"
        grep -q 'compile it with -std=c11' "$work/log" || fail "$1 -std=$std does not say why"
    done
}

# --- scan ---

scan_programs() { # scan_programs CC: the scan sees a fault where there is one, and a guard at work
    for program in broadcast_constant null_based_stores; do
        flags="-O2 -march=x86-64-v4"
        case $(version "$1") in
        12.[0-2].*)
            # shellcheck disable=SC2086
            if python3 tests/check/gcc_scan.py "$1" "$here/$program.c" $flags >/dev/null; then
                fail "gcc_scan.py does not see $program with $1"
            else
                pass
            fi
            ;;
        esac
        scan "$1" "$here/$program.c" "$flags -DGUARDED"
    done
}
scan() { # scan CC FILE FLAGS
    # shellcheck disable=SC2086
    if python3 tests/check/gcc_scan.py "$1" "$2" -std=c11 -fPIC -D_GNU_SOURCE -I. -Iruntime -Igen \
        -I/usr/include/lua5.4 $3 >"$work/log" 2>&1; then
        pass
    else
        fail "$1 $3: scan" "$work/log"
    fi
}
scans() { # scans CC
    if is_clang "$1" || ! has python3; then return; fi
    if only "$1 scan programs"; then scan_programs "$1"; fi
    [ -n "$full" ] || return 0
    folder masks
    for level in -O1 -O2 -O3; do
        for base in "" -march=x86-64-v4; do
            only "$1 scan $level $base" || continue
            for file in "$work"/masks/attn_*.c generated/attn_*.c runtime/*.c gen/*.c gen/*/*.c; do
                scan "$1" "$file" "$level $base -fopenmp"
            done
        done
    done
}

# --- kernels ---

model_of() { # model_of NAME
    case $1 in
    masks*) echo "$here/masks.lua" ;;
    smollm2) echo tests/import/smollm2-135m.json ;; # whole layers
    *) echo "$1" ;;
    esac
}
folder() { # folder NAME [FLAGS..]: generated once, with its cases
    name=$1
    shift
    [ ! -d "$work/$name" ] || return 0
    "$build/attn-gen" generate "$(model_of "$name")" "$@" --name "$name" -o "$work/$name" >"$work/log" 2>&1 &&
        "$build/attn-gen" golden "$work/$name" -o "$work/$name-cases" --seed 3 --cases 4 >"$work/log" 2>&1 ||
        fail "generate $name" "$work/log"
}
# An ar that reads what -flto makes: of two LLVMs it would ask the older one.
archiver() { # archiver CC
    plugin=""
    if is_clang "$1"; then plugin=$("$1" -print-resource-dir)/../../LLVMgold.so; fi
    if [ -e "$plugin" ]; then echo "ar --plugin $plugin"; else echo ar; fi
}
selftest() { # selftest CC NAME FLAGS [MAKE ARGUMENTS]
    cc=$1 name=$2 flags=$3
    shift 3
    # -s: what is left are the lines of the program.
    if make -s -j "$jobs" -C "$work/$name" CC="$cc" CFLAGS="$flags" AR="$(archiver "$cc")" BUILD="$work/objects" \
        "$@" selftest >"$work/log" 2>&1 && grep -q '^[1-9][0-9]* passed, 0 failed' "$work/log"; then
        pass
    else
        fail "$cc $flags: selftest of $name" "$work/log"
    fi
    rm -rf "$work/objects"
}
goldens() { # goldens CC NAME FLAGS
    if CC=$1 CFLAGS=$3 "$build/attn-verify" --folder "$work/$2" "$work/$2-cases"/*.safetensors >"$work/log" 2>&1 &&
        grep -q '^[1-9][0-9]* passed, 0 failed' "$work/log"; then
        pass
    else
        fail "$1 $3: goldens of $2" "$work/log"
    fi
}
runs_here() { # runs_here FLAGS
    case $1 in
    *x86-64-v4*) cpu_has avx512bw ;;
    *x86-64-v3*) cpu_has avx2 && cpu_has fma ;;
    esac
}
run() { # run CC NAME FLAGS
    only "$@" || return 0
    runs_here "$3" || {
        skip "$1 $3: not on this CPU"
        return
    }
    folder "$2"
    selftest "$@"
    goldens "$@"
}
kernels_full() { # kernels_full CC
    for flags in -O0 -O1 -O2 -O3 -Os "-O2 -march=x86-64-v3" "-O2 -march=x86-64-v4" "-O2 -march=native" \
        "-O3 -march=native"; do
        for name in masks catalog llama-3-8b gemma-2-2b deepseek-mla smollm2; do run "$1" $name "$flags"; done
    done
    for flags in "-O2 -flto" "-O1 -funsigned-char -fwrapv -fno-strict-aliasing" "-O2 -std=gnu2x" \
        "-O3 -march=native -ffp-contract=fast -std=gnu11"; do
        for name in masks smollm2; do run "$1" $name "$flags"; done
    done
}
kernels() { # kernels CC
    if [ -n "$full" ]; then
        kernels_full "$1"
    elif ! is_clang "$1"; then
        folder masks --isa avx2,avx512
        selftest "$1" masks "-O2 -march=native"
    fi
}

list=$(compilers)
for part in ${PARTS:-faults refusals standards scans kernels}; do
    for cc in $list; do "$part" "$cc"; done
    if [ "$part" = refusals ]; then thirty_two; fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
