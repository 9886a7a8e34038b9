/* plan.h - every decision about a kernel: a pure function of the spec, the ISA row and the options.
 * Templates read it and decide nothing. */
#ifndef GEN_PLAN_H
#define GEN_PLAN_H

#include "isa.h"
#include "spec/model.h"

/* What can be chosen for a kernel. Each is decided by the model of plan.c and cost.c, or by a tune
 * file where that names it (-1: it does not). */
typedef struct plan_choice {
    int vectors;   /* query vectors of a full tile */
    int keys;      /* keys of its QK register tile */
    int columns;   /* vectors of columns of a P V register tile, and of a packed V panel */
    int key_block; /* keys a block */
    int tiles;     /* tiles a query block */
    int unroll;    /* steps of the loop over the head width */
    int prefetch;  /* K rows asked for so many register tiles ahead; 0: none */
    int lazy;      /* 1: lazy maximum, 0: running maximum */
    int dot_keys;  /* decode: keys at a time */
    int dot_ahead; /* decode: keys whose rows are asked for before their turn */
    int part_keys; /* decode: keys a part of a split */
    int decode_q;  /* most query rows that run as decode */
    /* Whether the kernel is taken where ATTN_ISA does not name its instruction set; -1: as isa.def
     * says of the CPU. No member of plan_params: it changes no code, and no model decides it. */
    int unasked;
} plan_choice;

/* A member of plan_choice: its name in tune files, its bounds (more is said by plan_check). */
typedef struct plan_param {
    const char *name;
    size_t offset;
    int min, max;
    bool is_bool; /* written false or true */
} plan_param;
enum { PLAN_PARAMS = 12 };
extern const plan_param plan_params[PLAN_PARAMS];
int plan_choice_get(const plan_choice *c, int param);
void plan_choice_set(plan_choice *c, int param, int value);
plan_choice plan_choice_none(void); /* all left to the model */

enum { PLAN_MAX_VARIANTS = 2, PLAN_MAX_VECTORS = 4, PLAN_MAX_GROUPS = 8, PLAN_MAX_NOTES = 24 };

/* Columns of O that P V takes at once, one strip after the other. */
typedef struct plan_strip {
    int vectors;
    int from, to; /* columns; to = 0: a strip by itself, else a loop over them */
    bool tail;    /* its last vector is partial */
    bool narrow;  /* fewer vectors than the others: the last panel of packed values */
} plan_strip;

/* Rows of a tile in register groups for P V. */
typedef struct plan_pv {
    int groups[PLAN_MAX_GROUPS], group_count;
    int columns;         /* vectors of output columns */
    plan_strip strip[2]; /* all columns of O */
    int strips;
} plan_pv;

/* Register tiles for a query tile of some number of vectors. */
typedef struct plan_tile {
    int keys;     /* QK: keys in registers */
    int unroll;   /* QK: steps of the loop over the head width */
    int prefetch; /* QK: register tiles ahead */
    int row_asks; /* of the lines asked for in order, a row's steps; 0: each row has its own lines
                   */
    bool lazy;    /* has the code of a lazy maximum */
    int exp_keys; /* QK with such a maximum: keys whose P is summed before l takes it */
    int widens;   /* QK with such a maximum: lines of stored K that it asks for a line of f32, while
                     it   widens the next register tile's rows; 0: it does not */
    plan_pv pv;
} plan_tile;

/* Decode: a tile whose rows run as dot products. */
typedef struct plan_dot {
    int rows;
    int lanes;  /* of a key in a score vector: rows in a power of two */
    int keys;   /* at a time */
    int walk;   /* of those, side by side along the head width */
    int unroll; /* steps of the loop over that in one turn of it */
    bool again; /* rows are asked for twice */
    bool plain; /* P of a turn is summed before l takes it: exact additions would be waited for */
    /* Its products take longer than memory: lines are asked for at once, with the fewest
     * instructions, not spread to meet a queue's length. */
    bool bursts;
    int whole; /* columns of the loop over the head width, */
    int step;  /* and of a step of it */
    int asks;  /* lines of V that are asked for in a step; 0: all before the first */
    /* Lines of K that are asked for while values are multiplied. */
    int row_lines;   /* of a row of K */
    int strip_lines; /* in a strip of P V */
    int line_keys;   /* there, keys between two lines, */
    int key_lines;   /* or lines a key, where there are more than keys */
    plan_pv pv;
} plan_dot;

