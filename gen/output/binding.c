#include "binding.h"

#include "attn_model.h"
#include "op.h"
#include "types.h"
#include "weight_types.h"

#include <string.h>
#include <strings.h>

/* Keywords of C++ (those of C too) and of Python, and modules that Python or numpy import by these
 * names: a file of the same name in the folder of a program would stand in for them. */
static const char *const taken[] = {"alignas",
                                    "alignof",
                                    "and",
                                    "and_eq",
                                    "array",
                                    "as",
                                    "asm",
                                    "assert",
                                    "ast",
                                    "async",
                                    "asyncio",
                                    "attn",
                                    "auto",
                                    "await",
                                    "base64",
                                    "bdb",
                                    "binascii",
                                    "bisect",
                                    "bitand",
                                    "bitor",
                                    "bool",
                                    "break",
                                    "builtins",
                                    "bz2",
                                    "calendar",
                                    "case",
                                    "catch",
                                    "char",
                                    "class",
                                    "cmath",
                                    "cmd",
                                    "code",
                                    "codecs",
                                    "codeop",
                                    "collections",
                                    "compl",
                                    "concept",
                                    "concurrent",
                                    "configparser",
                                    "const",
                                    "consteval",
                                    "constexpr",
                                    "constinit",
                                    "contextlib",
                                    "contextvars",
                                    "continue",
                                    "copy",
                                    "copyreg",
                                    "cpu",
                                    "csv",
                                    "ctypes",
                                    "curses",
                                    "datetime",
                                    "dbm",
                                    "decimal",
                                    "decltype",
                                    "def",
                                    "default",
                                    "del",
                                    "delete",
                                    "difflib",
                                    "dis",
                                    "do",
                                    "doctest",
                                    "double",
                                    "elif",
                                    "else",
                                    "email",
                                    "encodings",
                                    "enum",
                                    "except",
                                    "explicit",
                                    "export",
                                    "extern",
                                    "false",
                                    "filecmp",
                                    "fileinput",
                                    "finally",
                                    "float",
                                    "for",
                                    "fractions",
                                    "friend",
                                    "from",
                                    "ftplib",
                                    "functools",
                                    "gc",
                                    "getpass",
                                    "gettext",
                                    "global",
                                    "goto",
                                    "graphlib",
                                    "gzip",
                                    "hashlib",
                                    "heapq",
                                    "hmac",
                                    "html",
                                    "http",
                                    "if",
                                    "imaplib",
                                    "import",
                                    "importlib",
                                    "in",
                                    "inline",
                                    "inspect",
                                    "int",
                                    "ipaddress",
                                    "is",
                                    "itertools",
                                    "json",
                                    "keyword",
                                    "lambda",
                                    "linecache",
                                    "logging",
                                    "long",
                                    "lzma",
                                    "mailbox",
                                    "marshal",
                                    "mmap",
                                    "module",
                                    "multiprocessing",
                                    "mutable",
                                    "namespace",
                                    "netrc",
                                    "new",
                                    "noexcept",
                                    "none",
                                    "nonlocal",
                                    "not",
                                    "not_eq",
                                    "nullptr",
                                    "numbers",
                                    "numpy",
                                    "opcode",
                                    "operator",
                                    "optparse",
                                    "or",
                                    "or_eq",
                                    "os",
                                    "pass",
                                    "pathlib",
                                    "pdb",
                                    "pickle",
                                    "pip",
                                    "pkgutil",
                                    "platform",
                                    "plistlib",
                                    "posix",
                                    "pprint",
                                    "private",
                                    "profile",
                                    "protected",
                                    "pstats",
                                    "public",
                                    "pwd",
                                    "pydoc",
                                    "queue",
                                    "quopri",
                                    "raise",
                                    "random",
                                    "re",
                                    "readline",
                                    "register",
                                    "reinterpret_cast",
                                    "reprlib",
                                    "requires",
                                    "resource",
                                    "return",
                                    "runpy",
                                    "secrets",
                                    "select",
                                    "selectors",
                                    "shelve",
                                    "shlex",
                                    "short",
                                    "shutil",
                                    "signed",
                                    "site",
                                    "sizeof",
                                    "smtplib",
                                    "socket",
                                    "socketserver",
                                    "sqlite3",
                                    "ssl",
                                    "stat",
                                    "static",
                                    "static_assert",
                                    "static_cast",
                                    "statistics",
                                    "std",
                                    "struct",
                                    "subprocess",
                                    "switch",
                                    "symtable",
                                    "sys",
                                    "sysconfig",
                                    "syslog",
                                    "tarfile",
                                    "tempfile",
                                    "template",
                                    "textwrap",
                                    "this",
                                    "thread_local",
                                    "threading",
                                    "throw",
                                    "timeit",
                                    "token",
                                    "tokenize",
                                    "tomllib",
                                    "traceback",
                                    "tracemalloc",
                                    "true",
                                    "try",
                                    "tty",
                                    "types",
                                    "typedef",
                                    "typeid",
                                    "typename",
                                    "typing",
                                    "union",
                                    "unittest",
                                    "unsigned",
                                    "urllib",
                                    "using",
                                    "uuid",
                                    "venv",
                                    "virtual",
                                    "void",
                                    "volatile",
                                    "warnings",
                                    "wave",
                                    "wchar_t",
                                    "weakref",
                                    "while",
                                    "with",
                                    "xml",
                                    "xmlrpc",
                                    "xor",
                                    "xor_eq",
                                    "yield",
                                    "zipapp",
                                    "zipfile",
                                    "zipimport",
                                    "zlib",
                                    "zoneinfo",
                                    NULL};

