#include "cli.h"
#include "output/product.h"
#include "embedded.h"
#include "import/import_hf.h"
#include "text.h"

#include "version.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
     "Compares a generated folder (or single file) with what attn-gen writes today from the same "
     "model; any difference is an error.",
     "attn-gen check out"},
    {CMD_TUNE, "tune", "[MODEL]",
     "Measures alternatives of every kernel on this machine and writes those that are faster to a "
     "tune file, which generate and explain read with --tune. Needs a C compiler ($CC, or cc).",
     "attn-gen tune llama-3-8b -o llama.lua && \\\n"
     "        attn-gen generate llama-3-8b --tune llama.lua -o out"},
    {CMD_MODELS, "models", "", "Lists the built-in models.", "attn-gen models"},
    {CMD_GOLDEN, "golden", "DIR",
     "Writes random cases with the double-precision oracle's answers for every kernel of a "
     "generated folder (or single file); attn-verify replays them.",
     "attn-gen golden out -o cases --seed 1 && attn-verify --folder out cases/*.safetensors"},
    {CMD_DIFF, "diff", "OLD NEW",
     "Says what changed between two generated folders: kernels, specs, semantics, plans, sources. "
     "Exit status: 0 the same, 1 they differ, 2 an error.",
     "attn-gen diff out.old out"},
    {CMD_MAN, "man", "", "Prints this program's manual page.",
     "attn-gen man > attn-gen.1 && man ./attn-gen.1"},
    {CMD_COMPLETION, "completion", "SHELL",
     "Prints the completion of commands and flags for bash or zsh.",
     "attn-gen completion bash > ~/.local/share/bash-completion/completions/attn-gen"},
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

/* The names of the commands of a mask (1 << command). */
static const char *commands_of(arena *a, unsigned mask, const char *between) {
    buf b = buf_new(a);
    for (int i = 0; i < COMMANDS; i++)
        if (mask >> commands[i].id & 1)
            buf_printf(&b, "%s%s", b.len ? between : "", commands[i].name);
    return b.data;
}

static const char *command_list(arena *a) {
    return commands_of(a, ~0u, ", ");
}

/* --- Flags beside those of spec_fields.def --- */

typedef enum flag_kind { FLAG_SWITCH, FLAG_TEXT, FLAG_CHOICE, FLAG_UNROLL, FLAG_INT } flag_kind;

