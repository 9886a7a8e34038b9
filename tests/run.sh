#!/bin/sh
# Runs the stages, two at a time, prints a line as each ends, and closes with what they took and one
# line that counts tests. A stage is a command; it counts as the tests that it reports ("N passed,
# N failed" or Criterion's synthesis), else as one. A failing stage does not stop the others.
# tests/README.md says what each proves.
#     run.sh [NAME..]   all stages, or these alone; ATTN_FULL=1: the long campaigns as well
#     run.sh --list     their names
set -u
cd "$(dirname "$0")/.."
build=${BUILD:-build}
full=${ATTN_FULL:-}
jobs=$(nproc 2>/dev/null || echo 2)
log=$build/test-log
if [ "${1:-}" = --list ]; then # results of a run that may be under way stay
    log=$(mktemp -d)
    trap 'rm -r "$log"' EXIT
fi
mkdir -p "$log"
rm -f "$log"/*.result "$log/turns"
# Portable kernels have the stages that name no instruction set, and test-full.
fast=avx2,avx512
if ! grep -qw avx2 /proc/cpuinfo 2>/dev/null; then fast=portable; fi
# The widest here has the longest stages alone; the others some of their cases, and test-full.
best=$fast
for wider in avx2 avx512; do
    if grep -q "$wider" /proc/cpuinfo 2>/dev/null; then best=$wider; fi
done
# With those that have more: a few kernels.
likes=$best
[ "$best" != avx512 ] || likes=avx512,avx512vnni,avx512bf16
[ "$best" != avx2 ] || likes=avx2,avxvnni

if [ "${1:-}" = --list ]; then list=1; else list='' wanted=" $* "; fi
# What stages compile alike is compiled once: compilers are those of a folder of its own, see once.sh.
once() { # once COMPILER: its program there
    real=$(command -v "$1") || return 0
    version=$("$real" --version | sed '1s/^[^ ]* //;q') # of cc and gcc the same
    printf '#!/bin/sh\nexec "%s/tests/once.sh" "${0%%/*}" "%s" "%s" "$@"\n' "$PWD" "$real" "$version" >"$once/$1"
    chmod +x "$once/$1"
}
if [ -z "$list" ]; then
    once=$(mktemp -d)
    trap 'rm -r "$once"' EXIT
    for name in cc gcc clang ${CC:-}; do case $name in */*) ;; *) once "$name" ;; esac; done
    PATH=$once:$PATH
fi
# A stage takes a turn, a line of this pipe, and gives it back.
mkfifo "$log/turns" && exec 9<>"$log/turns" && rm "$log/turns"
echo >&9
[ "$jobs" = 1 ] || echo >&9

