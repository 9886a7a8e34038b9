/* folder.c - how a folder changes.
 *
 * All of it happens under a lock on the folder, and through a stage: a folder in it (.attn-gen)
 * that exists only meanwhile.
 *     1. What an interrupted write left is undone: the folder is the old one.
 *     2. The changes are planned. Whatever stands in the way is an error here.
 *     3. The new files are written to the stage (N.new), then a journal of all changes.
 *     4. Each change takes its place: a file that goes, or is replaced, stays in the stage (N.old).
 *        The manifest comes last, removals after it.
 *     5. The journal is renamed to "done", and the stage is emptied.
 * A journal in the stage therefore means: undo, from the last change to the first. Each step of
 * that finds out from the names that are there what is left to do, so it may be interrupted as
 * well. A stage without a journal holds nothing that is needed.
 *
 * A stage may come from others, as the folder may: the journal names only paths of ours, and
 * undoing touches only files that are what the journal says attn-gen put there. */
#include "folder.h"

#include "disk.h"
#include "manifest.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANIFEST_MAX = 16 << 20, JOURNAL_MAX = 64 << 20 };

static const char journal_name[] = "journal", done_name[] = "done", draft_name[] = "journal.new";
static const char journal_head[] = "attn-gen journal 1\n";

typedef enum change_kind { ADD, REPLACE, REMOVE, KINDS } change_kind;
static const char *const kind_words[KINDS] = {"add", "replace", "remove"};

typedef struct change {
    change_kind kind;
    const char *path;
    uint64_t hash; /* of the new file; of the old one where it is removed */
    const gen_file
        *file; /* to be written; null in a journal that was read, and where it is removed */
} change;

typedef struct changes {
    change *list;
    int count;
} changes;

typedef struct writer {
    arena *a;
    disk_folder folder;
    folder_kind kind;
    const gen_files *files;
    const char *stage_name;
    int stage; /* open, or -1 */
    changes all;
    buf notes; /* what was left alone, for the end */
    diag *d;
} writer;

static size_t file_size(const gen_file *f) {
    return f->size ? f->size : strlen(f->text);
}

static bool fail(const writer *w, const char *what) {
    return diag_set(w->d, "%s: cannot %s: %s", text_shown(w->a, w->folder.path), what,
                    errno == ENOMEM ? "out of memory" : strerror(errno));
}

/* --- Steps of a change. N.new is what comes, N.old what was there. --- */

static const char *staged(const writer *w, int index, const char *what) {
    return arena_printf(w->a, "%d.%s", index, what);
}

/* 1, 0, or -1 with errno. */
static int is_staged(const writer *w, const char *name) {
    struct stat st;
    if (!fstatat(w->stage, name, &st, AT_SYMLINK_NOFOLLOW)) return S_ISREG(st.st_mode);
    return errno == ENOENT ? 0 : -1;
}

/* Removes the folders above a path that are empty now. */
static bool drop_parents(const writer *w, const char *path) {
    const char *leaf;
    bool ok = true;
    for (size_t n = strlen(path); n > 0 && ok; n--) {
        if (path[n] != '/') continue;
        const char *folder = arena_strndup(w->a, path, n);
        const int parent = disk_parent(w->folder.fd, folder, false, &leaf);
        ok = parent >= 0 && !unlinkat(parent, leaf, AT_REMOVEDIR);
        const int error = errno;
        if (parent >= 0) close(parent);
        errno = error;
        if (!ok && (error == ENOENT || error == ENOTDIR || error == ELOOP)) ok = true;
        if (!ok && (error == ENOTEMPTY || error == EEXIST || error == EBUSY)) return true;
    }
    return ok;
}

/* The old file under a second name: its own stays until the new one takes it. Where the file system
 * has no second names, it is gone for that moment. */
static bool keep_old(const writer *w, int parent, const char *leaf, const char *old) {
    return !linkat(parent, leaf, w->stage, old, 0) || !renameat(parent, leaf, w->stage, old);
}

