#include "help.h"

#include "import/import_gguf.h"
#include "import/import_hf.h"
#include "plan/isa.h"
#include "text.h"
#include "version.h"

#include <stdio.h>
#include <string.h>

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
    case ATTN_KIND_TYPES: return "NAME=TYPE;..";
    case ATTN_KIND_TEXT: return "EXPR";
    default: return "DECL";
    }
}

static void help_field(arena *a, buf *b, const attn_field *f) {
    const char *left = arena_printf(a, "%s %s", cli_spec_flag(a, f), placeholder(f));
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

static const char *flag_help(arena *a, const cli_flag *f) {
    if (f->kind != FLAG_ISA) return f->help;
    return arena_printf(a, "%s%s", isa_list(a, isa_all(), ", "), f->help);
}

static const char *overview(arena *a) {
    buf b = buf_new(a);
    buf_puts(&b, "attn-gen writes C kernels of attention, specialised to a model.\n\n"
                 "  attn-gen COMMAND [flags]\n\nCommands:\n");
    for (int i = 0; i < cli_command_count; i++)
        help_row(&b, arena_printf(a, "%s %s", cli_commands[i].name, cli_commands[i].target),
                 cli_commands[i].help);
    buf_puts(&b, "\n");
    help_row(&b, "COMMAND --help", "the command's flags and an example");
    help_row(&b, "--version", "the version");
    buf_printf(&b, "\nExample:\n    %s\n", cli_commands[0].example);
    return b.data;
}

/* What MODEL may be. */
static const char *model_text(arena *a) {
    return arena_printf(
        a,
        "MODEL is a Lua file, a name that attn-gen models lists, a config.json "
        "of Hugging Face or its folder, or a .gguf file (general.architecture: %s). "
        "Beside\nit " MODEL_FLAGS
        " are taken, for all its layers, and beside a config.json or a .gguf file "
        "--level (default: %s) and --backend. A config.json's model_type is one of\n",
        import_gguf_architectures(a), IMPORT_DEFAULT_LEVEL);
}

const char *help_text(arena *a, command c) {
    const cli_command *info = cli_command_find(c);
    if (!info) return overview(a);
    buf b = buf_new(a);
    bool kernels = cli_takes(CLI_SPEC_COMMANDS, c);
    buf_printf(&b, "attn-gen %s%s%s%s\n\n%s\n", info->name, *info->target ? " " : "", info->target,
               kernels ? " [flags]" : "", info->help);
    if (kernels) {
        buf_puts(&b, model_text(a));
        help_row(&b, "", import_hf_families(a));
        buf_puts(&b, "\nThe kernel, where no MODEL is given:\n");
        for (int i = 0; i < attn_field_count; i++) help_field(a, &b, &attn_fields[i]);
    }
    buf_puts(&b, kernels ? "\nOther flags (a value may follow '=' as well):\n" : "\nFlags:\n");
    for (int i = 0; i < cli_flag_count; i++)
        if (cli_takes(cli_flags[i].commands, c))
            help_row(&b,
                     cli_flags[i].value
                         ? arena_printf(a, "%s %s", cli_flags[i].name, cli_flags[i].value)
                         : cli_flags[i].name,
                     flag_help(a, &cli_flags[i]));
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

static void man_command(arena *a, buf *b, const cli_command *info) {
    buf_puts(b, ".SS ");
    troff(b, arena_printf(a, "attn-gen %s %s", info->name, info->target));
    buf_puts(b, "\n");
    troff(b, info->help);
    buf_puts(b, "\n");
    for (int i = 0; i < cli_flag_count; i++)
        if (cli_takes(cli_flags[i].commands, info->id))
            man_flag(b, cli_flags[i].name, cli_flags[i].value, flag_help(a, &cli_flags[i]));
    buf_puts(b, ".P\nExample:\n.P\n.EX\n");
    troff(b, info->example);
    buf_puts(b, "\n.EE\n");
}

const char *help_man(arena *a) {
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
    for (int i = 0; i < cli_command_count; i++) man_command(a, &b, &cli_commands[i]);
    buf_printf(&b,
               ".SH KERNEL FLAGS\nOf %s, where no MODEL is given; with '_' for '\\-', the "
               "keys of "
               "a model file.\n",
               cli_command_names(a, CLI_SPEC_COMMANDS, ", "));
    for (int i = 0; i < attn_field_count; i++)
        man_flag(&b, cli_spec_flag(a, &attn_fields[i]), placeholder(&attn_fields[i]),
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
const char *help_completion(arena *a, const char *shell, diag *d) {
    const bool zsh = strcmp(shell, "zsh") == 0;
    if (!zsh && strcmp(shell, "bash") != 0)
        return diag_set(d, "completion: SHELL must be bash or zsh, got '%s'",
                        text_shown_n(a, shell, strnlen(shell, 60))),
               NULL;
    buf b = buf_new(a);
    buf_puts(&b, zsh ? "#compdef attn-gen\nautoload -Uz bashcompinit && bashcompinit\n"
                     : "# bash completion of attn-gen; written by attn-gen completion bash\n");
    buf_puts(&b, "_attn_gen() {\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                 "    local command=${COMP_WORDS[1]} flags='' values=''\n"
                 "    if [ \"$COMP_CWORD\" = 1 ]; then\n");
    buf_puts(&b, "        COMPREPLY=($(compgen -W '");
    for (int i = 0; i < cli_command_count; i++) buf_printf(&b, "%s ", cli_commands[i].name);
    buf_puts(&b, "--help --version' -- \"$word\"))\n        return\n    fi\n"
                 "    case $before in\n");
    for (int i = 0; i < attn_field_count; i++)
        complete_value(a, &b, cli_spec_flag(a, &attn_fields[i]), placeholder(&attn_fields[i]));
    for (int i = 0; i < cli_flag_count; i++)
        complete_value(a, &b, cli_flags[i].name, cli_flags[i].value);
    buf_printf(&b, "        --isa) values='%s native all' ;;\n", isa_list(a, isa_all(), " "));
    buf_puts(&b, "        completion) values='bash zsh' ;;\n    esac\n    case $command in\n");
    for (int i = 0; i < cli_command_count; i++) {
        buf_printf(&b, "        %s) flags='", cli_commands[i].name);
        for (const char *const *f = cli_flag_names(a, cli_commands[i].id); *f; f++)
            buf_printf(&b, "%s ", *f);
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
    buf_puts(&b, cli_command_names(a, CLI_SPEC_COMMANDS, " | "));
    buf_puts(
        &b, ")\n            COMPREPLY+=($(compgen -W \"$(\"${COMP_WORDS[0]}\" models 2>/dev/null | "
            "cut -d' ' -f1)\" -- \"$word\")) ;;\n        esac\n    fi\n}\n"
            "complete -o filenames -F _attn_gen attn-gen\n");
    return b.data;
}