tests_of() { # tests_of LOG: "PASSED FAILED SKIPPED" as it reports them, or nothing
    sed 's/\x1b\[[0-9;]*m//g' "$1" | sed -nE \
        -e 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?.*$/\1 \2 0\4/p' \
        -e 's/^property: .* ([0-9]+) problems.* ([0-9]+) failed$/\1 \2 0/p' \
        -e 's/^property: ([0-9]+) (status checks.*|checks.*|mutations), ([0-9]+) (failed|unnoticed[a-z ]*)$/\1 \3 0/p' \
        -e 's/^property: ([0-9]+) mutations, ([0-9]+) unnoticed or wrong[a-z ]*, ([0-9]+) skipped$/\1 \2 \3/p' \
        -e 's/.*Tested: [0-9]+ \| Passing: ([0-9]+) \| Failing: ([0-9]+) \| Crashing: ([0-9]+).*/\1 \2 \3 crashed/p' |
        awk '{p += $1; f += $2; $4 ? f += $3 : s += $3} END {if (NR) print p, f, s + 0}'
}
run() { # run NAME COMMAND..: writes NAME.result, and prints what became of it
    name=$1
    shift
    start=$(date +%s)
    if "$@" >"$log/$name" 2>&1; then ok=1; else ok=0; fi
    seconds=$(($(date +%s) - start))
    times >"$log/$name.times" # user and system time, of this shell and of what it ran
    cpu=$(tr 'ms' '  ' <"$log/$name.times" | awk '{t += $1 * 60 + $2 + $3 * 60 + $4} END {printf "%.0f", t}')
    rm "$log/$name.times"
    # shellcheck disable=SC2046
    set -- $(tests_of "$log/$name")
    [ $# = 3 ] || set -- $ok $((1 - ok)) 0
    # A command that failed without a failed test of its own is a failure all the same.
    if [ "$ok" = 0 ] && [ "$2" = 0 ]; then set -- "$1" 1 "$3"; fi
    echo "$name $1 $2 $3 $seconds $cpu" >"$log/$name.result"
    {
        printf '%-22s %5d passed %3d failed %3d skipped %5d s %5d s of CPU\n' "$name" "$1" "$2" "$3" \
            "$seconds" "$cpu"
        sed 's/\x1b\[[0-9;]*m//g' "$log/$name" | grep -iE '^(skip|.*: skipped|.*\[SKIP\])' |
            sed 's/^attn_[A-Za-z0-9_]*: /kernel: /' | sort | uniq -c |
            sort -rn | head -4 | sed 's/^ */    /'
        if [ "$ok" = 0 ]; then tail -n 40 "$log/$name" | sed 's/^/    | /'; fi
    } >"$log/$name.lines"
    cat "$log/$name.lines" # at once, so that lines of two stages stay apart
    rm "$log/$name.lines"
}
stage() { # stage NAME COMMAND..
    if [ -n "$list" ]; then
        echo "$1"
        return
    fi
    case "$wanted" in "  " | *" $1 "*) ;; *) return ;; esac
    started=$((started + 1))
    read -r turn <&9
    (
        trap 'echo >&9' EXIT
        run "$@"
    ) &
}
short() {
    if [ -z "$full" ] || [ -n "$list" ]; then stage "$@"; fi
}
long() { # long campaigns: --list names them too
    if [ -n "$full$list" ]; then stage "$@"; fi
}

begin=$(date +%s)
started=0
stage build make -s -j "$jobs" BUILD="$build" programs
wait
stage layers sh tests/check/layers.sh
stage style sh tests/check/style.sh
stage readme sh tests/check/readme.sh
stage unit "$build/unit" -j"$jobs"
stage check-generated "$build/attn-gen" check generated

