/* json_text.h - JSON read with the position of every value, so that errors can point at it. What is
 * kept lives in the arena. */
#ifndef GEN_JSON_TEXT_H
#define GEN_JSON_TEXT_H

#include "lua/lua_host.h"
#include "util.h"

typedef enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
} json_kind;

typedef struct json_val json_val;
struct json_val {
    json_kind kind;
    bool boolean;
    double number;
    const char *string;
    const char *name;  /* of a member; null in arrays and at the top */
    const char *path;  /* "rope_scaling.factor", "layer_types[3]", to be shown; "" at the top */
    const char *text;  /* what it was read from */
    size_t key_at, at; /* offsets in it of the name (of items: the value) and of the value */
    int line, column;  /* of key_at, from 1 */
    json_val *item;    /* members and items, in the order of the text */
    int count;
    const json_val **slot; /* of an object: its 2 * count + 1 places by the names' hashes */
};

/* Null with a message `path:line:column: what` and the line with a caret: for text that is no JSON
 * of Python's (NaN and Infinity are numbers), for a name given twice, for nesting deeper than 64
 * levels, and for more values than a file has that is worth reading. unread, a list of names or
 * null: members whose lists and objects are checked and not kept, however long. */
const json_val *json_read(arena *a, const char *path, const char *text, const json_val *unread,
                          diag *d);

/* A member by name, in the letters' case as given; null if there is none. */
const json_val *json_get(const json_val *object, const char *name);

/* An object with the members of both; where both have one, over's, and of two objects their members
 * likewise. */
const json_val *json_over(arena *a, const json_val *base, const json_val *over);
/* An object less the members that a list, or null, names. */
const json_val *json_less(arena *a, const json_val *object, const json_val *names);

/* Same kind and same value; of objects, in any order. NaN is the same as nothing. */
bool json_same(const json_val *x, const json_val *y);

/* For spec_input: whole numbers are integers; arrays and objects come without their contents.
 * Messages quote it as the file has it. */
const lua_val *json_to_lua(arena *a, const json_val *v);

#endif
