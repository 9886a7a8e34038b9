/* main.c - folder_write under faults: killed at, or failing at, each call that it makes, from each
 * kind of folder to another. A folder that was killed must be the old one, the new one, or say that
 * it is half-written and be made whole by the next write, whatever that writes; a write that fails
 * leaves the old one. Prints "N passed, N failed".
 *     folder-faults [--full]: every model after each fault, and faults in the write that repairs */
#include "fault.h"

#include "files.h"
#include "output/disk.h"
#include "output/folder.h"
#include "output/manifest.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_FILES = 16, MOST_CALLS = 2000 };

/* Contents of a folder: files, and lines "path=text" of them. */
typedef struct content {
    const char *name;
    const char *file[MOST_FILES];
} content;

/* What attn-gen writes. They share, change, add and remove files, and folders of files. */
static const content models[] = {
    {"first",
     {"a.c=first", "same.c=same", "only.first.c=x", "runtime/r.h=one", "runtime/simd/s.h=two"}},
    {"second", {"a.c=second", "same.c=same", "only.second.c=y", "runtime/r.h=changed"}},
    {"third", {"a.c=third", "b.c=b", "third.h=h"}},
};
enum { MODELS = 3, NO_MODEL = -1 };

/* What others have put beside it, after the first model. */
static const char *const guests[] = {"notes.txt=mine", "build/x.o=object", "runtime/own.h=mine"};

static int passed, failed;

static void check(bool ok, const char *what, const char *why) {
    passed += ok;
    failed += !ok;
    if (!ok) printf("FAIL: %s: %s\n", what, why);
}

/* --- Folders. --- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void remove_all(const char *dir) {
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(arena *a, const char *dir, const char *line) {
    const size_t n = strcspn(line, "=");
    const char *path = arena_printf(a, "%s/%.*s", dir, (int)n, line);
    mkdir(arena_printf(a, "%s", disk_folder_of(a, path)), 0777);
    FILE *f = fopen(path, "w");
    if (!f || fputs(line + n + 1, f) < 0 || fclose(f)) abort();
}

static int by_name(const struct dirent **x, const struct dirent **y) {
    return strcmp((*x)->d_name, (*y)->d_name);
}

static void list_into(arena *a, buf *b, const char *dir, const char *sub) {
    struct dirent **entry;
    const char *here = arena_printf(a, "%s%s%s", dir, *sub ? "/" : "", sub);
    const int n = scandir(here, &entry, NULL, by_name);
    for (int i = 0; i < n; i++) {
        const char *name = arena_strdup(a, entry[i]->d_name);
        const char *path = arena_printf(a, "%s%s%s", sub, *sub ? "/" : "", name);
        free(entry[i]);
        struct stat st;
        diag d = {0};
        if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
        lstat(arena_printf(a, "%s/%s", dir, path), &st);
        buf_printf(b, "%s", path);
        if (S_ISDIR(st.st_mode)) {
            buf_puts(b, "/\n");
            list_into(a, b, dir, path);
        } else
            buf_printf(b, "=%s\n",
                       read_file(a, arena_printf(a, "%s/%s", dir, path), 1 << 20, NULL, &d));
    }
    if (n >= 0) free(entry);
}

/* All there is, in words; "absent" for no folder. */
static const char *listing(arena *a, const char *dir) {
    buf b = buf_new(a);
    if (access(dir, F_OK)) return "absent\n";
    list_into(a, &b, dir, "");
    return b.data;
}

static gen_files files_of(arena *a, int model) {
    gen_files f = {arena_alloc(a, (MOST_FILES + 1) * sizeof(gen_file)), 0};
    for (int i = 0; i < MOST_FILES && models[model].file[i]; i++) {
        const char *line = models[model].file[i];
        const size_t n = strcspn(line, "=");
        f.file[f.count++] = (gen_file){.path = arena_strndup(a, line, n), .text = line + n + 1};
    }
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "generator", "attn-gen test");
    manifest_add_files(a, root, &f);
    f.file[f.count++] = (gen_file){.path = "manifest.json", .text = manifest_print(a, root)};
    return f;
}

/* --- A start, and what a model makes of it. --- */

typedef struct start {
    const char *name;
    int model; /* NO_MODEL: nothing there */
    bool guests;
} start;

static const start starts[] = {{"absent", NO_MODEL, false},
                               {"first", 0, false},
                               {"second", 1, false},
                               {"first and guests", 0, true}};
enum { STARTS = 4 };

static void prepare(arena *a, const char *dir, const start *s) {
    diag d = {0};
    remove_all(dir);
    if (s->model == NO_MODEL) return;
    const gen_files f = files_of(a, s->model);
    if (!folder_write(a, dir, FOLDER_OWN, &f, &d)) abort();
    for (size_t i = 0; s->guests && i < sizeof guests / sizeof *guests; i++) put(a, dir, guests[i]);
}

static const char *made_of(arena *a, const char *dir, const start *s, int model) {
    diag d = {0};
    const gen_files f = files_of(a, model);
    prepare(a, dir, s);
    if (!folder_write(a, dir, FOLDER_OWN, &f, &d)) abort();
    return listing(a, dir);
}

/* --- A write in a process of its own. --- */

typedef struct outcome {
    bool killed, ok, reached;
    diag d;
} outcome;

static outcome *shared;

