#include "cli.h"
#include "output/product.h"
#include "import/find_model.h"
#include "import/import_gguf.h"
#include "import/import_hf.h"
#include "text.h"

#include "version.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Commands --- */

const cli_command cli_commands[] = {
    {CMD_GENERATE, "generate", "[MODEL]",
     "Writes the kernels of a model file, a config.json, a .gguf file, a built-in model or the "
     "flags to a folder.",
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
enum { COMMANDS = sizeof cli_commands / sizeof *cli_commands };
const int cli_command_count = COMMANDS;

static const cli_command *find_command(const char *name) {
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(cli_commands[i].name, name) == 0) return &cli_commands[i];
    return NULL;
}

const cli_command *cli_command_find(command c) {
    for (int i = 0; i < COMMANDS; i++)
        if (cli_commands[i].id == c) return &cli_commands[i];
    return NULL;
}

/* The names of the commands of a mask (1 << command). */
const char *cli_command_names(arena *a, unsigned mask, const char *between) {
    buf b = buf_new(a);
    for (int i = 0; i < COMMANDS; i++)
        if (mask >> cli_commands[i].id & 1)
            buf_printf(&b, "%s%s", b.len ? between : "", cli_commands[i].name);
    return b.data;
}

/* --- Flags beside those of spec_fields.def --- */

enum {
    GENERATE = 1 << CMD_GENERATE,
    EXPLAIN = 1 << CMD_EXPLAIN,
    REPORT = 1 << CMD_REPORT,
    TUNE = 1 << CMD_TUNE,
    GOLDEN = 1 << CMD_GOLDEN
};
enum { SPEC_COMMANDS = CLI_SPEC_COMMANDS };

const cli_flag cli_flags[] = {
    {"-o", FLAG_TEXT, "DIR", offsetof(options, out), GENERATE | GOLDEN,
     "folder to write; made if it does not exist"},
    {"-o", FLAG_TEXT, "FILE.lua", offsetof(options, out), TUNE, "tune file to write"},
    {"-o", FLAG_TEXT, "FILE", offsetof(options, out), EXPLAIN | REPORT,
     "file to write; explain prints to the standard output without it"},
    {"--name", FLAG_TEXT, "NAME", offsetof(options, name), GENERATE,
     "name of the model: of its header, library and functions"},
    {"--pool", FLAG_CHOICE, "none|cls|mean|last|pooler", offsetof(options, pool), GENERATE,
     "which rows of an item a whole model's pooled row is made of; pooler: cls, and BERT's matrix "
     "and tanh on it"},
    {"--normalize", FLAG_SWITCH, NULL, offsetof(options, normalize), GENERATE,
     "pooled rows have length 1"},
    {"--single-file", FLAG_SWITCH, NULL, offsetof(options, single_file), GENERATE,
     "write one .c and one .h with everything in them, and no other file"},
    {"--dump", FLAG_CHOICE, "spec|plan|expr|lua|c", offsetof(options, dump), GENERATE,
     "print a stage to the standard output; without -o nothing is written"},
    {"--isa", FLAG_ISA, "LIST", offsetof(options, isa), SPEC_COMMANDS,
     " (with commas), native or all; default: all (tune: native)"},
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
    {"--context", FLAG_INT, "N", offsetof(options, context), EXPLAIN | REPORT,
     "memory and costs of all layers at a context of so many tokens (report: a row of its tables)"},
    {"--users", FLAG_COUNT, "N", offsetof(options, users), REPORT,
     "a column of the table of memory, beside those of 1, 8 and 64 users"},
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
enum { FLAGS = sizeof cli_flags / sizeof *cli_flags };
const int cli_flag_count = FLAGS;

bool cli_takes(unsigned mask, command c) {
    return mask & (1u << c);
}

/* "kv_heads" -> "--kv-heads" */
const char *cli_spec_flag(arena *a, const attn_field *f) {
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
static const cli_flag *find_flag(const char *name, command c) {
    const cli_flag *found = NULL;
    for (int i = 0; i < FLAGS; i++)
        if (strcmp(cli_flags[i].name, name) == 0 && (!found || cli_takes(cli_flags[i].commands, c)))
            found = &cli_flags[i];
    return found;
}

/* Names of the flags that a command takes, null-terminated. */
const char *const *cli_flag_names(arena *a, command c) {
    const char **names = arena_alloc(a, sizeof *names * (size_t)(FLAGS + attn_field_count + 2));
    int n = 0;
    for (int i = 0; i < attn_field_count && cli_takes(SPEC_COMMANDS, c); i++)
        names[n++] = cli_spec_flag(a, &attn_fields[i]);
    for (int i = 0; i < FLAGS; i++)
        if (cli_takes(cli_flags[i].commands, c)) names[n++] = cli_flags[i].name;
    names[n] = "--help";
    return names;
}

/* --- Parsing --- */

typedef struct parser {
    arena *a;
    int argc, next;
    char **argv;
    options *out;
    const cli_command *command;
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
        suggest(&b, name, cli_flag_names(p->a, p->command->id));
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

static bool set_choice(parser *p, const cli_flag *f, const char *value) {
    size_t n = strlen(value);
    for (const char *c = f->value; *c;) {
        size_t length = strcspn(c, "|");
        if (length == n && strncmp(c, value, n) == 0) return true;
        c += length + (c[length] == '|');
    }
    buf b = buf_new(p->a);
    buf_printf(&b, "%s: must be one of %s, got '%s'", f->name, f->value, shown(p->a, value));
    suggest(&b, value, split_values(p->a, f->value));
    return diag_set(p->d, "%s", b.data);
}

static bool check_unroll(parser *p, const char *value) {
    int32_t n;
    if (strcmp(value, "auto") == 0 || strcmp(value, "full") == 0) return true;
    if (parse_count(value, &n) && n >= 1 && n <= GEN_MAX_UNROLL) return true;
    buf b = buf_new(p->a);
    buf_printf(&b, "--unroll: must be auto, full or an integer from 1 to 65536, got '%s'",
               shown(p->a, value));
    suggest(&b, value, split_values(p->a, "auto|full"));
    return diag_set(p->d, "%s", b.data);
}

static bool set_flag(parser *p, const cli_flag *f, const char *value) {
    char *member = (char *)p->out + f->offset;
    if (f->kind == FLAG_INT || f->kind == FLAG_COUNT) {
        const int32_t least = f->kind == FLAG_COUNT;
        int32_t n;
        if (!parse_count(value, &n) || n < least)
            return diag_set(p->d, "%s: must be an integer from %d to 2147483647, got '%s'", f->name,
                            least, shown(p->a, value));
        memcpy(member, &n, sizeof n);
        return true;
    }
    if (!*value) return diag_set(p->d, "%s: must not be empty", f->name);
    if (f->kind == FLAG_CHOICE && !set_choice(p, f, value)) return false;
    if (f->kind == FLAG_UNROLL && !check_unroll(p, value)) return false;
    memcpy(member, &value, sizeof value);
    return true;
}

static bool other_value(parser *p, const cli_flag *f, const char *inline_value) {
    if (p->seen[f - cli_flags]) return diag_set(p->d, "%s: given twice", f->name);
    p->seen[f - cli_flags] = true;
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
    const cli_flag *f = find_flag(name, p->command->id);
    unsigned mask = field ? (unsigned)SPEC_COMMANDS : f ? f->commands : 0;
    if (!cli_takes(mask, p->command->id)) return flag_refused(p, name, field || f);
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
    for (int i = 0; i < COMMANDS; i++) names[i] = cli_commands[i].name;
    buf b = buf_new(p->a);
    buf_printf(&b, "unknown command '%s'", shown(p->a, arg));
    suggest(&b, arg, names);
    buf_printf(&b, "; commands: %s; see attn-gen --help", cli_command_names(p->a, ~0u, ", "));
    return diag_set(p->d, "%s", b.data);
}

/* A MODEL says what to make, but for what all its layers may be given; a config.json (or
 * GGUF file) says neither the level nor the backend. */
static bool check_beside_model(arena *a, const options *o, diag *d) {
    const bool gguf = import_gguf_is(o->target);
    const bool config = gguf || import_hf_is_config(o->target);
    for (int i = 0; i < o->input_count; i++) {
        const char *field = o->inputs[i].field;
        if (model_takes(field)) continue;
        if (config && (!strcmp(field, "level") || !strcmp(field, "backend"))) continue;
        return diag_set(d, "%s: a kernel flag and a MODEL ('%s') exclude each other; %s",
                        o->inputs[i].where, shown(a, o->target),
                        gguf     ? "a .gguf file takes --level, --backend, " MODEL_FLAGS
                        : config ? "a config.json takes --level, --backend, " MODEL_FLAGS
                                 : "a model takes " MODEL_FLAGS);
    }
    return true;
}

/* What a command needs beyond its single flags. */
static bool check_command(arena *a, const options *o, diag *d) {
    bool kernels = cli_takes(SPEC_COMMANDS, o->command);
    const cli_command *info = cli_command_find(o->command);
    const bool two = strchr(info->target, ' ') != NULL;
    if (*info->target && *info->target != '[' && (!o->target || (two && !o->second)))
        return diag_set(d, "%s: needs %s: attn-gen %s %s", info->name, info->target, info->name,
                        info->target);
    if (o->command == CMD_GOLDEN && !o->out)
        return diag_set(d, "golden: needs a folder to write: -o CASES");
    if (!kernels) return true;
    const char *name = cli_command_find(o->command)->name;
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

/* "help COMMAND" is "COMMAND --help". */
static bool parse_help(parser *p) {
    if (p->next < p->argc && !parse_word(p, p->argv[p->next])) return false;
    p->out->topic = p->out->command;
    p->out->command = CMD_HELP;
    return true;
}

bool cli_parse(arena *a, int argc, char **argv, options *out, diag *d) {
    *out = (options){.batch = -1,
                     .q_len = -1,
                     .kv_len = -1,
                     .context = -1,
                     .users = -1,
                     .layer = -1,
                     .seed = -1,
                     .cases = -1};
    out->inputs = arena_alloc(a, ((size_t)argc + 1) * sizeof *out->inputs);
    parser p = {.a = a, .argc = argc, .next = 1, .argv = argv, .out = out, .d = d};
    while (p.next < argc) {
        const char *arg = argv[p.next++];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            out->topic = out->command;
            out->command = CMD_HELP;
            return true;
        }
        if (strcmp(arg, "--version") == 0 && !p.command) {
            out->command = CMD_VERSION;
            return true;
        }
        if (strcmp(arg, "help") == 0 && !p.command) return parse_help(&p);
        bool ok = arg[0] == '-' && arg[1] ? parse_flag(&p, arg) : parse_word(&p, arg);
        if (!ok) return false;
    }
    if (out->target && cli_takes(SPEC_COMMANDS, out->command))
        out->target = find_model_path(a, out->target);
    if (!p.command)
        return diag_set(d,
                        "needs a command: %s.\nTo begin with:\n"
                        "    attn-gen models                lists the built-in models\n"
                        "    attn-gen generate tiny -o out  writes the kernels of one to a folder\n"
                        "    attn-gen generate --help       says what else it takes\n"
                        "    attn-gen --help                says what each command does",
                        cli_command_names(a, ~0u, ", "));
    return check_command(a, out, d);
}