const char *binding_name(arena *a, const char *identifier) {
    for (const char *const *word = taken; *word; word++)
        if (!strcasecmp(*word, identifier)) return arena_printf(a, "%s_", identifier);
    return identifier;
}

static lua_val *text_of(arena *a, const char *s) {
    lua_val *v = lua_val_new(a, LUA_VAL_STRING);
    v->string = s;
    return v;
}

static const char *dim_text(arena *a, int32_t dim) {
    static const char *const names[] = {NULL, "batch", "heads", "kv_heads", "q_len", "kv_len"};
    return dim < 0 ? names[-dim] : arena_printf(a, "%d", dim);
}

static lua_val *sides_of(arena *a, const kernel_spec *k) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < k->tensor_count; i++) {
        const attn_side_decl *side = &k->tensors[i];
        lua_val *t = lua_val_table(a), *dims = lua_val_table(a);
        for (int j = 0; j < side->rank; j++)
            lua_val_push(a, dims, text_of(a, dim_text(a, side->dim[j])));
        lua_val_set_string(a, t, "name", side->name);
        lua_val_set_bool(a, t, "is_float", side->is_float);
        lua_val_set(a, t, "dims", dims);
        lua_val_push(a, list, t);
    }
    return list;
}

static lua_val *scalars_of(arena *a, const kernel_spec *k) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < k->scalar_count; i++) {
        lua_val *t = lua_val_table(a);
        lua_val_set_string(a, t, "name", k->scalars[i].name);
        lua_val_set_bool(a, t, "is_float", k->scalars[i].is_float);
        lua_val_push(a, list, t);
    }
    return list;
}

/* A member of the spec as Python has it. */
static const char *field_value(arena *a, const attn_field *f, const attn_spec *spec) {
    if (f->kind == ATTN_KIND_FLOAT)
        return arena_printf(a, "float.fromhex('%a')", attn_field_get(f, spec));
    if (f->kind != ATTN_KIND_TYPES) {
        const int32_t v = (int32_t)attn_field_get(f, spec);
        return v == ATTN_UNSET ? "UNSET" : arena_printf(a, "%d", v);
    }
    buf b = buf_new(a);
    for (int i = 0; i < ATTN_MATRIX_COUNT; i++)
        buf_printf(&b, "%s%d", i ? ", " : "[", spec->weight_types[i]);
    buf_puts(&b, "]");
    return b.data;
}

static bool is_same(const attn_field *f, const attn_spec *x, const attn_spec *y) {
    if (f->kind == ATTN_KIND_TYPES)
        return !memcmp(x->weight_types, y->weight_types, sizeof x->weight_types);
    return attn_field_get(f, x) == attn_field_get(f, y);
}

/* What is not as attn_spec_init leaves it. */
static lua_val *fields_of(arena *a, const attn_spec *spec) {
    lua_val *list = lua_val_table(a);
    attn_spec usual;
    attn_spec_init(&usual);
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!attn_field_is_member(f) || is_same(f, spec, &usual)) continue;
        lua_val *t = lua_val_table(a);
        lua_val_set_string(a, t, "name", f->name);
        lua_val_set_string(a, t, "value", field_value(a, f, spec));
        lua_val_push(a, list, t);
    }
    return list;
}

static void push_shape(arena *a, lua_val *list, const char *names, int32_t type, const char *dims) {
    lua_val_push(a, list,
                 text_of(a, arena_printf(a, "%s: %s [%s]", names, attn_type_get(type).name, dims)));
}

static void push_core_shapes(arena *a, lua_val *list, const attn_spec *s) {
    const attn_types type = attn_spec_types(s);
    const int32_t width = attn_spec_k_dim(s);
    const char *keys = s->layout == ATTN_LAYOUT_PAGED ? arena_printf(a, "%d", s->page) : "kv_len";
    const char *items = s->layout == ATTN_LAYOUT_PAGED ? "page_count" : "batch";
    push_shape(a, list, "q", type.q, arena_printf(a, "batch, %d, q_len, %d", s->heads, width));
    push_shape(a, list, "k", type.k,
               arena_printf(a, "%s, %d, %s, %d", items, s->kv_heads, keys, width));
    if (!attn_spec_one_row(s))
        push_shape(a, list, "v", type.v,
                   arena_printf(a, "%s, %d, %s, %d", items, s->v_heads, keys, s->v_dim));
    push_shape(a, list, "o", type.o, arena_printf(a, "batch, %d, q_len, %d", s->heads, s->v_dim));
    if (attn_spec_scaled(s))
        push_shape(a, list, "k_scale", ATTN_TYPE_F32,
                   arena_printf(a, "%s, %d, %s", items, s->kv_heads, keys));
    if (attn_spec_scaled(s) && !attn_spec_one_row(s))
        push_shape(a, list, "v_scale", ATTN_TYPE_F32,
                   arena_printf(a, "%s, %d, %s", items, s->v_heads, keys));
    if (s->sinks) push_shape(a, list, "sinks", ATTN_TYPE_F32, arena_printf(a, "%d", s->heads));
}

