/* ops.c - the table of operations, and the spelling of C that every emitter shares. */
#include "expr_internal.h"

#define IV1(f) .iv_name = #f, .iv1 = f
#define IV2(f) .iv_name = #f, .iv2 = f
#define FV1(f) .fv_name = #f, .fv1 = f
#define FV2(f) .fv_name = #f, .fv2 = f
#define FC(f) .fv_name = #f, .compare = f
#define SAME(text) .ci = text, .cf = text, .cd = text

/* Text, precedence, operands, cost; then how each output spells the operation. */
#define ROW(op, ...) [EX_##op] = {__VA_ARGS__}
const expr_op_row expr_ops[EX_COUNT] = {
    [EX_CONST] = {.name = "const"},
    [EX_VAR] = {.name = "var"},
    [EX_SCALAR] = {.name = "scalar"},
    [EX_TENSOR] = {.name = "tensor"},
    ROW(TO_FLOAT, "to_float", 0, 1, 1, .vf = "vi_to_f", .cf = "(float)%1", .cd = "(double)%1"),
    ROW(OR, "or", 1, 2, 1, SAME("%1 || %2")),
    ROW(AND, "and", 2, 2, 1, SAME("%1 && %2")),
    ROW(NOT, "not", 3, 1, 1, SAME("!%1")),
    ROW(LT, "<", 4, 2, 1, SAME("%1 < %2"), .vi = "vi_lt", .vf = "vf_lt", FC(attn_fv_lt)),
    ROW(LE, "<=", 4, 2, 1, SAME("%1 <= %2"), .vi = "vi_le", .vf = "vf_le", FC(attn_fv_le)),
    ROW(GT, ">", 4, 2, 1, SAME("%1 > %2"), .vi = "vi_gt", .vf = "vf_gt"),
    ROW(GE, ">=", 4, 2, 1, SAME("%1 >= %2"), .vi = "vi_ge", .vf = "vf_ge"),
    ROW(EQ, "==", 4, 2, 1, SAME("%1 == %2"), .vi = "vi_eq", .vf = "vf_eq", FC(attn_fv_eq)),
    ROW(NE, "!=", 4, 2, 1, SAME("%1 != %2"), .vi = "vi_ne", .vf = "vf_ne", FC(attn_fv_ne)),
    ROW(BIT_OR, "|", 5, 2, 1, .ci = "attn_or32(%1, %2)", .vi = "vi_or", IV2(attn_iv_or)),
    ROW(BIT_XOR, "^", 6, 2, 4, .ci = "attn_xor32(%1, %2)"),
    ROW(BIT_AND, "&", 7, 2, 1, .ci = "attn_and32(%1, %2)", .vi = "vi_and", IV2(attn_iv_and)),
    ROW(SHL, "<<", 8, 2, 1, .ci = "attn_shl32(%1, %2)", .vi = "vi_shl", IV2(attn_iv_shl)),
    ROW(SHR, ">>", 8, 2, 1, .ci = "attn_shr32(%1, %2)", .vi = "vi_shr", IV2(attn_iv_shr)),
    ROW(ADD, "+", 9, 2, 1, .ci = "attn_add32(%1, %2)", .cf = "%1 + %2", .cd = "%1 + %2",
        .vi = "vi_add", .vf = "vf_add", IV2(attn_iv_add), FV2(attn_fv_add)),
    ROW(SUB, "-", 9, 2, 1, .ci = "attn_sub32(%1, %2)", .cf = "%1 - %2", .cd = "%1 - %2",
        .vi = "vi_sub", .vf = "vf_sub", IV2(attn_iv_sub), FV2(attn_fv_sub)),
    ROW(MUL, "*", 10, 2, 1, .ci = "attn_mul32(%1, %2)", .cf = "%1 * %2", .cd = "%1 * %2",
        .vi = "vi_mul", .vf = "vf_mul", IV2(attn_iv_mul), FV2(attn_fv_mul)),
    ROW(DIV, "/", 10, 2, 4, .cf = "%1 / %2", .cd = "%1 / %2", .vf = "vf_div", FV2(attn_fv_div)),
    ROW(FLOORDIV, "//", 10, 2, 12, .ci = "attn_floordiv32(%1, %2)", .cd = "floor(%1 / %2)",
        .vi = "vi_floordiv", IV2(attn_iv_floordiv), FV2(attn_fv_floordiv)),
    ROW(FLOORMOD, "%", 10, 2, 12, .ci = "attn_floormod32(%1, %2)", .cf = "attn_floormodf(%1, %2)",
        .cd = "attn_floormodd(%1, %2)", .vi = "vi_floormod", IV2(attn_iv_floormod),
        FV2(attn_fv_floormod)),
    ROW(NEG, "-", 11, 1, 1, .ci = "attn_neg32(%1)", .cf = "-(%1)", .cd = "-(%1)", .vi = "vi_neg",
        .vf = "vf_neg", IV1(attn_iv_neg), FV1(attn_fv_neg)),
    ROW(BIT_NOT, "~", 11, 1, 1, .ci = "~(%1)", .vi = "vi_not", IV1(attn_iv_not)),
    ROW(WHERE, "where", 0, 3, 1, SAME("%1 ? %2 : %3"), .vi = "vi_select", .vf = "vf_select",
        .iv_name = "attn_iv_where", .fv_name = "attn_fv_where"),
    ROW(ABS, "abs", 0, 1, 1, .ci = "attn_abs32(%1)", .cf = "fabsf(%1)", .cd = "fabs(%1)",
        .vi = "vi_abs", .vf = "vf_abs", IV1(attn_iv_abs), FV1(attn_fv_abs)),
    ROW(MIN, "min", 0, 2, 1, .ci = "attn_min32(%1, %2)", .cf = "attn_minf(%1, %2)",
        .cd = "attn_mind(%1, %2)", .vi = "vi_min", .vf = "vf_min", IV2(attn_iv_min),
        FV2(attn_fv_min)),
    ROW(MAX, "max", 0, 2, 1, .ci = "attn_max32(%1, %2)", .cf = "attn_maxf(%1, %2)",
        .cd = "attn_maxd(%1, %2)", .vi = "vi_max", .vf = "vf_max", IV2(attn_iv_max),
        FV2(attn_fv_max)),
    ROW(CLAMP, "clamp", 0, 3, 2, .ci = "attn_min32(attn_max32(%1, %2), %3)",
        .cd = "attn_mind(attn_maxd(%1, %2), %3)"),
    ROW(EXP, "exp", 0, 1, 12, .cf = "expf(%1)", .cd = "exp(%1)", .vf = "vf_exp", FV1(attn_fv_exp)),
    ROW(EXP2, "exp2", 0, 1, 10, .cf = "exp2f(%1)", .cd = "exp2(%1)", .vf = "vf_exp2",
        FV1(attn_fv_exp2)),
    ROW(LOG, "log", 0, 1, 14, .cf = "logf(%1)", .cd = "log(%1)", .vf = "vf_log", FV1(attn_fv_log)),
    ROW(TANH, "tanh", 0, 1, 16, .cf = "tanhf(%1)", .cd = "tanh(%1)", .vf = "vf_tanh",
        .each = "vf_tanh_each", FV1(attn_fv_tanh)),
    ROW(SIGMOID, "sigmoid", 0, 1, 16, .cf = "attn_sigmoidf(%1)", .cd = "attn_sigmoidd(%1)",
        .vf = "vf_sigmoid", FV1(attn_fv_sigmoid)),
    ROW(SQRT, "sqrt", 0, 1, 4, .cf = "sqrtf(%1)", .cd = "sqrt(%1)", .vf = "vf_sqrt",
        FV1(attn_fv_sqrt)),
    ROW(SIN, "sin", 0, 1, 14, .cf = "sinf(%1)", .cd = "sin(%1)", .vf = "vf_sin", FV1(attn_fv_sin)),
    ROW(COS, "cos", 0, 1, 14, .cf = "cosf(%1)", .cd = "cos(%1)", .vf = "vf_cos", FV1(attn_fv_cos)),
    ROW(FLOOR, "floor", 0, 1, 1, .cf = "floorf(%1)", .cd = "floor(%1)", .vf = "vf_floor",
        FV1(attn_fv_floor)),
    ROW(CEIL, "ceil", 0, 1, 3, .cf = "ceilf(%1)", .cd = "ceil(%1)"),
    ROW(ROUND, "round", 0, 1, 1, .cf = "rintf(%1)", .cd = "rint(%1)", .vf = "vf_rint",
        FV1(attn_fv_rint)),
    ROW(INT, "int", 0, 1, 5, .cf = "attn_intf(%1)", .cd = "attn_intd(%1)", .vf = "vf_int",
        .iv_name = "attn_iv_of_fv"),
    ROW(FMA, "fma", 0, 3, 1, .vf = "vf_fma"),
};

