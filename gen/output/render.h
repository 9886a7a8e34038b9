/* render.h - templates to text. The language is described in templates/README.md. */
#ifndef GEN_RENDER_H
#define GEN_RENDER_H

#include "lua/lua_host.h"

/* Where templates come from: the executable, or a folder while developing. */
typedef struct template_set {
    lua_source *source;
    int count;
    const char *driver;
} template_set;

enum { LINE_WIDTH = 100 }; /* of what is emitted */

/* All templates, translated. dir: null for the embedded ones. */
bool templates_load(arena *a, const char *dir, template_set *out, diag *d);

/* Renders templates/NAME.tpl. data: fields become the template's read-only globals (false where the
 * value is null). Fails on trailing blanks, tabs and lines over 100 columns. */
bool render(arena *a, const template_set *set, const char *name, const lua_val *data,
            const char **text, diag *d);

/* The Lua chunk of one template (--dump lua, and unit tests). */
bool template_to_lua(arena *a, const char *name, const char *text, const char **chunk, diag *d);

#endif
