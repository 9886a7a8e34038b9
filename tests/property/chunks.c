/* chunks.c - prefill by key chunks however few the keys are: a chunk is one key block, and a task
 * has a query block's tiles. Not in calls of at most DECODE_Q rows, which run as tiles only where
 * they lie too far apart: nothing of theirs is packed, and there is no room for chunks. */
#include "property.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of the generated file: `from`, and all up to `end` becomes `to`. */
static const struct {
    const char *from, *end, *to;
} edits[] = {
    {"PACK_MOST = ", ",", "PACK_MOST = 0"},
    {"CHUNK = ", ",", "CHUNK = BK"},
    {"HELD = ", ",", "HELD = TILES"},
    {"_Static_assert(sizeof(chunk_space) == ", ";", "_Static_assert(CHUNK == BK, \"a test\")"},
    {"c->room = ", ";", "c->room = chunks"},
    {"place_packed(c)", ";", "place_packed(c) && c->args->q_len <= DECODE_Q"},
};
enum { EDITS = sizeof edits / sizeof *edits };

static void change(arena *a, gen_files *files, void *ctx) {
    (void)ctx;
    for (int i = 0; i < files->count; i++) {
        gen_file *f = &files->file[i];
        if (!strstr(f->text, "typedef struct chunk_space {")) continue;
        for (int n = 0; n < EDITS; n++) {
            const char *at = strstr(f->text, edits[n].from);
            const char *end = at ? strstr(at, edits[n].end) : NULL;
            if (!end) {
                printf("FAIL %s: no line is '%s..' any more\n", f->path, edits[n].from);
                exit(1);
            }
            f->text = arena_printf(a, "%.*s%s%s", (int)(at - f->text), f->text, edits[n].to, end);
        }
    }
}

void property_chunks(build_options *build) {
    build->edit = change;
}
