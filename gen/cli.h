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
    command topic;         /* of CMD_HELP */
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
    const char *pool;      /* --pool; null: as the model says */
    bool normalize;        /* --normalize */
    bool json, svg;        /* --json, --svg */
    bool measure_text;     /* --measure-text */
    bool single_file;      /* --single-file */
    int32_t seed, cases;   /* golden; -1: not given */
    int32_t layer;         /* --layer; -1: not given */
    int32_t batch, q_len, kv_len; /* explain, report; -1: not given */
    int32_t context;              /* explain, report; -1: not given */
    int32_t users;                /* report; -1: not given */
    spec_input *inputs;           /* kernel flags */
    int input_count;
} options;

/* False with a message that names the flag, what was wrong and what is allowed. Kernel flags and a
 * MODEL exclude each other. */
bool cli_parse(arena *a, int argc, char **argv, options *out, diag *d);

/* --- The tables, which the help is made from. --- */

typedef struct cli_command {
    command id;
    const char *name, *target; /* target: what stands after the name */
    const char *help, *example;
} cli_command;
extern const cli_command cli_commands[];
extern const int cli_command_count;
const cli_command *cli_command_find(command c); /* null: none of that name */
/* The names of the commands of a mask (1 << command). */
const char *cli_command_names(arena *a, unsigned mask, const char *between);

/* Commands that take a MODEL or the flags of one kernel. */
enum { CLI_SPEC_COMMANDS = 1 << CMD_GENERATE | 1 << CMD_EXPLAIN | 1 << CMD_REPORT | 1 << CMD_TUNE };

typedef enum cli_flag_kind {
    FLAG_SWITCH,
    FLAG_ISA,
    FLAG_TEXT,
    FLAG_CHOICE,
    FLAG_UNROLL,
    FLAG_INT,
    FLAG_COUNT /* 1 at least */
} cli_flag_kind;

/* A flag beside those of spec_fields.def. */
typedef struct cli_flag {
    const char *name;
    cli_flag_kind kind;
    const char *value; /* FLAG_CHOICE: "a|b|c"; else the placeholder */
    size_t offset;     /* in options */
    unsigned commands; /* 1 << command: where it is taken */
    const char *help;  /* FLAG_ISA: after the names */
} cli_flag;
extern const cli_flag cli_flags[];
extern const int cli_flag_count;
bool cli_takes(unsigned mask, command c);
/* A field's flag: "kv_heads" -> "--kv-heads". */
const char *cli_spec_flag(arena *a, const attn_field *f);
/* Names of the flags that a command takes, null-terminated. */
const char *const *cli_flag_names(arena *a, command c);

#endif