/* Dot products of codes of 8 bits, as integers, exact in 32 bits. */
typedef struct plan_codes {
    bool words;  /* codes of Q have 16 bits, else 8 */
    int q_most;  /* what a row's largest becomes; 0: products are formed in f32 */
    int p_bytes; /* of P, unsigned, */
    int p_most;  /* of which the largest of a row in a block of keys becomes that */
} plan_codes;

/* A way to go through the rows of an item: a file of templates/variant. */
typedef struct plan_variant {
    const char *name;
    int most_rows; /* runs where an item has no more query rows than that; 0: whatever is left */
} plan_variant;

typedef struct plan {
    attn_isa isa;
    plan_choice choice; /* as decided; a kernel without tiles has none */
    unsigned tuned;     /* bits of plan_params that a tune file decided */
    char symbol[ATTN_NAME_MAX];
    /* The end of its symbol where a tune file or unroll made other code than the model's own, so
     * that a program may have both: t and a hash of the code. Else empty. */
    char other[12];
    const char *layout;                      /* how Q, K, V and O lie: a file of templates/layout */
    bool paged;                              /* in pages */
    int page;                                /* of so many keys */
    const char *places;                      /* the file of the hooks that say where keys lie */
    bool indexed;                            /* a row's keys are those of a list, */
    int index_keys;                          /* of which so many are taken at a time */
    bool gathers;                            /* as they are stored, for dot products */
    plan_variant variant[PLAN_MAX_VARIANTS]; /* the first whose rows an item has runs */
    int variants;
    /* Resolved types and sizes of the spec. */
    attn_types type; /* what Q, K, V and O are stored in; panels of V are f32 */
    bool pairs;      /* products of tiles are of pairs of bf16 */
    int dk;          /* elements of a row of K in tiles: floats, or pairs */
    int heads, key_heads, value_heads, group, d, dv, dvp;
    /* Scores. */
    double q_scale;        /* folded into Q */
    double softcap_factor; /* multiplies tanh */
    const expr *score;     /* in units of log 2, of s as q_scale and softcap_factor leave it */
    bool apart;            /* the score expression's factors of s stay in it */
    bool bias;             /* a run-time mask may come */
    bool rescore;          /* scores change even where nothing is hidden */
    bool scaled;           /* K and V have a scale a row */
    attn_rotation rotate;  /* of keys, as they are stored; block = 0: none */
    bool has_score, has_mask;
    bool log2e; /* LOG2E is used */
    /* Prefill and decode: tiles of query rows. Without them all of this is zero. */
    bool tiled;
    bool widen;       /* K and V are not f32: tiles read rows widened in scratch */
    int widen_ahead;  /* rows of K asked for before they are widened */
    bool latent;      /* V may be the first columns of K */
    int tile_vectors; /* 1..: tiles of fewer rows use tile[n - 1] */
    plan_tile tile[PLAN_MAX_VECTORS];
    int tiles;        /* tiles a query block */
    int key_block;    /* keys a block */
    int sum_keys;     /* of those, P V sums at once */
    int span;         /* keys that a tile's sums take before they are kept; whole blocks */
    int chunk_keys;   /* keys of a chunk, where V is not packed all at once: whole blocks */
    int held_tiles;   /* tiles of a task that goes through key chunks, at most */
    int panel;        /* columns of a packed V panel; the last one may be narrower */
    int max_keys;     /* most keys of a QK register tile */
    int edge_keys;    /* keys at a time at the edges of a causal or sliding tile; 0: it has none */
    int pv_groups;    /* most row groups of a tile */
    bool lazy;        /* exponentials against an old maximum, checked afterwards */
    uint32_t minmax;  /* side tensors whose block minima and maxima the classifier reads */
    int reach;        /* n rows see at most n + reach keys from the first to the last; -1: any */
    bool scattered;   /* each row says by itself where its keys are */
    int64_t row_keys; /* most keys that a row sees, 2^31: no bound */
    /* Decode: split keys. */
    int part_keys, decode_q;
    bool dot_spread; /* V rows are asked for step by step, not all at once */
    int dot_most;    /* most rows of a group that run as dot products */
    int turn_keys;   /* keys of such a tile's turn */
    int dot_ahead;   /* rows of K and of V asked for before their turn: whole turns */
    plan_dot dot[2]; /* by rows, the fewest first */
    int dots;        /* none: 0 */
    plan_codes codes;
    /* Columns of Q and of O that stand, in each two vectors, as the even ones, then the odd ones:
     * how dot products load pairs of 16 bits. 0: as they lie. */
    int pair_d, pair_dv;
    /* Gather: a dot product for each of a row's keys; 0: the kernel has no such variant. */
    int gather_keys;
    /* Why, a line each. */
    const char *note[PLAN_MAX_NOTES];
    int notes;
} plan;

