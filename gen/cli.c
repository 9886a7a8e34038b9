#include "cli.h"
#include "import_hf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Commands --- */

typedef struct command_info {
    command id;
    const char *name, *target; /* target: what stands after the name */
    const char *help, *example;
} command_info;

static const command_info commands[] = {
    {CMD_GENERATE, "generate", "[MODEL]",
     "Writes the kernels of a model file, a config.json, a built-in model or the flags to a "
     "folder.",
     "attn-gen generate --op sliding_self --backend flex --heads 8 --kv-heads 2 --head-dim 64 \\\n"
     "        --window 255 --tensor 'slope=f32[heads]' --score 's + slope[h] * (k - q)' -o out"},
    {CMD_EXPLAIN, "explain", "[MODEL]",
     "Says what would be generated and why: kernels, tiles, workspace, costs.",
     "attn-gen explain --heads 8 --head-dim 64 --batch 1 --q-len 512 --kv-len 512"},
    {CMD_REPORT, "report", "[MODEL]",
     "Writes one page (HTML) that says what the model's kernels compute, need and cost, with "
     "pictures of their masks.",
     "attn-gen report gemma-2-2b -o report.html"},
    {CMD_CHECK, "check", "DIR",
     "Compares a generated folder with what its manifest says; any difference is an error.",
     "attn-gen check out"},
    {CMD_TUNE, "tune", "[MODEL]",
     "Measures alternatives of every kernel on this machine and writes those that are faster to a "
     "tune file, which generate and explain read with --tune. Needs a C compiler ($CC, or cc).",
     "attn-gen tune llama-3-8b -o llama.lua && \\\n"
     "        attn-gen generate llama-3-8b --tune llama.lua -o out"},
    {CMD_MODELS, "models", "", "Lists the built-in models.", "attn-gen models"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const command_info *find_command(const char *name) {
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

static const command_info *info_of(command c) {
    for (int i = 0; i < COMMANDS; i++)
        if (commands[i].id == c) return &commands[i];
    return NULL;
}

/* --- Flags beside those of spec_fields.def --- */

typedef enum flag_kind { FLAG_SWITCH, FLAG_TEXT, FLAG_CHOICE, FLAG_UNROLL, FLAG_INT } flag_kind;

enum {
    GENERATE = 1 << CMD_GENERATE,
    EXPLAIN = 1 << CMD_EXPLAIN,
    REPORT = 1 << CMD_REPORT,
    TUNE = 1 << CMD_TUNE
};
enum { SPEC_COMMANDS = GENERATE | EXPLAIN | REPORT | TUNE };

typedef struct flag {
    const char *name;
    flag_kind kind;
    const char *value; /* FLAG_CHOICE: "a|b|c"; else the placeholder */
    size_t offset;     /* in options */
    unsigned commands; /* 1 << command: where it is taken */
    const char *help;
} flag;

static const flag flags[] = {
    {"-o", FLAG_TEXT, "DIR", offsetof(options, out), GENERATE,
     "folder to write; made if it does not exist"},
    {"-o", FLAG_TEXT, "FILE.lua", offsetof(options, out), TUNE, "tune file to write"},
    {"-o", FLAG_TEXT, "FILE", offsetof(options, out), EXPLAIN | REPORT,
     "file to write; explain prints to the standard output without it"},
    {"--dump", FLAG_CHOICE, "spec|plan|expr|lua|c", offsetof(options, dump), GENERATE,
     "print a stage to the standard output; without -o nothing is written"},
    {"--isa", FLAG_TEXT, "LIST", offsetof(options, isa), SPEC_COMMANDS,
     "portable, avx2, avx512 (with commas), native or all; default: all (tune: native)"},
    {"--tune", FLAG_TEXT, "FILE.lua", offsetof(options, tune), GENERATE | EXPLAIN | REPORT,
     "choices that attn-gen tune measured; the same file gives the same code on any machine"},
    {"--unroll", FLAG_UNROLL, "auto|full|N", offsetof(options, unroll), GENERATE | EXPLAIN | REPORT,
     "unrolling of the loop over the head width; default: auto"},
    {"--runtime", FLAG_TEXT, "PATH", offsetof(options, runtime), GENERATE,
     "refer to a runtime there instead of copying it"},
    {"--templates", FLAG_TEXT, "DIR", offsetof(options, templates), SPEC_COMMANDS,
     "read templates there instead of the built-in ones"},
    {"--batch", FLAG_INT, "N", offsetof(options, batch), EXPLAIN, "batch size of the costs"},
    {"--q-len", FLAG_INT, "N", offsetof(options, q_len), EXPLAIN | REPORT,
     "query rows of the costs and of pictures of masks"},
    {"--kv-len", FLAG_INT, "N", offsetof(options, kv_len), EXPLAIN | REPORT,
     "keys of the costs and of pictures of masks"},
    {"--measure-text", FLAG_SWITCH, NULL, offsetof(options, measure_text), EXPLAIN,
     "compile the kernels ($CC, or cc) and say their bytes of machine code, instead of an "
     "estimate"},
    {"--json", FLAG_SWITCH, NULL, offsetof(options, json), EXPLAIN, "print JSON"},
    {"--svg", FLAG_SWITCH, NULL, offsetof(options, svg), EXPLAIN,
     "print the mask of one layer as a picture (SVG)"},
    {"--layer", FLAG_INT, "N", offsetof(options, layer), EXPLAIN,
     "the layer of --svg; default: the first, 0"},
};
enum { FLAGS = sizeof flags / sizeof *flags };

static bool takes(unsigned mask, command c) {
    return mask & (1u << c);
}

/* "kv_heads" -> "--kv-heads" */
static const char *spec_flag(arena *a, const attn_field *f) {
    char *name = arena_printf(a, "--%s", f->name);
    for (char *p = name; *p; p++)
        if (*p == '_') *p = '-';
    return name;
}

static const attn_field *find_spec_flag(arena *a, const char *name) {
    if (strncmp(name, "--", 2) != 0) return NULL;
    char *field = arena_strdup(a, name + 2);
    if (strchr(field, '_')) return NULL;
    for (char *p = field; *p; p++)
        if (*p == '-') *p = '_';
    return attn_field_find(field);
}

/* The command's row of that name, or else another command's. */
static const flag *find_flag(const char *name, command c) {
    const flag *found = NULL;
    for (int i = 0; i < FLAGS; i++)
        if (strcmp(flags[i].name, name) == 0 && (!found || takes(flags[i].commands, c)))
            found = &flags[i];
    return found;
}

/* Names of the flags that a command takes, null-terminated. */
static const char *const *flags_of(arena *a, command c) {
    const char **names = arena_alloc(a, sizeof *names * (size_t)(FLAGS + attn_field_count + 2));
    int n = 0;
    for (int i = 0; i < attn_field_count && takes(SPEC_COMMANDS, c); i++)
        names[n++] = spec_flag(a, &attn_fields[i]);
    for (int i = 0; i < FLAGS; i++)
        if (takes(flags[i].commands, c)) names[n++] = flags[i].name;
    names[n] = "--help";
    return names;
}

/* --- Parsing --- */

typedef struct parser {
    arena *a;
    int argc, next;
    char **argv;
    options *out;
    const command_info *command;
    bool seen[FLAGS];
    diag *d;
} parser;

static const char *printable(arena *a, const char *s) {
    char *copy = arena_printf(a, "%.60s", s);
    for (char *p = copy; *p; p++)
        if (iscntrl((unsigned char)*p)) *p = '?';
    return copy;
}

static bool flag_refused(parser *p, const char *name, bool exists) {
    const char *const *names = flags_of(p->a, p->command->id);
    buf b = buf_new(p->a);
    if (exists) {
        buf_printf(&b, "%s: %s does not take this flag", name, p->command->name);
    } else {
        buf_printf(&b, "%s: unknown flag", printable(p->a, name));
        suggest(&b, name, names);
    }
    buf_printf(&b, "; %s takes:", p->command->name);
    for (; *names; names++) buf_printf(&b, " %s", *names);
    return diag_set(p->d, "%s", b.data);
}

static bool is_flag(parser *p, const char *text) {
    const char *name = arena_strndup(p->a, text, strcspn(text, "="));
    return find_flag(name, p->command->id) || find_spec_flag(p->a, name);
}

/* The value of a flag: after '=', or the next argument, which may start with '-' ("-s", "-0.5")
 * but not be another flag. */
static const char *flag_value(parser *p, const char *name, const char *inline_value) {
    if (inline_value) return inline_value;
    if (p->next < p->argc && !is_flag(p, p->argv[p->next])) return p->argv[p->next++];
    diag_set(p->d, "%s: needs a value: %s VALUE or %s=VALUE", name, name, name);
    return NULL;
}

static bool spec_value(parser *p, const attn_field *f, const char *name, const char *inline_value) {
    const char *value = flag_value(p, name, inline_value);
    if (!value) return false;
    options *o = p->out;
    for (int i = 0; i < o->input_count && f->kind != ATTN_KIND_LIST; i++)
        if (strcmp(o->inputs[i].field, f->name) == 0)
            return diag_set(p->d, "%s: given twice", name);
    lua_val *v = arena_alloc(p->a, sizeof *v);
    v->kind = LUA_VAL_STRING;
    v->string = value;
    o->inputs[o->input_count++] =
        (spec_input){.field = f->name, .value = v, .from_flag = true, .where = name};
    return true;
}

static bool parse_count(const char *s, int32_t *out) {
    int64_t v = 0;
    if (!*s || strlen(s) > 10) return false;
    for (; *s; s++) {
        if (!isdigit((unsigned char)*s)) return false;
        v = v * 10 + (*s - '0');
    }
    if (v > INT32_MAX) return false;
    *out = (int32_t)v;
    return true;
}

static bool set_choice(parser *p, const flag *f, const char *value) {
    size_t n = strlen(value);
    for (const char *c = f->value; *c;) {
        size_t length = strcspn(c, "|");
        if (length == n && strncmp(c, value, n) == 0) return true;
        c += length + (c[length] == '|');
    }
    return diag_set(p->d, "%s: must be one of %s, got '%s'", f->name, f->value,
                    printable(p->a, value));
}

static bool check_unroll(parser *p, const char *value) {
    int32_t n;
    if (strcmp(value, "auto") == 0 || strcmp(value, "full") == 0) return true;
    if (parse_count(value, &n) && n >= 1 && n <= 65536) return true;
    return diag_set(p->d, "--unroll: must be auto, full or an integer from 1 to 65536, got '%s'",
                    printable(p->a, value));
}

static bool set_flag(parser *p, const flag *f, const char *value) {
    char *member = (char *)p->out + f->offset;
    if (f->kind == FLAG_INT) {
        int32_t n;
        if (!parse_count(value, &n))
            return diag_set(p->d, "%s: must be an integer from 0 to 2147483647, got '%s'", f->name,
                            printable(p->a, value));
        memcpy(member, &n, sizeof n);
        return true;
    }
    if (!*value) return diag_set(p->d, "%s: must not be empty", f->name);
    if (f->kind == FLAG_CHOICE && !set_choice(p, f, value)) return false;
    if (f->kind == FLAG_UNROLL && !check_unroll(p, value)) return false;
    memcpy(member, &value, sizeof value);
    return true;
}

static bool other_value(parser *p, const flag *f, const char *inline_value) {
    if (p->seen[f - flags]) return diag_set(p->d, "%s: given twice", f->name);
    p->seen[f - flags] = true;
    if (f->kind == FLAG_SWITCH) {
        if (inline_value) return diag_set(p->d, "%s: takes no value", f->name);
        bool on = true;
        memcpy((char *)p->out + f->offset, &on, sizeof on);
        return true;
    }
    const char *value = flag_value(p, f->name, inline_value);
    return value && set_flag(p, f, value);
}

static bool parse_flag(parser *p, const char *arg) {
    const char *equals = strchr(arg, '=');
    const char *name = equals ? arena_strndup(p->a, arg, (size_t)(equals - arg)) : arg;
    const char *inline_value = equals ? equals + 1 : NULL;
    if (!p->command)
        return diag_set(p->d, "%s: the command comes first, for example attn-gen generate %s",
                        printable(p->a, name), printable(p->a, arg));
    const attn_field *field = find_spec_flag(p->a, name);
    const flag *f = find_flag(name, p->command->id);
    unsigned mask = field ? (unsigned)SPEC_COMMANDS : f ? f->commands : 0;
    if (!takes(mask, p->command->id)) return flag_refused(p, name, field || f);
    if (field) return spec_value(p, field, name, inline_value);
    return other_value(p, f, inline_value);
}

static bool parse_word(parser *p, const char *arg) {
    if (p->command) {
        if (p->out->target || !*p->command->target)
            return diag_set(p->d, "unexpected argument '%s'; usage: attn-gen %s %s",
                            printable(p->a, arg), p->command->name, p->command->target);
        if (!*arg) return diag_set(p->d, "%s must not be empty", p->command->target);
        p->out->target = arg;
        return true;
    }
    p->command = find_command(arg);
    if (p->command) {
        p->out->command = p->command->id;
        return true;
    }
    const char *names[COMMANDS + 1] = {NULL};
    for (int i = 0; i < COMMANDS; i++) names[i] = commands[i].name;
    buf b = buf_new(p->a);
    buf_printf(&b, "unknown command '%s'", printable(p->a, arg));
    suggest(&b, arg, names);
    buf_puts(&b, "; commands: generate, explain, report, check, tune, models; see attn-gen --help");
    return diag_set(p->d, "%s", b.data);
}

/* A MODEL says what to make; a config.json does but for the level and the backend. */
static bool check_beside_model(arena *a, const options *o, diag *d) {
    const bool config = import_hf_is_config(o->target);
    for (int i = 0; i < o->input_count; i++) {
        const char *field = o->inputs[i].field;
        if (config && (!strcmp(field, "level") || !strcmp(field, "backend"))) continue;
        return diag_set(d, "%s: a kernel flag and a MODEL ('%s') exclude each other%s",
                        o->inputs[i].where, printable(a, o->target),
                        config ? "; a config.json takes --level and --backend" : "");
    }
    return true;
}

/* What a command needs beyond its single flags. */
static bool check_command(arena *a, const options *o, diag *d) {
    bool kernels = takes(SPEC_COMMANDS, o->command);
    if (o->command == CMD_CHECK && !o->target)
        return diag_set(d, "check: needs the generated folder: attn-gen check DIR");
    if (!kernels) return true;
    const char *name = info_of(o->command)->name;
    if (o->target && !check_beside_model(a, o, d)) return false;
    if (!o->target && !o->input_count)
        return diag_set(d,
                        "%s: needs a MODEL or kernel flags, for example %s; see attn-gen %s "
                        "--help",
                        name, "--heads 8 --head-dim 64", name);
    if (o->command == CMD_GENERATE && !o->out && !o->dump)
        return diag_set(d, "generate: needs a folder to write: -o DIR (or --dump)");
    if (o->command == CMD_TUNE && !o->out)
        return diag_set(d, "tune: needs a file to write: -o FILE.lua");
    if (o->tune && o->unroll)
        return diag_set(d,
                        "--tune and --unroll exclude each other: a tune file says the unrolling");
    if (o->command == CMD_REPORT && !o->out)
        return diag_set(d, "report: needs a file to write: -o FILE");
    if (o->json && o->svg) return diag_set(d, "--json: excludes --svg");
    if (o->layer >= 0 && !o->svg) return diag_set(d, "--layer: is for --svg");
    return true;
}

bool cli_parse(arena *a, int argc, char **argv, options *out, diag *d) {
    *out = (options){.batch = -1, .q_len = -1, .kv_len = -1, .layer = -1};
    out->inputs = arena_alloc(a, ((size_t)argc + 1) * sizeof *out->inputs);
    parser p = {.a = a, .argc = argc, .next = 1, .argv = argv, .out = out, .d = d};
    while (p.next < argc) {
        const char *arg = argv[p.next++];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            out->target = cli_help(a, out->command); /* the text to print */
            out->command = CMD_HELP;
            return true;
        }
        if (strcmp(arg, "--version") == 0 && !p.command) {
            out->command = CMD_VERSION;
            return true;
        }
        bool ok = arg[0] == '-' && arg[1] ? parse_flag(&p, arg) : parse_word(&p, arg);
        if (!ok) return false;
    }
    if (!p.command)
        return diag_set(d, "needs a command: generate, explain, report, check, tune or models; see "
                           "attn-gen --help");
    return check_command(a, out, d);
}

/* --- Help --- */

enum { HELP_COLUMN = 28, HELP_WIDTH = 96 };

/* "  --flag VALUE   what it does", wrapped under itself. */
static void help_row(buf *b, const char *left, const char *right) {
    buf_printf(b, "  %-*s", HELP_COLUMN - 2, left);
    if (strlen(left) > HELP_COLUMN - 3) buf_printf(b, "\n%*s", HELP_COLUMN, "");
    size_t column = HELP_COLUMN;
    while (*right) {
        size_t n = strcspn(right, " ");
        bool first = column == HELP_COLUMN;
        if (!first && column + 1 + n > HELP_WIDTH) {
            buf_printf(b, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (!first) {
            buf_puts(b, " ");
            column++;
        }
        buf_add(b, right, n);
        column += n;
        right += n + (right[n] == ' ');
    }
    buf_puts(b, "\n");
}

static const char *placeholder(const attn_field *f) {
    switch (f->kind) {
    case ATTN_KIND_ENUM: return f->values;
    case ATTN_KIND_INT: return "N";
    case ATTN_KIND_BOOL: return "true|false";
    case ATTN_KIND_FLOAT: return "X";
    case ATTN_KIND_TEXT: return "EXPR";
    default: return "DECL";
    }
}

static void help_field(arena *a, buf *b, const attn_field *f) {
    const char *left = arena_printf(a, "%s %s", spec_flag(a, f), placeholder(f));
    const char *right = f->help;
    char name[32];
    if (f->kind == ATTN_KIND_ENUM && f->dflt != ATTN_UNSET) {
        attn_enum_name(f, (int32_t)f->dflt, name, sizeof name);
        right = arena_printf(a, "%s; default: %s", f->help, name);
    }
    if (f->kind == ATTN_KIND_BOOL && f->dflt != ATTN_UNSET)
        right = arena_printf(a, "%s; default: %s", f->help, f->dflt ? "true" : "false");
    if (f->kind == ATTN_KIND_INT && f->dflt != ATTN_UNSET)
        right = arena_printf(a, "%s; default: %d", f->help, (int)f->dflt);
    help_row(b, left, right);
}

static const char *overview(arena *a) {
    buf b = buf_new(a);
    buf_puts(&b, "attn-gen writes C kernels of attention, specialised to a model.\n\n"
                 "  attn-gen COMMAND [flags]\n\nCommands:\n");
    for (int i = 0; i < COMMANDS; i++)
        help_row(&b, arena_printf(a, "%s %s", commands[i].name, commands[i].target),
                 commands[i].help);
    buf_puts(&b, "\n");
    help_row(&b, "COMMAND --help", "the command's flags and an example");
    help_row(&b, "--version", "the version");
    buf_printf(&b, "\nExample:\n    %s\n", commands[0].example);
    return b.data;
}

const char *cli_help(arena *a, command c) {
    const command_info *info = info_of(c);
    if (!info) return overview(a);
    buf b = buf_new(a);
    bool kernels = takes(SPEC_COMMANDS, c);
    buf_printf(&b, "attn-gen %s%s%s%s\n\n%s\n", info->name, *info->target ? " " : "", info->target,
               kernels ? " [flags]" : "", info->help);
    if (kernels) {
        buf_printf(&b,
                   "MODEL is a Lua file, a name that attn-gen models lists, or a config.json of "
                   "Hugging Face, beside\nwhich only --level (default: %s) and --backend are "
                   "taken. Its model_type is one of\n",
                   IMPORT_DEFAULT_LEVEL);
        help_row(&b, "", import_hf_families(a));
        buf_puts(&b, "\nThe kernel, where no MODEL is given:\n");
        for (int i = 0; i < attn_field_count; i++) help_field(a, &b, &attn_fields[i]);
    }
    buf_puts(&b, kernels ? "\nOther flags (a value may follow '=' as well):\n" : "\nFlags:\n");
    for (int i = 0; i < FLAGS; i++)
        if (takes(flags[i].commands, c))
            help_row(&b,
                     flags[i].value ? arena_printf(a, "%s %s", flags[i].name, flags[i].value)
                                    : flags[i].name,
                     flags[i].help);
    help_row(&b, "--help", "this text");
    buf_printf(&b, "\nExample:\n    %s\n", info->example);
    return b.data;
}