static bool apply(const writer *w, int index) {
    const change *c = &w->all.list[index];
    const char *leaf, *old = staged(w, index, "old"), *new = staged(w, index, "new");
    const int parent = disk_parent(w->folder.fd, c->path, c->kind == ADD, &leaf);
    if (parent < 0) return false;
    bool ok = true;
    if (c->kind == REPLACE) ok = keep_old(w, parent, leaf, old);
    if (c->kind == REMOVE)
        ok = !renameat(parent, leaf, w->stage, old);
    else
        ok = ok && !renameat(w->stage, new, parent, leaf);
    const int error = errno;
    close(parent);
    errno = error;
    return ok;
}

/* Takes a change back, as far as it came. A file that is neither the old nor the new one was
 * written by somebody else since, and stays. */
static bool undo(const writer *w, int index) {
    const change *c = &w->all.list[index];
    const char *leaf, *what, *old = staged(w, index, "old");
    const disk_entry is = disk_look(w->folder.fd, c->path, &what);
    const int placed = is == DISK_FILE ? disk_has_hash(w->folder.fd, c->path, c->hash) : 0;
    const int kept = is_staged(w, old);
    if (is == DISK_UNKNOWN || placed < 0 || kept < 0) return false;
    const bool remove = c->kind == ADD && placed;
    const bool restore =
        c->kind != ADD && kept && (is == DISK_NOTHING || (c->kind == REPLACE && placed));
    bool ok = true;
    if (remove || restore) {
        const int parent = disk_parent(w->folder.fd, c->path, restore, &leaf);
        if (parent < 0) return false;
        ok = remove ? !unlinkat(parent, leaf, 0) : !renameat(w->stage, old, parent, leaf);
        const int error = errno;
        close(parent);
        errno = error;
    }
    return ok && (c->kind != ADD || drop_parents(w, c->path));
}

/* --- The stage. --- */

/* "12.new" */
static bool is_staged_name(const char *name) {
    const size_t n = strspn(name, "0123456789");
    return n && (!strcmp(name + n, ".new") || !strcmp(name + n, ".old"));
}

static bool drop(const writer *w, const char *name) {
    return !unlinkat(w->stage, name, 0) || errno == ENOENT;
}

/* What this write, or one that was interrupted, has put there. The latter is known by its names. */
static bool empty_stage(const writer *w) {
    bool ok = drop(w, draft_name);
    for (int i = 0; ok && i < w->all.count; i++)
        ok = drop(w, staged(w, i, "new")) && drop(w, staged(w, i, "old"));
    if (!ok || w->all.count) return ok;
    const char **names = disk_names(w->a, w->stage);
    for (int i = 0; ok && names && names[i]; i++)
        if (is_staged_name(names[i])) ok = drop(w, names[i]);
    return ok && names;
}

/* Empties the stage and removes it. What says that it is of no more use goes last. */
static bool drop_stage(writer *w) {
    const bool ok = empty_stage(w) && drop(w, done_name) &&
                    !unlinkat(w->folder.fd, w->stage_name, AT_REMOVEDIR);
    const int error = errno;
    close(w->stage);
    w->stage = -1;
    errno = error;
    return ok;
}

/* From here on the stage is of no more use. */
static bool close_journal(const writer *w) {
    return !renameat(w->stage, journal_name, w->stage, done_name);
}

static bool undo_all(const writer *w, int from) {
    bool ok = true;
    for (int i = from; i >= 0 && ok; i--) ok = undo(w, i);
    return ok;
}

/* --- The journal: a change a line, "add 0123456789abcdef runtime/attn.h". --- */

static const char *journal_text(const writer *w) {
    buf b = buf_new(w->a);
    buf_puts(&b, journal_head);
    for (int i = 0; i < w->all.count; i++) {
        const change *c = &w->all.list[i];
        buf_printf(&b, "%s %016" PRIx64 " %s\n", kind_words[c->kind], c->hash, c->path);
    }
    return b.data;
}

static bool write_journal(const writer *w) {
    const char *text = journal_text(w);
    const bool durable = w->kind != FOLDER_TEMPORARY;
    return !disk_create(w->stage, draft_name, text, strlen(text), durable) &&
           !renameat(w->stage, draft_name, w->stage, journal_name) &&
           (!durable || disk_flush(w->stage));
}

/* 16 hexadecimal digits, as manifests and journals hold them. */
static bool read_hash(const char *text, uint64_t *hash) {
    if (strspn(text, "0123456789abcdef") != 16) return false;
    *hash = strtoull(text, NULL, 16);
    return true;
}

