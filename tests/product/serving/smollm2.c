/* smollm2.c - SmolLM2 for serving.c: `serving DIR SYSTEM_IDS USER_IDS..`, DIR as of smollm2.sh,
 * files of token ids in decimal. */
#include "serving.h"
#include "../smollm2/model.h"
#include <stdio.h>
#include <stdlib.h>

static model m;

static prompt read_ids(const char *path) {
    enum { MOST = 64 };
    int *ids = allocate(MOST * sizeof *ids), count = 0, got = 0;
    FILE *f = fopen(path, "r");
    while (f && count < MOST && (got = fscanf(f, "%d", &ids[count])) == 1)
        if (ids[count] >= 0 && ids[count] < m.c.vocab) count++;
    if (!f || got != EOF || count == 0) die("%s: expected 1 to %d token ids", path, MOST - 1);
    fclose(f);
    return (prompt){ids, count};
}

int weights_open(weights *w, int argc, char **argv, prompt *prompts, int most) {
    if (argc < 4) die("usage: serving DIR SYSTEM_IDS USER_IDS..");
    model_open(&m, argv[1], 1);
    *w = (weights){m.c.hidden, m.c.vocab, m.c.eos, m.c.eps, m.embedding, m.norm};
    int count = 0;
    for (int i = 2; i < argc && count < most; i++) prompts[count++] = read_ids(argv[i]);
    return count;
}

int weights_of_layer(int index, attn_tensor *out) {
    const layer *l = &m.layers[index];
    const int64_t hidden = m.c.hidden, q = m.c.heads * (int64_t)m.c.head_dim;
    const int64_t kv = m.c.kv_heads * (int64_t)m.c.head_dim, ffn = m.c.ffn;
    const attn_tensor all[] = {
        {"input_layernorm.weight", l->input_norm, 1, {hidden}, 0},
        {"q_proj.weight", l->q, 2, {q, hidden}, 0},
        {"k_proj.weight", l->k, 2, {kv, hidden}, 0},
        {"v_proj.weight", l->v, 2, {kv, hidden}, 0},
        {"o_proj.weight", l->o, 2, {hidden, q}, 0},
        {"post_attention_layernorm.weight", l->post_norm, 1, {hidden}, 0},
        {"gate_proj.weight", l->gate, 2, {ffn, hidden}, 0},
        {"up_proj.weight", l->up, 2, {ffn, hidden}, 0},
        {"down_proj.weight", l->down, 2, {hidden, ffn}, 0},
    };
    const int count = sizeof all / sizeof *all;
    for (int i = 0; i < count; i++) out[i] = all[i];
    return count;
}

void weights_show(int user, const int *ids, int count) {
    printf("user %d: ", user);
    for (int i = 0; i < count; i++) {
        const int from = m.token_offsets[ids[i]], to = m.token_offsets[ids[i] + 1];
        for (int n = from; n < to; n++) putchar(m.token_bytes[n] == '\n' ? ' ' : m.token_bytes[n]);
    }
    putchar('\n');
}
