#!/bin/sh
# Breaks the double oracle of layers, one line at a time, and sees attn-verify --oracle fail on the
# golden layers: what they would not notice is not proved. Prints "N passed, N failed".
#     tests/check/oracle_mutations.sh [more golden files]
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
parts="block_oracle oracle_rows oracle_rope oracle_weights oracle_regular oracle_mla oracle_experts"
cases="$(ls tests/golden/block/*.safetensors) $*"

mutate() { # mutate NAME SED-EXPRESSION: breaks the one part that has such a line
    part=
    for p in $parts; do
        sed "$2" "gen/lab/$p.c" >"$work/$p.c"
        cmp -s "gen/lab/$p.c" "$work/$p.c" || part="$part$p"
    done
    if [ ! -e "gen/lab/$part.c" ]; then
        echo "$1: FAIL: lines in '$part', not in one part"
        failed=$((failed + 1))
        return
    fi
    # shellcheck disable=SC2046,SC2086
    ${CC:-cc} -std=c11 -D_GNU_SOURCE -w -O1 -Igen/lab -Igen -Iruntime -fopenmp -o "$work/verify" \
        "$work/$part.c" $(ls "$build"/obj/gen/lab/*.o "$build"/obj/gen/verify/*.o | grep -v "/$part.o") \
        "$build/libgen.a" -l:liblua5.4.a -lcjson -ldl -lm || exit 1
    # shellcheck disable=SC2086
    if "$work/verify" --oracle --backend sdpa $cases >"$work/log" 2>&1; then
        echo "$1: FAIL: no case noticed"
        failed=$((failed + 1))
    else
        echo "$1: $(grep -c FAIL "$work/log") cases fail"
        passed=$((passed + 1))
    fi
}

mutate norm-mean 's/mean += x\[i\] \/ width/mean += 0/'
mutate norm-eps 's/sqrt(square + n->eps)/sqrt(square + 0.1)/'
mutate norm-offset 's/n->offset ? 1 + /n->offset ? 0 + /'
mutate norm-bias 's/if (n->b) x\[i\] += /if (n->b) x[i] -= /'
mutate qk-norm 's/norm_and_rotate(l, &w->k_norm, &k, s->kv_heads, l->k_position);//'
mutate qk-norm-all 's/l->s->qk_norm_over == ATTN_QK_NORM_OVER_ALL ? 1 : heads/heads/'
mutate qk-norm-after 's/const bool after = .*/const bool after = false;/'
mutate qk-norm-heads 's/own.w += (int64_t)h \* n->own/own.w += 0/'
mutate rope-half 's/const bool half = s->rope == ATTN_ROPE_HALF/const bool half = false/'
mutate rope-sign 's/\*re = a \* cosine - b \* sine/*re = a * cosine + b * sine/'
mutate rope-linear 's/case ATTN_ROPE_SCALING_LINEAR: return slow/case ATTN_ROPE_SCALING_LINEAR: return angle/'
mutate rope-llama3 's/return (1 - smooth) \* slow + smooth \* angle/return slow/'
mutate rope-yarn 's/return ramp \* slow + (1 - ramp) \* angle/return slow/'
mutate rope-longrope 's/l.angle\[i\] \/= (double)w.rope_factors\[i\]/;/'
mutate rope-truncate 's/if (s->rope_truncate)/if (true)/'
mutate rope-mscale 's/? (double)s->rope_mscale : 1/? 1 : 1/'
mutate q-bias 's/rows_at(&y, i)\[o\] += (double)p->b\[o\]/rows_at(\&y, i)[o] += 0/'
mutate sinks 's/args.sinks = sinks/args.sinks = (float[64]){0}/'
mutate padding 's/args.key_padding = c->key_padding/args.key_padding = NULL/'
mutate uk-uv 's/+ (int64_t)s->head_dim \* c, v, c/, v, c/'
mutate latent-norm 's/rows_normalise(&w->kv_norm, rows_at(&key, i), c)/(void)0/'
mutate query-norm 's/from = rows_normed(l, &w->q_norm, &from);//'
mutate silu 's/case ATTN_FFN_SILU: return x \/ (1 + exp(-x))/case ATTN_FFN_SILU: return x/'
mutate gelu 's/return 0.5 \* x \* erfc(-x \/ sqrt(2))/return x \/ (1 + exp(-1.702 * x))/'
mutate gelu-tanh 's/0.044715 \* x \* x \* x/0/'
mutate relu 's/default: return x > 0 ? x : 0;/default: return x;/'
mutate relu2 's/x > 0 ? x \* x : 0/x > 0 ? x : 0/'
mutate quick-gelu 's/return x \/ (1 + exp(-1.702 \* x))/return x \/ (1 + exp(-1.6 * x))/'
mutate xielu-p 's/log1p(exp(alpha_p)) \* x/alpha_p * x/'
mutate xielu-n 's/beta + log1p(exp(alpha_n))/log1p(exp(alpha_n))/'
mutate gate-order 's/const int64_t first = has_gate(s) ? f : 0/const int64_t first = 0/'
mutate post-norm 's/return l->s->norm_place == ATTN_NORM_PLACE_POST ? rows_normed(l, n, &y) : y/return y/'
mutate both-norms 's/norms_branch(l->s) ? rows_normed(l, post, fx) : \*fx/norms_branch(l->s) ? *fx : *fx/'
mutate parallel 's/rows_normed(l, &w->norm2, x);/rows_normed(l, \&w->norm2, \&h);/'
mutate shared-norm 's/const rows b = s->shared_norm ? a :/const rows b = s->shared_norm ? h :/'
mutate residual-scale 's/x->data\[i\] + scale \* y->data/x->data[i] + y->data/'
mutate bare-norm 's/!n->w ? 1 : n->offset/!n->w ? 2 : n->offset/'
mutate residual 's/y = rows_sum(l, x, &y);/;/'
mutate expert-weight 's/weight\[e\] = chosen\[e\] ? part/weight[e] = chosen[e] ? 1/'
mutate expert-norm 's/s->norm_topk ? p\[e\] \/ (sum + 1e-20) : p\[e\]/p[e]/'
mutate expert-scale 's/part \* (double)s->router_scale/part/'
mutate expert-bias 's/y\[o\] += (double)p->b\[o\]/y[o] += 0/'
mutate expert-clamp 's/g = fmin(g, 7);/;/'
mutate expert-swish 's/-1.702 \* g/-g/'
mutate late-softmax 's/softmax(p, chosen, n)/softmax(p, NULL, n)/'
mutate selection-bias 's/(w->selection ? (double)w->selection\[e\] : 0)/0/'
mutate expert-groups 's/open\[i\] = group\[i \/ each\]/open[i] = true/'
mutate two-largest 's/s->router == ATTN_ROUTER_SIGMOID ? 2 : 1/1/'
mutate shared-experts 's/if (!s->shared_experts) continue;/continue;/'
mutate expert-input 's/s->router_input ? 1 : weight\[e\]/weight[e]/'
mutate q-growth 's/if (s->q_growth != 0) grow/if (false) grow/'
mutate o-gate 's/if (w->gate.w) apply_gate/if (false) apply_gate/'
mutate shared-gate 's/w->shared_gate ? 1 \/ (1 + exp(-share)) : 1/1/'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