bool expr_is_compare(expr_op op) {
    return op >= EX_LT && op <= EX_NE;
}

const char *expr_dim_text(arena *a, const expr *e, int32_t dim) {
    switch (dim) {
    case ATTN_DIM_BATCH: return "x->args->batch";
    case ATTN_DIM_Q_LEN: return "x->args->q_len";
    case ATTN_DIM_KV_LEN: return "x->args->kv_len_max";
    case ATTN_DIM_HEADS: return expr_int_text(a, e->heads);
    case ATTN_DIM_KV_HEADS: return expr_int_text(a, e->kv_heads);
    default: return expr_int_text(a, dim);
    }
}

const char *expr_fill(arena *a, const char *pattern, const char *const operand[]) {
    buf b = buf_new(a);
    for (const char *p = pattern; *p; p++) {
        if (*p == '%' && p[1] >= '1' && p[1] <= '3')
            buf_puts(&b, operand[*++p - '1']);
        else
            buf_add(&b, p, 1);
    }
    return b.data;
}

const char *expr_int_text(arena *a, int32_t v) {
    if (v == INT32_MIN) return "INT32_MIN";
    return arena_printf(a, "%d", (int)v);
}

const char *expr_f32_text(arena *a, double v) {
    float f = (float)v;
    if (isnan(f)) return "NAN";
    if (isinf(f)) return f < 0 ? "-INFINITY" : "INFINITY";
    return arena_printf(a, "%af", (double)f);
}