/* Steps of the loop over the head width that are unrolled at most. A full tile's code for 256 steps
 * about fills an L1 instruction cache of 32 KB; gcc takes a minute for it, and ten for 576. */
enum { PLAN_MOST_UNROLL = 256 };

/* Null if a kernel can be made with this unroll (as plan_make takes it), else what is wrong. */
const char *plan_check_unroll(arena *a, const kernel_spec *spec, int unroll);

/* unroll: 0 auto, -1 full, else a number of steps, for tiles of any width. choice: null, or what a
 * tune file says. Not both; plan_check_unroll and plan_check accept them. */
void plan_make(arena *a, const kernel_spec *spec, const isa_row *isa, int unroll,
               const plan_choice *choice, plan *out);

/* Whether a kernel has code of its own on an instruction set beside one that it is like: false
 * where the model's plan is the same on both. */
bool plan_adds(arena *a, const kernel_spec *spec, const isa_row *isa, const isa_row *like,
               int unroll);

/* Null if `unasked` may be chosen for a kernel: where its instruction set is like another one, and
 * it has code of its own there. Else what is wrong. */
const char *plan_check_unasked(arena *a, const kernel_spec *spec, const isa_row *isa);

/* Null if a kernel can be made with this choice, else what is wrong; *param: with which member. */
const char *plan_check(arena *a, const kernel_spec *spec, const isa_row *isa,
                       const plan_choice *choice, int *param);

/* The plan as a table, and as text for --dump plan. */
lua_val *plan_to_lua(arena *a, const plan *p);
/* The same for templates, with what follows from the spec alone. */
lua_val *plan_for_templates(arena *a, const plan *p);

/* How elements of a type are stored: their C type, the suffix of the vocabulary's loads and stores
 * of them, and how many a cache line holds. */
lua_val *plan_type_to_lua(arena *a, int32_t type);
/* What of a key row is stored rotated; false: keys are stored as they are. */
lua_val *plan_rotation_to_lua(arena *a, attn_rotation rotate);

/* What templates see of it, but for the notes, as text: plans of a kernel that have one text make
 * the same code. */
const char *plan_code(arena *a, const plan *p);

/* Bytes of one thread's scratch: the size of `scratch` in the generated file, which asserts it. */
size_t plan_scratch(const plan *p);

/* What attn_workspace answers for the kernel; UINT64_MAX: more than 64 bits hold. */
uint64_t plan_workspace(const plan *p, const kernel_spec *k, int32_t batch, int32_t q_len,
                        int32_t kv_len, int32_t threads);

/* Bytes of a row of K, and of `columns` of V, as they are stored. */
int plan_k_bytes(const plan *p);
int plan_v_bytes(const plan *p, int columns);

/* Useful FLOPs of a call: 2 (D + Dv) for each visible pair. */
double plan_flops(const plan *p, double pairs);

#endif