/* A line without its end. */
static bool read_change(char *line, change *c) {
    const size_t word = strcspn(line, " ");
    *c = (change){.kind = KINDS};
    for (int i = 0; i < KINDS; i++)
        if (strlen(kind_words[i]) == word && !strncmp(line, kind_words[i], word))
            c->kind = (change_kind)i;
    if (c->kind == KINDS || !line[word] || !read_hash(line + word + 1, &c->hash)) return false;
    c->path = line + word + 18;
    return c->path[-1] == ' ' && disk_path_is_ours(c->path);
}

static bool read_journal(arena *a, char *text, size_t size, changes *out) {
    const size_t head = strlen(journal_head);
    int lines = 0;
    if (strlen(text) != size || strncmp(text, journal_head, head)) return false;
    for (const char *p = text; (p = strchr(p, '\n')); p++) lines++;
    *out = (changes){arena_alloc(a, (size_t)lines * sizeof *out->list), 0};
    for (char *p = text + head, *end; *p; p = end + 1) {
        end = strchr(p, '\n');
        if (!end) return false;
        *end = 0;
        if (!read_change(p, &out->list[out->count++])) return false;
    }
    return true;
}

/* --- Undoing what an interrupted write left. --- */

static bool roll_back(writer *w) {
    const char *what, *name = arena_printf(w->a, "%s/%s", w->folder.path, w->stage_name);
    if (disk_look(w->stage, journal_name, &what) == DISK_NOTHING)
        return drop_stage(w) || fail(w, "remove what an interrupted write left");
    size_t size;
    char *text = disk_read(w->a, w->stage, name, journal_name, JOURNAL_MAX, &size, w->d);
    if (!text) return false;
    if (!read_journal(w->a, text, size, &w->all))
        return diag_set(
            w->d, "%s: its journal is none of attn-gen: look at the folder, and remove this", name);
    bool ok = undo_all(w, w->all.count - 1) && close_journal(w);
    w->all = (changes){0};
    ok = ok && drop_stage(w);
    return ok || fail(w, "undo what an interrupted write left");
}

