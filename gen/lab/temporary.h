/* temporary.h - temporary folders that do not outlive the program. */
#ifndef VERIFY_TEMPORARY_H
#define VERIFY_TEMPORARY_H

#include "util.h"

/* A new folder below $TMPDIR (or /tmp), as an absolute path; null with a message. Unless it is to
 * be kept, a signal that ends the program removes it first. One at a time. */
const char *temporary_folder(arena *a, bool keep, diag *d);

/* Removes it with all that is in it. */
void temporary_remove(const char *dir);

#endif
