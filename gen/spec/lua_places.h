/* lua_places.h - where in a Lua text a key or a value was written: by its tokens, since Lua itself
 * forgets it. */
#ifndef GEN_LUA_PLACES_H
#define GEN_LUA_PLACES_H

#include "lua/lua_host.h"
#include "util.h"

typedef struct lua_token lua_token;
typedef struct lua_tokens {
    const char *text;
    lua_token *token;
    int count;
} lua_tokens;
lua_tokens lua_tokenize(arena *a, const char *text);

/* Tokens first..last-1. */
typedef struct lua_span {
    int first, last;
} lua_span;

/* The source of layers[index], and where it begins. Where the list is not written out, and for -1:
 * the whole text, and where `layers` stands. */
size_t lua_place_layer(const lua_tokens *s, int index, lua_span *out);
/* Where this key has this value, or (at_key) where the key stands; where the value itself is not
 * there literally, its key, and without that, where the span begins. */
size_t lua_place_value(const lua_tokens *s, lua_span in, const char *key, const lua_val *v);
size_t lua_place_key(const lua_tokens *s, lua_span in, const char *key, const lua_val *v);

/* An error about a Lua text: "path:line:column: text" and the line with a caret, at the key
 * keys[0], or at keys[1] after it, and so on to a null. Returns false. */
bool lua_refuse(arena *a, const char *path, const char *source, const char *const *keys,
                const char *text, diag *d);

#endif
