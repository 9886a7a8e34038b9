/* safetensors.c - 8 bytes of header length, a JSON header, raw data. */
#include "safetensors.h"
#include "files.h"
#include "text.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

enum { MAX_FILE = 1 << 30, MAX_HEADER = 1 << 24 };

/* The data section of the file. */
typedef struct section {
    const uint8_t *data;
    uint64_t size;
} section;

static bool integer(const cJSON *item, int64_t most, int64_t *out) {
    if (!cJSON_IsNumber(item)) return false;
    double v = item->valuedouble;
    if (!(v >= 0 && v <= (double)most) || v != floor(v)) return false;
    *out = (int64_t)v;
    return true;
}

static bool read_dtype(const cJSON *item, st_dtype *out) {
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    if (!cJSON_IsString(dtype)) return false;
    *out = st_dtype_named(dtype->valuestring);
    return *out < ST_DTYPE_COUNT;
}

static bool read_shape(const cJSON *item, st_tensor *t) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape"), *dim;
    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > ST_MAX_RANK) return false;
    t->count = 1;
    cJSON_ArrayForEach(dim, shape) {
        int64_t n;
        if (!integer(dim, MAX_FILE, &n)) return false;
        t->dim[t->rank++] = n;
        t->count *= n;
        if (t->count > MAX_FILE) return false;
    }
    return true;
}

static bool read_data(const cJSON *item, const section *s, st_tensor *t) {
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    int64_t from, to;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2) return false;
    if (!integer(cJSON_GetArrayItem(offsets, 0), MAX_FILE, &from)) return false;
    if (!integer(cJSON_GetArrayItem(offsets, 1), MAX_FILE, &to)) return false;
    if (from > to || (uint64_t)to > s->size) return false;
    t->data = s->data + from;
    return to - from == t->count * st_dtype_size(t->dtype);
}

static bool read_tensor(arena *a, const cJSON *item, const section *s, const char *path,
                        st_tensor *t, diag *d) {
    t->name = arena_strdup(a, item->string);
    const char *shown = text_shown(a, t->name);
    if (!cJSON_IsObject(item)) return diag_set(d, "%s: %s: not an object", path, shown);
    if (!read_dtype(item, &t->dtype))
        return diag_set(
            d, "%s: %s: unknown dtype; known are F32, F64, BF16, F16, I64, I32, U8, BOOL, I8", path,
            shown);
    if (!read_shape(item, t))
        return diag_set(d, "%s: %s: shape is not a list of at most %d extents", path, shown,
                        ST_MAX_RANK);
    if (!read_data(item, s, t))
        return diag_set(d, "%s: %s: data_offsets do not fit the shape, or the file", path, shown);
    return true;
}

static bool read_meta(arena *a, const cJSON *meta, st_file *out, diag *d) {
    if (!meta) return true;
    if (!cJSON_IsObject(meta)) return diag_set(d, "%s: __metadata__ is not an object", out->path);
    out->meta = arena_alloc(a, (size_t)(cJSON_GetArraySize(meta) + 1) * sizeof *out->meta);
    const cJSON *item;
    cJSON_ArrayForEach(item, meta) {
        if (!cJSON_IsString(item))
            return diag_set(d, "%s: __metadata__.%s is not a string", out->path,
                            text_shown(a, item->string));
        out->meta[out->meta_count++] =
            (st_meta){arena_strdup(a, item->string), arena_strdup(a, item->valuestring)};
    }
    return true;
}

static bool read_header(arena *a, const cJSON *root, const section *s, st_file *out, diag *d) {
    if (!cJSON_IsObject(root)) return diag_set(d, "%s: the header is not JSON", out->path);
    const cJSON *item;
    if (!read_meta(a, cJSON_GetObjectItemCaseSensitive(root, "__metadata__"), out, d)) return false;
    out->tensor = arena_alloc(a, (size_t)(cJSON_GetArraySize(root) + 1) * sizeof *out->tensor);
    cJSON_ArrayForEach(item, root) {
        if (strcmp(item->string, "__metadata__") == 0) continue;
        if (st_find(out, item->string))
            return diag_set(d, "%s: %s: given twice", out->path, text_shown(a, item->string));
        if (!read_tensor(a, item, s, out->path, &out->tensor[out->tensor_count++], d)) return false;
    }
    return true;
}

bool st_read(arena *a, const char *path, st_file *out, diag *d) {
    size_t size;
    *out = (st_file){.path = path};
    const char *text = read_file(a, path, MAX_FILE, &size, d);
    if (!text) return false;
    uint64_t header = 0;
    for (int i = 0; i < 8 && size >= 8; i++) header |= (uint64_t)(uint8_t)text[i] << (8 * i);
    if (size < 8 || header > MAX_HEADER || header > size - 8)
        return diag_set(d, "%s: not a safetensors file: its header's length does not fit", path);
    section s = {(const uint8_t *)text + 8 + header, size - 8 - header};
    cJSON *root = cJSON_ParseWithLength(text + 8, (size_t)header);
    bool ok = read_header(a, root, &s, out, d);
    cJSON_Delete(root);
    return ok;
}

