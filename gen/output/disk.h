/* disk.h - files below a folder that others may have made. No link below it is followed, nothing
 * but regular files is read, and no path leads out of it. */
#ifndef GEN_DISK_H
#define GEN_DISK_H

#include "util.h"

#include <signal.h>

/* What stands at a path below a folder. */
typedef enum disk_entry {
    DISK_NOTHING,
    DISK_FILE,
    DISK_ODD,    /* no regular file, or not in a folder of its own */
    DISK_UNKNOWN /* errno says why */
} disk_entry;

/* Paths that attn-gen writes below a folder, and so may remove there: plain names (letters, digits,
 * ". _ + -", no leading dot), alone or below runtime/. */
bool disk_path_is_ours(const char *path);

/* Where the file of a path is: "." where it names no folder. */
const char *disk_folder_of(arena *a, const char *path);

/* The open folder that holds `path`, and the last name of it: each folder on the way is entered
 * only if it is one, and made first where `make` says so. -1 with errno. */
int disk_parent(int folder, const char *path, bool make, const char **leaf);

/* `what`: for DISK_ODD, what it is instead of a file. */
disk_entry disk_look(int folder, const char *path, const char **what);

/* The same for a folder that is not open yet. */
disk_entry disk_look_in(const char *dir, const char *path, const char **what);

/* A regular file's bytes, terminated; null with a message that begins with DIR/PATH. */
char *disk_read(arena *a, int folder, const char *dir, const char *path, size_t max, size_t *size,
                diag *d);

/* The same for a folder that is not open yet. The folder itself may be named by a link. */
char *disk_read_in(arena *a, const char *dir, const char *path, size_t max, size_t *size, diag *d);

/* Whether a regular file of these bytes is there; false where none can be read. */
bool disk_holds(int folder, const char *path, const void *data, size_t size);
/* 1: a regular file of this hash is there; 0: none, or one that may not be read; -1 with errno. */
int disk_has_hash(int folder, const char *path, uint64_t hash);

/* A new file of these bytes, on the disk if `durable`; removed again if that fails. -1 with errno.
 */
int disk_create(int folder, const char *name, const void *data, size_t size, bool durable);

/* False with errno; true where this kind of file or file system has nothing to flush. */
bool disk_flush(int fd);

/* A folder that is being written: open, and no other attn-gen's until it is left. */
typedef struct disk_folder {
    arena *a;
    const char *path;
    int fd;
    size_t made; /* the shortest part of the path that was made for this; 0: none */
} disk_folder;

/* Opens the folder of -o, and makes it if there is none. Where another attn-gen writes there, says
 * so and waits. */
bool disk_enter(arena *a, const char *dir, disk_folder *out, diag *d);
/* keep: false removes what disk_enter made, where it is empty. */
void disk_leave(disk_folder *f, bool keep);

/* Between these two, a signal that would end the process (^C, a file too large) waits. */
void disk_hold_signals(sigset_t *old);
void disk_free_signals(const sigset_t *old);

/* Names in an open folder, null at the end; null with errno. */
const char **disk_names(arena *a, int folder);

/* A folder's place for what is not finished: a folder there whose name begins with a dot and ends
 * with this. */
#define DISK_STAGE ".attn-gen"
bool disk_is_stage(int folder, const char *name);

/* Says so if a write into the folder was interrupted, or is going on. */
bool disk_is_whole(arena *a, const char *dir, diag *d);

#endif
