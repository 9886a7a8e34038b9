/* cli.h - command line -> options. Kernel flags come from spec_fields.def ('_' reads '-'). */
#ifndef GEN_CLI_H
#define GEN_CLI_H

#include "spec/model.h"

typedef enum command {
    CMD_NONE,
    CMD_HELP,
    CMD_VERSION,
    CMD_GENERATE,
    CMD_EXPLAIN,
    CMD_REPORT,
    CMD_CHECK,
    CMD_MODELS,
    CMD_TUNE,
    CMD_GOLDEN,
    CMD_DIFF,
    CMD_MAN,
    CMD_COMPLETION
} command;

typedef struct options {
    command command;
    const char *target;    /* MODEL, DIR, OLD or SHELL; null: none */
    const char *second;    /* NEW, for diff */
    const char *out;       /* -o */
    const char *isa;       /* --isa as written; null: all */
    const char *unroll;    /* --unroll: "auto", "full" or a number; null: auto */
    const char *tune;      /* --tune: a tune file; null: none */
    const char *dump;      /* --dump; null: none */
    const char *runtime;   /* --runtime PATH: refer to a runtime there instead of copying it */
    const char *templates; /* --templates DIR: read templates there instead of the embedded ones */
    const char *name;      /* --name; null: the model's own */
    bool json, svg;        /* --json, --svg */
    bool measure_text;     /* --measure-text */
    bool single_file;      /* --single-file */
    int32_t seed, cases;   /* golden; -1: not given */
    int32_t layer;         /* --layer; -1: not given */
    int32_t batch, q_len, kv_len; /* explain, report; -1: not given */
    spec_input *inputs;           /* kernel flags */
    int input_count;
} options;

/* False with a message that names the flag, what was wrong and what is allowed. Kernel flags and a
 * MODEL exclude each other. */
bool cli_parse(arena *a, int argc, char **argv, options *out, diag *d);
/* The text of --help for a command (CMD_NONE: the overview), made from the field table. */
const char *cli_help(arena *a, command c);
/* The manual page (troff), and the completion of bash or zsh, from the same tables. Null with a
 * message for another shell. */
const char *cli_man(arena *a);
const char *cli_completion(arena *a, const char *shell, diag *d);

#endif
