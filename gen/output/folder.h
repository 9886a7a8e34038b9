/* folder.h - a list of files to a folder: all of them or none, also where the disk is full or the
 * process is killed. */
#ifndef GEN_FOLDER_H
#define GEN_FOLDER_H

#include "file_list.h"
#include "util.h"

typedef enum folder_kind {
    /* attn-gen's own: the last file is its manifest, and files that only the manifest before it
     * lists go, if they are as listed. Refuses a folder of another kind, and one with other files
     * but no manifest. */
    FOLDER_OWN,
    FOLDER_TEMPORARY, /* the same, for this process alone: nothing waits for the disk */
    FOLDER_SHARED,    /* files among those of others, without a manifest */
} folder_kind;

/* Writes the files that differ, after undoing what an interrupted write has left there. On error
 * the folder is as it was; where even that cannot be had, the message says so, and the next call
 * makes it so. */
bool folder_write(arena *a, const char *dir, folder_kind kind, const gen_files *files, diag *d);

#endif