static void push_block_shapes(arena *a, lua_val *list, const attn_spec *s) {
    push_shape(a, list, "x, y", ATTN_TYPE_F32,
               arena_printf(a, "batch, tokens, %d", attn_spec_row_dim(s)));
    if (s->kv_dim != ATTN_UNSET)
        push_shape(a, list, "kv", ATTN_TYPE_F32,
                   arena_printf(a, "batch, kv_tokens, %d", s->kv_dim));
}

static lua_val *shapes_of(arena *a, const kernel_spec *k) {
    lua_val *list = lua_val_table(a);
    if (k->core.level == ATTN_LEVEL_BLOCK)
        push_block_shapes(a, list, &k->core);
    else
        push_core_shapes(a, list, &k->core);
    for (int i = 0; i < k->tensor_count; i++) {
        const attn_side_decl *side = &k->tensors[i];
        buf dims = buf_new(a);
        for (int j = 0; j < side->rank; j++)
            buf_printf(&dims, "%s%s", j ? ", " : "", dim_text(a, side->dim[j]));
        lua_val_push(a, list,
                     text_of(a, arena_printf(a, "%s: %s [%s], side tensor", side->name,
                                             side->is_float ? "f32" : "i32", dims.data)));
    }
    for (int i = 0; i < k->scalar_count; i++)
        lua_val_push(a, list,
                     text_of(a, arena_printf(a, "%s: %s, scalar", k->scalars[i].name,
                                             k->scalars[i].is_float ? "f32" : "i32")));
    return list;
}

static int64_t or_none(int32_t v) {
    return v == ATTN_UNSET ? 0 : v;
}

lua_val *binding_of(arena *a, const kernel_spec *k) {
    const attn_spec *s = &k->core;
    const attn_types type = attn_spec_types(s);
    const bool block = s->level == ATTN_LEVEL_BLOCK;
    lua_val *t = lua_val_table(a);
    const struct {
        const char *name;
        bool value;
    } flags[] = {{"block", block},
                 {"takes_mask", attn_spec_takes_mask(s)},
                 {"segments", attn_op_of(s)->segments},
                 {"sinks", s->sinks == 1},
                 {"paged", s->layout == ATTN_LAYOUT_PAGED},
                 {"listed", s->select == ATTN_SELECT_INDEX},
                 {"scaled", attn_spec_scaled(s)},
                 {"one_row", attn_spec_one_row(s)}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        lua_val_set_bool(a, t, flags[i].name, flags[i].value);
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"heads", s->heads},
                   {"kv_heads", or_none(s->kv_heads)},
                   {"v_heads", or_none(s->v_heads)},
                   {"k_dim", block ? 0 : attn_spec_k_dim(s)},
                   {"v_dim", or_none(s->v_dim)},
                   {"row_dim", block ? attn_spec_row_dim(s) : 0},
                   {"kv_dim", or_none(s->kv_dim)},
                   {"page", or_none(s->page)}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        lua_val_set_int(a, t, numbers[i].name, numbers[i].value);
    lua_val_set_string(a, t, "q_type", attn_type_get(type.q).name);
    lua_val_set_string(a, t, "k_type", attn_type_get(type.k).name);
    lua_val_set_string(a, t, "o_type", attn_type_get(type.o).name);
    lua_val_set(a, t, "sides", sides_of(a, k));
    lua_val_set(a, t, "scalars", scalars_of(a, k));
    lua_val_set(a, t, "fields", fields_of(a, s));
    lua_val_set(a, t, "shapes", shapes_of(a, k));
    return t;
}

void binding_constants(arena *a, lua_val *t) {
    lua_val *weights = lua_val_table(a);
    for (int i = 0; i < ATTN_WEIGHT_COUNT; i++) {
        const attn_weight_row row = attn_weight_get(i);
        lua_val *w = lua_val_table(a);
        lua_val_set_string(a, w, "name", row.name);
        lua_val_set_int(a, w, "block", row.block);
        lua_val_set_int(a, w, "bytes", row.bytes);
        lua_val_push(a, weights, w);
    }
    lua_val_set(a, t, "weights", weights);
    lua_val_set_int(a, t, "packed_renew", ATTN_MODEL_PACKED_RENEW);
    lua_val_set_int(a, t, "mask_bool", ATTN_MASK_BOOL);
    lua_val_set_int(a, t, "mask_f32", ATTN_MASK_F32);
}