static outcome write_with(const char *dir, int model, fault_kind kind, int at) {
    memset(shared, 0, sizeof *shared);
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        arena *a = arena_new();
        const gen_files f = files_of(a, model);
        fault_arm(kind, at);
        shared->ok = folder_write(a, dir, FOLDER_OWN, &f, &shared->d);
        shared->reached = fault_disarm();
        _exit(0);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) abort();
    outcome o = *shared;
    o.killed = WIFSIGNALED(status);
    o.reached = o.reached || o.killed;
    return o;
}

/* --- The tests. --- */

typedef struct run {
    const char *dir;
    const start *from;
    int to;
    const char *old, *new; /* what is right */
    const char *repaired[MODELS];
    bool full;
} run;

/* A copy of what a fault left, by the same fault once more: all of this is deterministic. */
static outcome strike(arena *a, const run *r, fault_kind kind, int at) {
    prepare(a, r->dir, r->from);
    return write_with(r->dir, r->to, kind, at);
}

/* The next write makes it whole, whatever it writes. */
static void check_repair(arena *a, const run *r, int model, const char *what) {
    const outcome o = write_with(r->dir, model, FAULT_NONE, 0);
    check(o.ok && !strcmp(listing(a, r->dir), r->repaired[model]),
          arena_printf(a, "%s, then %s", what, models[model].name),
          o.ok ? listing(a, r->dir) : o.d.text);
}

/* The same for the write after one that was killed, or failed, while it repaired. */
static void check_repairs(arena *a, const run *r, fault_kind kind, int at, const char *what) {
    for (int model = 0; model < MODELS; model++) {
        bool more = true;
        strike(a, r, kind, at);
        check_repair(a, r, model, what);
        for (int n = 1; more && n < MOST_CALLS; n++) {
            strike(a, r, kind, at);
            more = write_with(r->dir, model, n % 2 ? FAULT_KILL : FAULT_ERROR, n).reached;
            check_repair(a, r, (model + 1) % MODELS,
                         arena_printf(a, "%s, then %s up to call %d", what, models[model].name, n));
        }
    }
}

/* Whether all that a model's manifest lists is there, where that manifest is. */
static bool lists_what_is_there(arena *a, const char *dir, int model) {
    diag d = {0};
    const gen_files f = files_of(a, model);
    const char *manifest = f.file[f.count - 1].text;
    const char *is = read_file(a, arena_printf(a, "%s/manifest.json", dir), 1 << 20, NULL, &d);
    bool all = true;
    for (int i = 0; is && !strcmp(is, manifest) && i < f.count; i++)
        all = all && !access(arena_printf(a, "%s/%s", dir, f.file[i].path), F_OK);
    return all;
}

static void check_outcome(arena *a, const run *r, const outcome *o, fault_kind kind,
                          const char *what) {
    diag d = {0};
    const char *is = listing(a, r->dir);
    /* A folder that was made, and holds nothing, counts as absent for those who were killed. */
    const bool old = !strcmp(is, r->old) || (o->killed && !*is && !strcmp(r->old, "absent\n"));
    const bool new = !strcmp(is, r->new), whole = disk_is_whole(a, r->dir, &d);
    if (o->killed && kind != FAULT_NO_LINKS) /* orphans go last */
        check(lists_what_is_there(a, r->dir, r->to) &&
                  (r->from->model == NO_MODEL || lists_what_is_there(a, r->dir, r->from->model)),
              what, is);
    if (o->killed)
        check(!whole || old || new, what, is);
    else if (o->ok)
        check(new, what, is);
    else if (kind == FAULT_FULL)
        check(old && o->d.set, what, is);
    else
        check(o->d.set && (old || (!whole && (strstr(o->d.text, "half-written") ||
                                              strstr(o->d.text, "is written, but") ||
                                              strstr(o->d.text, "interrupted write")))),
              what, arena_printf(a, "%s\n%s", o->d.text, is));
}

static int check_faults(const run *r, fault_kind kind) {
    bool more = true;
    int n = 0;
    while (more && n++ < MOST_CALLS) {
        arena *a = arena_new();
        const char *what = arena_printf(a, "%s -> %s, %s at call %d", r->from->name,
                                        models[r->to].name, fault_names[kind], n);
        const outcome o = strike(a, r, kind, n);
        more = o.reached;
        check_outcome(a, r, &o, kind, what);
        if (r->full)
            check_repairs(a, r, kind, n, what);
        else
            check_repair(a, r, n % MODELS, what);
        arena_free(a);
    }
    return n - 1;
}

int main(int argc, char **argv) {
    arena *a = arena_new();
    const bool full = argc > 1 && !strcmp(argv[1], "--full");
    const char *tmp = getenv("TMPDIR");
    if (!tmp && !access("/dev/shm", W_OK)) tmp = "/dev/shm"; /* many small writes */
    char *work = arena_printf(a, "%s/attn-folder-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !mkdtemp(work)) abort();
    int calls = 0;
    for (int s = 0; s < STARTS; s++)
        for (int to = 0; to < MODELS; to++) {
            run r = {
                .dir = arena_printf(a, "%s/out", work), .from = &starts[s], .to = to, .full = full};
            if (!full && to == starts[s].model) continue;
            r.new = made_of(a, r.dir, r.from, to);
            for (int m = 0; m < MODELS; m++) r.repaired[m] = made_of(a, r.dir, r.from, m);
            prepare(a, r.dir, r.from);
            r.old = listing(a, r.dir);
            for (fault_kind kind = FAULT_KILL; kind < FAULT_KINDS; kind++)
                calls += check_faults(&r, kind);
        }
    remove_all(work);
    printf("folder: a fault at each of %d calls\n%d passed, %d failed\n", calls, passed, failed);
    arena_free(a);
    return failed != 0;
}