# The longest begin first, so that both lanes end together.
stage sanitize sh tests/check/sanitize.sh
# Every second spec; pairs of axis values are property-pairs', all specs test-full's.
short property "$build/property" --test sweep,sums,workspaces --isa "$likes" --every 2 --shapes 4 --cflags -Og
short property-caches "$build/property" --test caches --isa "$likes" --cflags -Og
short property-pairs "$build/property" --test pairs --isa "$likes" --shapes 2 --cflags -Og
stage product sh tests/product/product.sh
stage package sh tests/product/package.sh
stage compilers sh tests/check/compilers.sh
stage memory sh tests/fault/memory.sh
stage folder sh tests/folder/folder.sh
stage reproduce sh tests/check/reproduce.sh
stage generated-compiles sh tests/check/generated.sh
if [ -n "$full" ]; then
    stage golden-seed "$build/attn-verify" tests/golden/seed/*.safetensors
    stage golden-onnx "$build/attn-verify" --threads 2 tests/golden/onnx/*.safetensors
    stage golden-block "$build/attn-verify" tests/golden/block/*.safetensors
    stage property-layers "$build/property" --test layers,layer-statuses,layer-mutations \
        --layers 110 --shapes 16
else
    stage golden-seed "$build/attn-verify" --isa "$best" --cflags -Og tests/golden/seed/*.safetensors
    stage golden-onnx "$build/attn-verify" --isa "$best" --cflags -Og --backend sdpa --threads 2 tests/golden/onnx/*.safetensors
    stage golden-block "$build/attn-verify" --isa "$best" --cflags -Og --backend sdpa tests/golden/block/*.safetensors
    # Statuses are sanitize's.
    stage property-layers "$build/property" --test layers --isa "$fast" --shapes 2 --cflags -Og
fi
stage golden-pages "$build/attn-verify" --page 16 --isa "$fast" --cflags -Og --backend sdpa \
    tests/golden/block/llama_step.safetensors tests/golden/block/gemma3.safetensors \
    tests/golden/block/deepseek_v3.safetensors tests/golden/block/whisper_cross.safetensors
if [ -n "$full" ]; then
    stage golden "$build/attn-verify" tests/golden/flex/*.safetensors
else
    stage golden "$build/attn-verify" --isa "$fast" --cflags -Og tests/golden/flex/*.safetensors
fi
# A kind of kernel each: positions, side tensors, lengths, latent rows, widths that differ.
flex=tests/golden/flex
short golden-portable "$build/attn-verify" --isa portable --cflags -Og --backend flex $flex/alibi_causal.safetensors \
    $flex/batch_varlen.safetensors $flex/cross_full_dv.safetensors $flex/document_causal.safetensors \
    $flex/mla_absorbed.safetensors
stage golden-reference "$build/attn-verify" --reference --cflags -O0 --backend flex tests/golden/flex/*.safetensors
if [ -n "$full" ]; then
    stage golden-stored "$build/attn-verify" --cflags -Og tests/golden/stored/*.safetensors
else
    stage golden-stored "$build/attn-verify" --isa "$fast,avxvnni,$likes" --cflags -Og --backend flex tests/golden/stored/i8_*.safetensors \
        tests/golden/stored/bf16_causal.safetensors tests/golden/stored/bf16_dot_window.safetensors
fi
stage golden-extremes "$build/attn-verify" --cflags -Og tests/golden/extremes/*.safetensors
stage golden-oracle "$build/attn-verify" --oracle tests/golden/*/*.safetensors
stage axes sh tests/check/axes.sh
stage import sh tests/import/selftest.sh
stage foreign sh tests/product/foreign.sh
stage languages sh tests/product/languages.sh
stage old-caller sh tests/product/old/old.sh
stage process sh tests/product/process.sh
stage phases sh tests/product/phases.sh
stage kit sh tests/product/kit.sh
stage whole-model sh tests/product/model.sh
stage two-models sh tests/product/models.sh
stage unseen sh tests/product/unseen.sh
stage ragged sh tests/product/ragged.sh
stage serving sh tests/product/serving/serving.sh
if [ "$best" = avx512 ] || [ -n "$list" ]; then
    short property-avx2 "$build/property" --test sweep,sums --isa avx2,avxvnni --every 10 --shapes 6 --cflags -Og
fi
# Every third layer: all kinds of attention.
short property-portable "$build/property" --test layers --isa portable --every 3 --shapes 3 --cflags -Og
# Layers over lists of keys: one of each kind; full: with each type, dense and in pages.
if [ -n "$full" ]; then
    stage property-lists "$build/property" --test layers --lists --layers 176 --shapes 8
else
    stage property-lists "$build/property" --test layers --lists --every 2 --isa "$best" --shapes 2 --cflags -Og
fi
# A sliding cache lets go of keys though there are expressions.
short property-distances "$build/property" --test layers --shapes 6 --isa "$fast" --cflags -Og \
    --layer 'level=block;op=sliding_self;window=5;heads=4;kv_heads=2;head_dim=14;d_model=20;backend=flex;score=s - slope[h] * (q - k);mask=(q - k) % 4 != 2;tensor=slope=f32[heads]'
# What the long campaigns found once: few rows that run as tiles, keys that lie in each other, a sum
# with x where there is no residual.
short property-chunks "$build/property" --chunks --test sweep --isa "$fast" --every 10 --shapes 6 --cflags -Og
short property-band "$build/property" --spec band --shape 188 --shapes 200 --isa portable \
    --test sweep --cflags -Og
short property-cross "$build/property" --spec cross20 --shape 48 --shapes 200 --isa portable \
    --test sweep --cflags -Og
short property-pages "$build/property" --spec paged_cross100 --shape 35 --shapes 200 --isa portable \
    --test sweep --cflags -Og
short property-norms "$build/property" --test layers --shapes 3 --isa portable --cflags -Og \
    --layer 'level=block;heads=2;head_dim=10;d_model=21;norm_place=both;residual=none;ffn=none'
# Tasks of few rows that read fewer weights than wide ones have.
short property-brief "$build/property" --test layers --shapes 3 --isa "$best" --cflags -Og \
    --layer 'level=block;heads=8;head_dim=64;d_model=2080;ffn=moe;experts=3;top_k=2;expert_dim=160;norm=rmsnorm'