/* The stage of this write, and others that are this user's. */
static bool recover(writer *w) {
    const char **names = disk_names(w->a, w->folder.fd), *own = w->stage_name;
    if (!names) return fail(w, "list the folder");
    bool ok = true;
    for (int i = 0; ok && names[i]; i++) {
        struct stat st;
        if (!disk_is_stage(w->folder.fd, names[i])) continue;
        w->stage = openat(w->folder.fd, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        const bool mine = w->stage >= 0 && !fstat(w->stage, &st) && st.st_uid == geteuid();
        w->stage_name = names[i];
        if (mine || !strcmp(names[i], own))
            ok = w->stage >= 0 ? roll_back(w) : fail(w, "open what an interrupted write left");
        if (w->stage >= 0) close(w->stage);
        w->stage = -1;
    }
    w->stage_name = own;
    return ok;
}

/* --- Planning. --- */

static void add_change(writer *w, change c) {
    w->all.list[w->all.count++] = c;
}

static bool plan_file(writer *w, const gen_file *f) {
    const char *what;
    const disk_entry is = disk_look(w->folder.fd, f->path, &what);
    if (is == DISK_ODD)
        return diag_set(w->d,
                        "-o: %s/%s is %s: attn-gen writes files, and follows no links in a folder; "
                        "remove it",
                        w->folder.path, f->path, what);
    if (is == DISK_UNKNOWN) return fail(w, arena_printf(w->a, "look at %s", f->path));
    if (is == DISK_FILE && disk_holds(w->folder.fd, f->path, f->text, file_size(f))) return true;
    add_change(
        w, (change){is == DISK_FILE ? REPLACE : ADD, f->path, hash64(f->text, file_size(f)), f});
    return true;
}

static int by_path(const void *x, const void *y) {
    const gen_file *f = x, *g = y;
    const int order = strcmp(f->path, g->path);
    return order ? order : strcmp(f->text, g->text);
}

static void note(writer *w, const char *path, const char *why) {
    buf_printf(&w->notes, "attn-gen: %s/%s: kept: %s\n", w->folder.path, path, why);
}

/* A file that only the last manifest lists goes, if it is the one that was listed. twice: with
 * another hash as well. */
static bool plan_removal(writer *w, const gen_file *listed, bool twice) {
    const char *what;
    uint64_t hash;
    const disk_entry is = disk_look(w->folder.fd, listed->path, &what);
    const bool hashed =
        is == DISK_FILE && !twice && read_hash(listed->text, &hash) && !listed->text[16];
    const int same = hashed ? disk_has_hash(w->folder.fd, listed->path, hash) : 0;
    if (is == DISK_UNKNOWN || same < 0)
        return fail(w, arena_printf(w->a, "look at %s", listed->path));
    if (is == DISK_ODD) note(w, listed->path, arena_printf(w->a, "it is %s", what));
    if (is == DISK_FILE && !same) note(w, listed->path, "not as the last manifest lists it");
    if (same) add_change(w, (change){REMOVE, listed->path, hash, NULL});
    return true;
}

/* By path, then by hash. */
static gen_file *sorted(arena *a, const gen_files *files) {
    const size_t count = (size_t)files->count;
    gen_file *list = arena_alloc(a, (count + 1) * sizeof *list);
    if (count) memcpy(list, files->file, count * sizeof *list);
    qsort(list, count, sizeof *list, by_path);
    return list;
}

/* What only the last manifest lists, each path once, however often it is listed. */
static bool plan_removals(writer *w, const gen_files *previous) {
    const gen_file *old = sorted(w->a, previous), *new = sorted(w->a, w->files);
    int foreign = 0;
    for (int i = 0, last, at = 0; i < previous->count; i = last + 1) {
        const char *path = old[i].path;
        for (last = i; last + 1 < previous->count && !strcmp(old[last + 1].path, path); last++) {
        }
        while (at < w->files->count && strcmp(new[at].path, path) < 0) at++;
        if (at < w->files->count && !strcmp(new[at].path, path)) continue;
        if (!disk_path_is_ours(path))
            foreign++;
        else if (!plan_removal(w, &old[i], strcmp(old[i].text, old[last].text) != 0))
            return false;
    }
    if (foreign)
        buf_printf(&w->notes,
                   "attn-gen: %s/manifest.json lists %d path%s that attn-gen never writes: left "
                   "alone\n",
                   w->folder.path, foreign, foreign == 1 ? "" : "s");
    return true;
}

/* The folder's last manifest. False with a message where it may not be written. */
static bool read_previous(writer *w, const gen_files **previous) {
    const char *what, *dir = w->folder.path, *old = NULL;
    *previous = NULL;
    if (disk_look(w->folder.fd, "manifest.json", &what) != DISK_NOTHING) {
        old = disk_read(w->a, w->folder.fd, dir, "manifest.json", MANIFEST_MAX, NULL, w->d);
        if (!old) return false;
        *previous = manifest_files(w->a, old);
    }
    if (*previous) {
        const char *was = manifest_kind(w->a, old);
        const char *is = manifest_kind(w->a, w->files->file[w->files->count - 1].text);
        return !strcmp(was, is) ||
               diag_set(w->d, "-o: %s holds %s, and these are %s: name another folder", dir, was,
                        is);
    }
    const char **names = disk_names(w->a, w->folder.fd);
    if (!names) return fail(w, "list the folder");
    return !names[0] || diag_set(w->d,
                                 "-o: %s is not empty and was not written by attn-gen (no "
                                 "manifest.json of ours): name a new or empty folder",
                                 dir);
}

/* Files among those of others have no place in a folder of attn-gen's own. */
static bool is_shared(const writer *w) {
    const char *what;
    return disk_look(w->folder.fd, "manifest.json", &what) == DISK_NOTHING ||
           diag_set(w->d, "-o: %s is a generated folder (it has a manifest.json): name another",
                    w->folder.path);
}

static bool plan_changes(writer *w) {
    const gen_files *previous = NULL;
    if (w->kind == FOLDER_SHARED ? !is_shared(w) : !read_previous(w, &previous)) return false;
    const size_t most = (size_t)w->files->count + (size_t)(previous ? previous->count : 0);
    w->all = (changes){arena_alloc(w->a, (most + 1) * sizeof *w->all.list), 0};
    for (int i = 0; i < w->files->count; i++)
        if (!plan_file(w, &w->files->file[i])) return false;
    return !previous || plan_removals(w, previous);
}

/* --- Carrying it out. --- */

static bool write_stage(writer *w) {
    if (mkdirat(w->folder.fd, w->stage_name, 0777))
        return errno == EEXIST ? diag_set(w->d, "-o: %s/%s is in the way, and no folder: remove it",
                                          w->folder.path, w->stage_name)
                               : fail(w, "write there");
    w->stage = openat(w->folder.fd, w->stage_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (w->stage < 0) {
        fail(w, "write there");
        unlinkat(w->folder.fd, w->stage_name, AT_REMOVEDIR);
        return false;
    }
    for (int i = 0; i < w->all.count; i++) {
        const gen_file *f = w->all.list[i].file;
        if (f && disk_create(w->stage, staged(w, i, "new"), f->text, file_size(f),
                             w->kind != FOLDER_TEMPORARY))
            return diag_set(w->d, "%s/%s: cannot write: %s", w->folder.path, f->path,
                            strerror(errno));
    }
    return write_journal(w) || fail(w, "write a journal");
}

/* Every folder that has changed. */
static bool flush(const writer *w) {
    const char *leaf;
    if (w->kind == FOLDER_TEMPORARY) return true;
    bool ok = disk_flush(w->folder.fd) && disk_flush(w->stage);
    for (int i = 0; ok && i < w->all.count; i++) {
        const change *c = &w->all.list[i];
        if (c->kind == REMOVE || !strchr(c->path, '/')) continue;
        const int parent = disk_parent(w->folder.fd, c->path, false, &leaf);
        ok = parent >= 0 && disk_flush(parent);
        if (parent >= 0) close(parent);
    }
    return ok;
}

/* Folders that removals have left empty. Only now: to make one again may need space. */
static bool drop_emptied(const writer *w) {
    bool ok = true;
    for (int i = 0; ok && i < w->all.count; i++)
        if (w->all.list[i].kind == REMOVE) ok = drop_parents(w, w->all.list[i].path);
    return ok;
}

/* Back to the old folder. The error that led here stays the message. */
static bool give_up(writer *w, int applied) {
    diag why = *w->d;
    const int journal = is_staged(w, journal_name);
    if (journal >= 0 && undo_all(w, applied) && (!journal || close_journal(w)) && drop_stage(w))
        return false;
    *w->d = (diag){0};
    return diag_set(w->d,
                    "%s\nAnd what was there could not be put back (%s): %s is half-written until "
                    "it is generated again",
                    why.text, strerror(errno), w->folder.path);
}

static bool carry_out(writer *w) {
    int applied = -1;
    if (!write_stage(w)) return w->stage >= 0 && give_up(w, applied);
    while (applied + 1 < w->all.count)
        if (!apply(w, ++applied)) {
            fail(w, arena_printf(w->a, "change %s", w->all.list[applied].path));
            return give_up(w, applied);
        }
    if (!flush(w) || !drop_emptied(w) || !close_journal(w)) {
        fail(w, "finish");
        return give_up(w, applied);
    }
    return drop_stage(w) || diag_set(w->d, "-o: %s is written, but %s in it cannot be removed: %s",
                                     w->folder.path, w->stage_name, strerror(errno));
}

bool folder_write(arena *a, const char *dir, folder_kind kind, const gen_files *files, diag *d) {
    writer w = {.a = a, .kind = kind, .files = files, .stage = -1, .notes = buf_new(a), .d = d};
    w.stage_name =
        kind == FOLDER_SHARED ? arena_printf(a, ".%s" DISK_STAGE, files->file[0].path) : DISK_STAGE;
    if (!disk_enter(a, dir, &w.folder, d)) return false;
    sigset_t signals;
    disk_hold_signals(&signals);
    const bool ok = recover(&w) && plan_changes(&w) && (!w.all.count || carry_out(&w));
    disk_leave(&w.folder, ok);
    disk_free_signals(&signals);
    if (ok) fputs(w.notes.data, stderr);
    return ok;
}
