/* help.h - what the program says about itself, from the tables of cli.h and the spec's fields. */
#ifndef GEN_HELP_H
#define GEN_HELP_H

#include "cli.h"

/* The text of --help for a command; CMD_NONE: the overview. */
const char *help_text(arena *a, command c);
/* The manual page, in troff. */
const char *help_man(arena *a);
/* The completion of bash or zsh. Null with a message for another shell. */
const char *help_completion(arena *a, const char *shell, diag *d);

#endif