enum {
    GENERATE = 1 << CMD_GENERATE,
    EXPLAIN = 1 << CMD_EXPLAIN,
    REPORT = 1 << CMD_REPORT,
    TUNE = 1 << CMD_TUNE,
    GOLDEN = 1 << CMD_GOLDEN
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
    {"-o", FLAG_TEXT, "DIR", offsetof(options, out), GENERATE | GOLDEN,
     "folder to write; made if it does not exist"},
    {"-o", FLAG_TEXT, "FILE.lua", offsetof(options, out), TUNE, "tune file to write"},
    {"-o", FLAG_TEXT, "FILE", offsetof(options, out), EXPLAIN | REPORT,
     "file to write; explain prints to the standard output without it"},
    {"--name", FLAG_TEXT, "NAME", offsetof(options, name), GENERATE,
     "name of the model: of its header, library and functions"},
    {"--single-file", FLAG_SWITCH, NULL, offsetof(options, single_file), GENERATE,
     "write one .c and one .h with everything in them, and no other file"},
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
    {"--seed", FLAG_INT, "N", offsetof(options, seed), GOLDEN,
     "of the random cases: the same seed gives the same bytes; default: 0"},
    {"--cases", FLAG_INT, "N", offsetof(options, cases), GOLDEN,
     "cases a kernel, 1 to 1000; default: 8"},
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

/* The start of an argument. */
static const char *shown(arena *a, const char *s) {
    return text_shown_n(a, s, strnlen(s, 60));
}

static bool flag_refused(parser *p, const char *name, bool exists) {
    buf b = buf_new(p->a);
    if (exists) {
        buf_printf(&b, "%s: %s does not take this flag", name, p->command->name);
    } else {
        buf_printf(&b, "%s: unknown flag", shown(p->a, name));
        suggest(&b, name, flags_of(p->a, p->command->id));
    }
    return diag_set(p->d, "%s; attn-gen %s --help lists those it takes", b.data, p->command->name);
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
    return diag_set(p->d, "%s: must be one of %s, got '%s'", f->name, f->value, shown(p->a, value));
}

static bool check_unroll(parser *p, const char *value) {
    int32_t n;
    if (strcmp(value, "auto") == 0 || strcmp(value, "full") == 0) return true;
    if (parse_count(value, &n) && n >= 1 && n <= GEN_MAX_UNROLL) return true;
    return diag_set(p->d, "--unroll: must be auto, full or an integer from 1 to 65536, got '%s'",
                    shown(p->a, value));
}

static bool set_flag(parser *p, const flag *f, const char *value) {
    char *member = (char *)p->out + f->offset;
    if (f->kind == FLAG_INT) {
        int32_t n;
        if (!parse_count(value, &n))
            return diag_set(p->d, "%s: must be an integer from 0 to 2147483647, got '%s'", f->name,
                            shown(p->a, value));
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
                        shown(p->a, name), shown(p->a, arg));
    const attn_field *field = find_spec_flag(p->a, name);
    const flag *f = find_flag(name, p->command->id);
    unsigned mask = field ? (unsigned)SPEC_COMMANDS : f ? f->commands : 0;
    if (!takes(mask, p->command->id)) return flag_refused(p, name, field || f);
    if (field) return spec_value(p, field, name, inline_value);
    return other_value(p, f, inline_value);
}

static bool parse_word(parser *p, const char *arg) {
    if (p->command) {
        const bool second = p->out->target && !p->out->second && strchr(p->command->target, ' ');
        if ((p->out->target && !second) || !*p->command->target)
            return diag_set(p->d, "unexpected argument '%s'; usage: attn-gen %s %s",
                            shown(p->a, arg), p->command->name, p->command->target);
        if (!*arg) return diag_set(p->d, "%s must not be empty", p->command->target);
        *(second ? &p->out->second : &p->out->target) = arg;
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
    buf_printf(&b, "unknown command '%s'", shown(p->a, arg));
    suggest(&b, arg, names);
    buf_printf(&b, "; commands: %s; see attn-gen --help", command_list(p->a));
    return diag_set(p->d, "%s", b.data);
}

/* A MODEL says what to make; a config.json does but for the level and the backend. */
static bool check_beside_model(arena *a, const options *o, diag *d) {
    const bool config = import_hf_is_config(o->target);
    for (int i = 0; i < o->input_count; i++) {
        const char *field = o->inputs[i].field;
        if (config && (!strcmp(field, "level") || !strcmp(field, "backend"))) continue;
        return diag_set(d, "%s: a kernel flag and a MODEL ('%s') exclude each other%s",
                        o->inputs[i].where, shown(a, o->target),
                        config ? "; a config.json takes --level and --backend" : "");
    }
    return true;
}

/* A folder that holds a config.json stands for it; the name of a built-in model does not. */
static const char *model_path(arena *a, const char *target) {
    struct stat st;
    if (embedded_find(arena_printf(a, "gen/models/%s.lua", target))) return target;
    if (stat(target, &st) || !S_ISDIR(st.st_mode)) return target;
    const size_t n = strlen(target);
    const char *slash = n && target[n - 1] == '/' ? "" : "/";
    const char *config = arena_printf(a, "%s%sconfig.json", target, slash);
    return !stat(config, &st) && S_ISREG(st.st_mode) ? config : target;
}

/* What a command needs beyond its single flags. */
static bool check_command(arena *a, const options *o, diag *d) {
    bool kernels = takes(SPEC_COMMANDS, o->command);
    const command_info *info = info_of(o->command);
    const bool two = strchr(info->target, ' ') != NULL;
    if (*info->target && *info->target != '[' && (!o->target || (two && !o->second)))
        return diag_set(d, "%s: needs %s: attn-gen %s %s", info->name, info->target, info->name,
                        info->target);
    if (o->command == CMD_GOLDEN && !o->out)
        return diag_set(d, "golden: needs a folder to write: -o CASES");
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
    *out = (options){.batch = -1, .q_len = -1, .kv_len = -1, .layer = -1, .seed = -1, .cases = -1};
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
    if (out->target && takes(SPEC_COMMANDS, out->command)) out->target = model_path(a, out->target);
    if (!p.command)
        return diag_set(d,
                        "needs a command: %s.\nTo begin with:\n"
                        "    attn-gen models                lists the built-in models\n"
                        "    attn-gen generate tiny -o out  writes the kernels of one to a folder\n"
                        "    attn-gen generate --help       says what else it takes\n"
                        "    attn-gen --help                says what each command does",
                        command_list(a));
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

/* What MODEL may be. */
static const char *model_text(arena *a) {
    return arena_printf(
        a,
        "MODEL is a Lua file, a name that attn-gen models lists, or a config.json "
        "of Hugging Face or its folder, beside\nwhich only --level (default: %s) and --backend "
        "are taken. Its model_type is one of\n",
        IMPORT_DEFAULT_LEVEL);
}

const char *cli_help(arena *a, command c) {
    const command_info *info = info_of(c);
    if (!info) return overview(a);
    buf b = buf_new(a);
    bool kernels = takes(SPEC_COMMANDS, c);
    buf_printf(&b, "attn-gen %s%s%s%s\n\n%s\n", info->name, *info->target ? " " : "", info->target,
               kernels ? " [flags]" : "", info->help);
    if (kernels) {
        buf_puts(&b, model_text(a));
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

/* --- Manual page and completion --- */

/* Text for troff: backslashes, and dots and quotes where a line starts. */
static void troff(buf *b, const char *text) {
    for (const char *p = text; *p; p++) {
        const bool first = p == text || p[-1] == '\n';
        if (first && (*p == '.' || *p == '\'')) buf_puts(b, "\\&");
        if (*p == '\\')
            buf_puts(b, "\\e");
        else if (*p == '-')
            buf_puts(b, "\\-");
        else
            buf_add(b, p, 1);
    }
}

static void man_flag(buf *b, const char *name, const char *value, const char *help) {
    buf_puts(b, ".TP\n.B ");
    troff(b, name);
    if (value) {
        buf_puts(b, " ");
        troff(b, value);
    }
    buf_puts(b, "\n");
    troff(b, help);
    buf_puts(b, "\n");
}

static void man_command(arena *a, buf *b, const command_info *info) {
    buf_puts(b, ".SS ");
    troff(b, arena_printf(a, "attn-gen %s %s", info->name, info->target));
    buf_puts(b, "\n");
    troff(b, info->help);
    buf_puts(b, "\n");
    for (int i = 0; i < FLAGS; i++)
        if (takes(flags[i].commands, info->id))
            man_flag(b, flags[i].name, flags[i].value, flags[i].help);
    buf_puts(b, ".P\nExample:\n.P\n.EX\n");
    troff(b, info->example);
    buf_puts(b, "\n.EE\n");
}

const char *cli_man(arena *a) {
    buf b = buf_new(a);
    buf_puts(&b, ".TH ATTN-GEN 1 \"\" \"attn-gen " ATTN_GEN_VERSION "\"\n"
                 ".SH NAME\nattn\\-gen \\- writes C kernels of attention, specialised to a model\n"
                 ".SH SYNOPSIS\n.B attn\\-gen\n.I COMMAND\n[flags]\n.P\n.B attn\\-verify\n"
                 ".I FILE.safetensors ...\n[flags]\n.SH DESCRIPTION\n"
                 "attn\\-verify holds cases against kernels; attn\\-verify \\-\\-help lists its "
                 "flags.\n.P\n");
    troff(&b, model_text(a));
    troff(&b, import_hf_families(a));
    buf_puts(&b, ".\n.P\nThe flags of one kernel, below, may take the place of a MODEL.\n"
                 ".SH COMMANDS\n");
    for (int i = 0; i < COMMANDS; i++) man_command(a, &b, &commands[i]);
    buf_printf(&b,
               ".SH KERNEL FLAGS\nOf %s, where no MODEL is given; with '_' for '\\-', the keys of "
               "a model file.\n",
               commands_of(a, SPEC_COMMANDS, ", "));
    for (int i = 0; i < attn_field_count; i++)
        man_flag(&b, spec_flag(a, &attn_fields[i]), placeholder(&attn_fields[i]),
                 attn_fields[i].help);
    buf_puts(&b, ".SH EXIT STATUS\n0: done. 1: check or diff found a difference, or a case failed. "
                 "2: wrong input, with a message that says what and where; nothing is written.\n"
                 ".SH LICENSE\nMIT; what attn\\-gen writes, and its runtime: 0BSD.\n");
    return b.data;
}

/* "a|b|c" -> "a b c"; empty for other placeholders. */
static const char *choices(arena *a, const char *value) {
    if (!value || !strchr(value, '|')) return "";
    char *words = arena_strdup(a, value);
    for (char *p = words; *p; p++)
        if (*p == '|') *p = ' ';
    return words;
}

static void complete_value(arena *a, buf *b, const char *name, const char *value) {
    const char *words = choices(a, value);
    if (*words) buf_printf(b, "        %s) values='%s' ;;\n", name, words);
}

/* zsh runs the same function through its bashcompinit. */
const char *cli_completion(arena *a, const char *shell, diag *d) {
    const bool zsh = strcmp(shell, "zsh") == 0;
    if (!zsh && strcmp(shell, "bash") != 0)
        return diag_set(d, "completion: SHELL must be bash or zsh, got '%s'", shown(a, shell)),
               NULL;
    buf b = buf_new(a);
    buf_puts(&b, zsh ? "#compdef attn-gen\nautoload -Uz bashcompinit && bashcompinit\n"
                     : "# bash completion of attn-gen; written by attn-gen completion bash\n");
    buf_puts(&b, "_attn_gen() {\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                 "    local command=${COMP_WORDS[1]} flags='' values=''\n"
                 "    if [ \"$COMP_CWORD\" = 1 ]; then\n");
    buf_puts(&b, "        COMPREPLY=($(compgen -W '");
    for (int i = 0; i < COMMANDS; i++) buf_printf(&b, "%s ", commands[i].name);
    buf_puts(&b, "--help --version' -- \"$word\"))\n        return\n    fi\n"
                 "    case $before in\n");
    for (int i = 0; i < attn_field_count; i++)
        complete_value(a, &b, spec_flag(a, &attn_fields[i]), placeholder(&attn_fields[i]));
    for (int i = 0; i < FLAGS; i++) complete_value(a, &b, flags[i].name, flags[i].value);
    buf_puts(&b, "        --isa) values='portable avx2 avx512 native all' ;;\n"
                 "        completion) values='bash zsh' ;;\n    esac\n    case $command in\n");
    for (int i = 0; i < COMMANDS; i++) {
        buf_printf(&b, "        %s) flags='", commands[i].name);
        for (const char *const *f = flags_of(a, commands[i].id); *f; f++) buf_printf(&b, "%s ", *f);
        buf_puts(&b, "' ;;\n");
    }
    buf_puts(&b,
             "    esac\n"
             "    if [ -n \"$values\" ]; then COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
             "    elif [ \"${word#-}\" != \"$word\" ]; then\n"
             "        COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
             "    else\n"
             "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
             "        case $command in ");
    buf_puts(&b, commands_of(a, SPEC_COMMANDS, " | "));
    buf_puts(
        &b, ")\n            COMPREPLY+=($(compgen -W \"$(\"${COMP_WORDS[0]}\" models 2>/dev/null | "
            "cut -d' ' -f1)\" -- \"$word\")) ;;\n        esac\n    fi\n}\n"
            "complete -o filenames -F _attn_gen attn-gen\n");
    return b.data;
}
