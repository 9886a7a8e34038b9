/* diff.h - what changed between two generated folders, in terms of what they compute and how. */
#ifndef GEN_DIFF_H
#define GEN_DIFF_H

#include "util.h"

/* Compares two folders by their manifests, and their files by their hashes. *report: lines for
 * people, empty if the folders are the same. False with a message where one is no such folder. */
bool diff_folders(arena *a, const char *old_dir, const char *new_dir, const char **report, diag *d);

/* The same where the manifests' texts are at hand. */
typedef struct diff_folder {
    const char *dir, *manifest;
} diff_folder;
bool diff_manifests(arena *a, const diff_folder *was, const diff_folder *is, const char **report,
                    diag *d);

#endif
