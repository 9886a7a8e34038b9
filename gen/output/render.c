#include "render.h"

#include "files.h"
#include "embedded.h"
#include <string.h>

/* End of a ${...} that starts at p (after the "${"): its closing brace, or null. Braces nest, and
 * Lua strings may hold braces. */
static const char *insert_end(const char *p, const char *end) {
    int depth = 0;
    for (; p < end; p++) {
        if (*p == '"' || *p == '\'') {
            const char quote = *p++;
            while (p < end && *p != quote) p += *p == '\\' ? 2 : 1;
            continue;
        }
        if (*p == '{') depth++;
        if (*p == '}' && depth-- == 0) return p;
    }
    return NULL;
}

static void lua_quote(buf *b, const char *p, size_t n) {
    buf_puts(b, "\"");
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"' || p[i] == '\\') buf_puts(b, "\\");
        buf_add(b, p + i, 1);
    }
    buf_puts(b, "\"");
}

static size_t blanks(const char *p, const char *end) {
    size_t n = 0;
    while (p + n < end && p[n] == ' ') n++;
    return n;
}

/* A line of C: literal pieces and inserts. */
static bool text_line(buf *b, const char *name, int number, const char *p, const char *end,
                      diag *d) {
    const size_t indent = blanks(p, end);
    const char *first = p + indent;
    if (end - first > 2 && first[0] == '$' && first[1] == '{' &&
        insert_end(first + 2, end) == end - 1) {
        buf_puts(b, "_block(");
        lua_quote(b, p, indent);
        buf_printf(b, ", %.*s)", (int)(end - first - 3), first + 2);
        return true;
    }
    buf_puts(b, "_line(");
    for (const char *separator = ""; p < end; separator = ", ") {
        const char *insert = p;
        while (insert < end && !(insert[0] == '$' && insert + 1 < end && insert[1] == '{'))
            insert++;
        buf_puts(b, separator);
        if (insert > p) {
            lua_quote(b, p, (size_t)(insert - p));
            p = insert;
            continue;
        }
        const char *close = insert_end(p + 2, end);
        if (!close) return diag_set(d, "%s:%d: '${' is not closed on its line", name, number);
        buf_printf(b, "_text(%.*s)", (int)(close - p - 2), p + 2);
        p = close + 1;
    }
    buf_puts(b, ")");
    return true;
}

bool template_to_lua(arena *a, const char *name, const char *text, const char **chunk, diag *d) {
    buf b = buf_new(a);
    int number = 1;
    for (const char *p = text; *p; number++) {
        const char *end = strchr(p, '\n');
        if (!end) return diag_set(d, "%s:%d: the last line has no newline", name, number);
        if (p[0] == '$' && p[1] != '{')
            buf_add(&b, p + 1, (size_t)(end - p - 1));
        else if (!text_line(&b, name, number, p, end, d))
            return false;
        buf_puts(&b, "\n");
        p = end + 1;
    }
    *chunk = b.data;
    return true;
}

bool templates_load(arena *a, const char *dir, template_set *out, diag *d) {
    *out = (template_set){arena_alloc(a, embedded_file_count * sizeof(lua_source)), 0, NULL};
    for (size_t i = 0; i < embedded_file_count; i++) {
        const char *path = embedded_files[i].path, *text = embedded_files[i].text;
        if (strncmp(path, "templates/", 10)) continue;
        if (dir) text = read_file(a, arena_printf(a, "%s/%s", dir, path + 10), 1 << 20, NULL, d);
        if (!text) return false;
        const size_t n = strlen(path);
        if (!strcmp(path, "templates/render.lua")) out->driver = text;
        if (n < 4 || strcmp(path + n - 4, ".tpl")) continue;
        lua_source *s = &out->source[out->count++];
        s->name = path;
        if (!template_to_lua(a, path, text, &s->chunk, d)) return false;
    }
    if (!out->driver) return diag_set(d, "templates/render.lua is missing");
    return true;
}

/* Whether the line holds a word that is most of it: a symbol. */
static bool long_name(const char *p, const char *end) {
    for (const char *word = p; word < end; word++) {
        const char *start = word;
        while (word < end && *word != ' ') word++;
        if (word - start > 72) return true;
    }
    return false;
}

/* What is emitted is read by people: no tabs, no trailing blanks, at most 100 columns but where one
 * long name fills the line. */
static bool check_style(const char *name, const char *text, diag *d) {
    const bool code = strstr(name, ".c") || strstr(name, ".h"); /* not a Makefile and the like */
    int number = 1;
    for (const char *p = text; *p; number++) {
        const char *end = strchr(p, '\n');
        if (!end) end = p + strlen(p);
        const char *what = NULL;
        if (memchr(p, '\t', (size_t)(end - p)) && code) what = "has a tab";
        if (end > p && end[-1] == ' ') what = "ends in a blank";
        if (end - p > LINE_WIDTH && code && !long_name(p, end)) what = "is longer than 100 columns";
        if (what)
            return diag_set(d, "templates/%s.tpl: line %d of its output %s: %.*s", name, number,
                            what, (int)(end - p), p);
        if (!*end) break;
        p = end + 1;
    }
    return true;
}

bool render(arena *a, const template_set *set, const char *name, const lua_val *data,
            const char **text, diag *d) {
    /* The driver walks a list: records with a name and a value. */
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < data->field_count; i++) {
        lua_val *entry = lua_val_table(a);
        lua_val_set_string(a, entry, "name", data->field[i].name);
        if (data->field[i].value)
            lua_val_set(a, entry, "value", data->field[i].value);
        else
            lua_val_set_bool(a, entry, "value", false);
        lua_val_push(a, list, entry);
    }
    const char *driver = arena_printf(a, "local main = \"%s\"; %s", name, set->driver);
    if (!lua_render(a, set->source, set->count, driver, list, text, d)) return false;
    return check_style(name, *text, d);
}
