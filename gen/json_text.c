#include "json_text.h"

#include "model.h"
#include "text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

typedef struct reading {
    arena *a;
    const char *path, *text;
    size_t at;
    diag *d;
} reading;

static bool refuse(const reading *r, size_t offset, const char *what) {
    buf b = buf_new(r->a);
    buf_printf(&b, "%s: %s", source_place(r->a, r->path, r->text, offset), what);
    source_show(&b, r->text, offset);
    return diag_set(r->d, "%s", b.data);
}

static size_t string_end(const char *text, size_t p) {
    for (p++; text[p] && text[p] != '"'; p++)
        if (text[p] == '\\' && text[p + 1]) p++;
    return text[p] ? p + 1 : p;
}

/* Before cJSON, which nests deeper than a tree walk should have to. */
static bool check_depth(const reading *r) {
    int depth = 0;
    for (size_t p = 0; r->text[p];) {
        const char c = r->text[p];
        if (c == '"') {
            p = string_end(r->text, p);
            continue;
        }
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (depth > MAX_DEPTH) return refuse(r, p, "is nested more than 64 levels deep");
        p++;
    }
    return true;
}

/* --- The text once more, beside cJSON's tree, for the positions. It is known to be JSON. --- */

static void skip(reading *r, const char *also) {
    while (r->text[r->at] && ((unsigned char)r->text[r->at] <= ' ' || strchr(also, r->text[r->at])))
        r->at++;
}

/* A set of names, to find one given twice. */
typedef struct names {
    const json_val **slot;
    size_t size;
} names;

static bool add_name(names *set, const json_val *member) {
    size_t i = (size_t)hash64(member->name, strlen(member->name)) % set->size;
    for (; set->slot[i]; i = (i + 1) % set->size)
        if (strcmp(set->slot[i]->name, member->name) == 0) return false;
    set->slot[i] = member;
    return true;
}

static bool convert(reading *r, const cJSON *node, json_val *out);

static bool convert_items(reading *r, const cJSON *node, json_val *out) {
    const bool object = cJSON_IsObject(node);
    out->count = cJSON_GetArraySize(node);
    out->item = arena_alloc(r->a, ((size_t)out->count + 1) * sizeof *out->item);
    names set = {.size = 2 * (size_t)out->count + 1};
    set.slot = arena_alloc(r->a, set.size * sizeof *set.slot);
    r->at++; /* the bracket */
    int i = 0;
    const char *dot = *out->path ? "." : "";
    for (const cJSON *c = node->child; c; c = c->next, i++) {
        json_val *v = &out->item[i];
        skip(r, ",");
        v->key_at = r->at;
        if (object) {
            v->name = arena_strdup(r->a, c->string);
            v->path = arena_printf(r->a, "%s%s%s", out->path, dot, text_shown(r->a, v->name));
            if (!add_name(&set, v))
                return refuse(r, r->at, arena_printf(r->a, "%s: is given twice", v->path));
            r->at = string_end(r->text, r->at);
            skip(r, ":");
        } else {
            v->path = arena_printf(r->a, "%s[%d]", out->path, i);
        }
        if (!convert(r, c, v)) return false;
    }
    skip(r, ",");
    r->at++;
    return true;
}

static bool convert(reading *r, const cJSON *node, json_val *out) {
    out->at = r->at;
    out->text = r->text;
    if (cJSON_IsObject(node) || cJSON_IsArray(node)) {
        out->kind = cJSON_IsObject(node) ? JSON_OBJECT : JSON_ARRAY;
        return convert_items(r, node, out);
    }
    if (cJSON_IsString(node)) {
        out->kind = JSON_STRING;
        out->string = arena_strdup(r->a, node->valuestring);
        r->at = string_end(r->text, r->at);
        return true;
    }
    out->kind = cJSON_IsBool(node) ? JSON_BOOL : cJSON_IsNumber(node) ? JSON_NUMBER : JSON_NULL;
    out->boolean = cJSON_IsTrue(node);
    out->number = node->valuedouble;
    r->at += strcspn(r->text + r->at, ",]} \t\r\n");
    return true;
}

const json_val *json_read(arena *a, const char *path, const char *text, diag *d) {
    reading r = {a, path, text, 0, d};
    if (!check_depth(&r)) return NULL;
    const char *end = NULL;
    cJSON *tree = cJSON_ParseWithOpts(text, &end, true);
    if (!tree) {
        const size_t at = (size_t)(end - text), left = strspn(end, " \t\r\n");
        refuse(&r, at,
               text[at + left] ? "is no JSON from here on"
                               : "is no JSON: the text ends before its last bracket or value does");
        return NULL;
    }
    if (!strncmp(text, "\xEF\xBB\xBF", 3)) r.at = 3;
    skip(&r, "");
    json_val *top = arena_alloc(a, sizeof *top);
    top->path = "";
    top->key_at = r.at;
    const bool ok = convert(&r, tree, top);
    cJSON_Delete(tree);
    return ok ? top : NULL;
}

const json_val *json_get(const json_val *object, const char *name) {
    if (!object || object->kind != JSON_OBJECT) return NULL;
    for (int i = 0; i < object->count; i++)
        if (strcmp(object->item[i].name, name) == 0) return &object->item[i];
    return NULL;
}

bool json_same(const json_val *x, const json_val *y) {
    if (x->kind != y->kind) return false;
    switch (x->kind) {
    case JSON_NULL: return true;
    case JSON_BOOL: return x->boolean == y->boolean;
    case JSON_NUMBER: return x->number == y->number;
    case JSON_STRING: return strcmp(x->string, y->string) == 0;
    default: return false;
    }
}

const lua_val *json_to_lua(arena *a, const json_val *v) {
    lua_val *out = arena_alloc(a, sizeof *out);
    const bool whole = fabs(v->number) < 9e15 && v->number == floor(v->number);
    switch (v->kind) {
    case JSON_NULL: out->kind = LUA_VAL_NIL; break;
    case JSON_BOOL: out->kind = LUA_VAL_BOOL; break;
    case JSON_NUMBER: out->kind = whole ? LUA_VAL_INT : LUA_VAL_FLOAT; break;
    case JSON_STRING: out->kind = LUA_VAL_STRING; break;
    default: out->kind = LUA_VAL_TABLE; break;
    }
    out->boolean = v->boolean;
    out->number = v->number;
    out->integer = whole ? (int64_t)v->number : 0;
    out->string = v->string;
    return out;
}