static cJSON *tensor_header(const st_tensor *t, int64_t from) {
    cJSON *item = cJSON_CreateObject(), *shape, *offsets;
    cJSON_AddStringToObject(item, "dtype", st_dtype_name(t->dtype));
    shape = cJSON_AddArrayToObject(item, "shape");
    for (int i = 0; i < t->rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->dim[i]));
    offsets = cJSON_AddArrayToObject(item, "data_offsets");
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)from));
    cJSON_AddItemToArray(offsets,
                         cJSON_CreateNumber((double)(from + t->count * st_dtype_size(t->dtype))));
    return item;
}

char *st_bytes(arena *a, const st_file *f, size_t *size) {
    cJSON *root = cJSON_CreateObject(), *meta = cJSON_AddObjectToObject(root, "__metadata__");
    for (int i = 0; i < f->meta_count; i++)
        cJSON_AddStringToObject(meta, f->meta[i].key, f->meta[i].value);
    int64_t at = 0;
    for (int i = 0; i < f->tensor_count; i++) {
        cJSON_AddItemToObject(root, f->tensor[i].name, tensor_header(&f->tensor[i], at));
        at += f->tensor[i].count * st_dtype_size(f->tensor[i].dtype);
    }
    char *json = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    const size_t used = strlen(json), header = (used + 7) / 8 * 8;
    *size = 8 + header + (size_t)at;
    char *bytes = arena_alloc(a, *size + 1), *data = bytes + 8 + header;
    for (int i = 0; i < 8; i++) bytes[i] = (char)(uint8_t)(header >> (8 * i));
    memset(bytes + 8, ' ', header);
    memcpy(bytes + 8, json, used);
    cJSON_free(json);
    for (int i = 0; i < f->tensor_count; i++) {
        const size_t n = (size_t)(f->tensor[i].count * st_dtype_size(f->tensor[i].dtype));
        if (n) memcpy(data, f->tensor[i].data, n);
        data += n;
    }
    return bytes;
}

const st_tensor *st_find(const st_file *f, const char *name) {
    for (int i = 0; i < f->tensor_count; i++)
        if (strcmp(f->tensor[i].name, name) == 0) return &f->tensor[i];
    return NULL;
}

const char *st_get(const st_file *f, const char *key) {
    for (int i = 0; i < f->meta_count; i++)
        if (strcmp(f->meta[i].key, key) == 0) return f->meta[i].value;
    return NULL;
}

bool st_is_float(const st_tensor *t) {
    return t->dtype <= ST_F16;
}

static int64_t int_at(const st_tensor *t, int64_t i) {
    const uint8_t *p = t->data + i * st_dtype_size(t->dtype);
    int64_t wide;
    int32_t narrow;
    switch (t->dtype) {
    case ST_I64: memcpy(&wide, p, sizeof wide); return wide;
    case ST_I32: memcpy(&narrow, p, sizeof narrow); return narrow;
    default: return *p;
    }
}

const float *st_floats(arena *a, const st_file *f, const st_tensor *t, diag *d) {
    if (!st_is_float(t)) {
        diag_set(d, "%s: %s: floats are needed, not %s", f->path, text_shown(a, t->name),
                 st_dtype_name(t->dtype));
        return NULL;
    }
    float *out = arena_alloc(a, (size_t)t->count * sizeof *out + 1);
    for (int64_t i = 0; i < t->count; i++) out[i] = (float)st_value(t->dtype, t->data, i);
    return out;
}

const int32_t *st_ints(arena *a, const st_file *f, const st_tensor *t, diag *d) {
    if (st_is_float(t)) {
        diag_set(d, "%s: %s: integers are needed, not %s", f->path, text_shown(a, t->name),
                 st_dtype_name(t->dtype));
        return NULL;
    }
    int32_t *out = arena_alloc(a, (size_t)t->count * sizeof *out + 1);
    for (int64_t i = 0; i < t->count; i++) {
        int64_t v = int_at(t, i);
        if (v < INT32_MIN || v > INT32_MAX) {
            diag_set(d, "%s: %s: element %lld is %lld, which does not fit 32 bits", f->path,
                     text_shown(a, t->name), (long long)i, (long long)v);
            return NULL;
        }
        out[i] = (int32_t)v;
    }
    return out;
}

const uint8_t *st_bools(arena *a, const st_file *f, const st_tensor *t, diag *d) {
    if (t->dtype != ST_U8 && t->dtype != ST_BOOL) {
        diag_set(d, "%s: %s: bytes are needed, not %s", f->path, text_shown(a, t->name),
                 st_dtype_name(t->dtype));
        return NULL;
    }
    uint8_t *out = arena_alloc(a, (size_t)t->count + 1);
    for (int64_t i = 0; i < t->count; i++) out[i] = t->data[i] != 0;
    return out;
}
