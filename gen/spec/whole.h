/* whole.h - what makes layers a whole model: the table `model` of a model file, its fields from
 * runtime/model_fields.def. */
#ifndef GEN_WHOLE_H
#define GEN_WHOLE_H

#include "kernel_spec.h"
#include "model_spec.h"

typedef enum whole_kind { WHOLE_ENUM, WHOLE_INT, WHOLE_BOOL, WHOLE_FLOAT, WHOLE_FLOATS } whole_kind;

/* A row of model_fields.def. */
typedef struct whole_field {
    const char *name;
    whole_kind kind;
    size_t offset; /* in attn_model_spec */
    double lowest, highest, missing;
    const char *values; /* "a|b" of an enum */
    const char *help;
} whole_field;

extern const whole_field whole_fields[];
extern const int whole_field_count;

const whole_field *whole_find(const char *name);
/* Of a list: how many it has. */
double whole_get(const whole_field *f, const attn_model_spec *s);
void whole_put(const whole_field *f, attn_model_spec *s, double v);
const attn_floats *whole_list(const whole_field *f, const attn_model_spec *s);
/* The value as a user writes it. */
const char *whole_text(arena *a, const whole_field *f, const attn_model_spec *s);

/* Every field at its default. */
void whole_begin(attn_model_spec *s);
/* Gives a field a value; null, or a sentence on what must be. */
const char *whole_set(arena *a, attn_model_spec *s, const whole_field *f, const lua_val *v);
void whole_put_list(arena *a, const whole_field *f, attn_model_spec *s, const double *v, int count);
/* What is wrong with the fields together; null: nothing. */
const char *whole_check(arena *a, const attn_model_spec *s);

#endif
