/* program.h - how a program begins and ends with the descriptors that it is given. Apart from
 * gen/files, so that what never calls it (the bench) needs no cJSON. */
#ifndef GEN_PROGRAM_H
#define GEN_PROGRAM_H

#include "util.h"

/* First in main: cJSON allocates as everything else does, and the descriptors 0 to 2 are taken, so
 * that no file opened later stands in for a closed standard output. */
void program_begin(void);
/* Last: false with a message if something that was printed did not get out. */
bool program_printed(diag *d);

#endif