# Codes of rows in doubt since stored keys are; a choice of experts that integers of dot = i16 move.
short property-codes "$build/property" --test layers --shapes 3 --shape 2 --isa "${fast%%,*}" --cflags -Og \
    --layer 'level=block;form=mla;heads=5;head_dim=15;kv_comp_dim=31;retr_dim=14;q_comp_dim=17;backend=flex;mask=(q - k) % 4 != 2;kv_type=f16;select=index;layout=paged;page=32;sinks=true;d_model=32;norm=none;residual=serial;ffn=geglu_tanh;ffn_dim=39;rope=none;weight_dot=i8;weight_type=q5_0;weight_rest=bf16;'
short property-choices "$build/property" --test layers --shapes 4 --shape 3 --isa portable --cflags -Og \
    --layer 'level=block;heads=1;kv_heads=1;head_dim=32;causal=false;backend=flex;mask=k % 3 != 1 or k % 2 == h % 2;kv_type=i8;rotate=false;dot=f32;select=index;d_model=68;kv_dim=21;norm=rmsnorm;residual=serial;norm_bias=true;norm_offset=true;norm_place=branch;ffn=moe;router=sparsemixer;router_jitter=1;expert_act=relu2;experts=12;expert_dim=10;router_bias=logits;norm_topk=false;top_k=4;q_bias=false;k_bias=true;v_bias=false;o_bias=true;qk_norm=true;qk_norm_over=head;qk_norm_kind=layernorm;qk_norm_place=after;qk_norm_weights=none;o_gate=head;rope=interleaved;rope_dim=22;rope_base=500000;rope_scaling=longrope;rope_factor=8;rope_original=16;'
stage products sh tests/check/products.sh
stage report sh tests/check/report.sh
stage command-line sh tests/reject/command_line.sh
stage injection sh tests/reject/injection.sh

long oracle-mutations sh tests/check/oracle_mutations.sh
long property-full env ATTN_PROPERTY_SHAPES=200 "$build/property" --test sweep,sums,caches,statuses,workspaces,mutations
# One shard of all combinations; ATTN_PRODUCT_SHARDS=1: all of them.
long property-product "$build/property" --test product --every "${ATTN_PRODUCT_SHARDS:-16}" \
    --seed "${ATTN_PRODUCT_SHARD:-1}" --shapes 8 --cflags -Og
long property-layers-seed "$build/property" --test layers --layers 220 --shapes 8 --seed 2
long property-unroll "$build/property" --unroll -1 --test sweep --cflags -Og
# The one that is too wide for that, as far as it can be.
long property-unroll-wide "$build/property" --unroll 256 --spec mla_flex_full_576 --test sweep --shapes 20 --cflags -Og
long property-tuned "$build/property" --tuned --test sweep --shapes 60
long property-chunks-full "$build/property" --chunks --test sweep,sums --shapes 60
long property-seed env ATTN_PROPERTY_SEED=2 ATTN_PROPERTY_SHAPES=100 "$build/property" --test sweep
long smollm2 sh tests/product/smollm2/smollm2.sh test
[ -z "$full" ] || wait # its files are there
long serving-smollm2 sh tests/product/serving/serving.sh smollm2
long minilm sh tests/product/minilm/minilm.sh test
long whisper sh tests/product/whisper/whisper.sh test
wait
# These measure, or take all cores.
long tune sh tests/check/tune.sh
wait
long fuzz env FUZZ_SECONDS=30 sh tests/fuzz/fuzz.sh
wait
[ -z "$list" ] || exit 0

[ $started -gt 0 ] || { echo "run.sh: no stage of that name; --list has them" >&2 && exit 2; }
cat "$log"/*.result >"$log/results"
sort -k6,6nr "$log/results" | awk -v wall=$(($(date +%s) - begin)) -v started=$started '
    NR <= 5 {slowest = slowest (NR > 1 ? ", " : "") $1 " " $6}
    {p += $2; f += $3; s += $4; cpu += $6}
    END {
        printf "%d stages: %d s, %d s of CPU; most of it: %s\n", NR, wall, cpu, slowest
        if (NR < started) printf "%d stages ended without a result\n", started - NR
        printf "%d passed, %d failed, %d skipped\n", p, f + started - NR, s
        exit f > 0 || NR < started
    }'
