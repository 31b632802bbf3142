/* SPDX-License-Identifier: BSD-3-Clause */
/* --help, --help-all, and the text of config files with everything commented out: all from the
 * rows. */
#include "config/options_out.h"

#include <string.h>

#include "config/options_table.h"

#define WIDTH 96
#define INDENT "    "

enum options_request options_request(int argc, char *const *argv)
{
    static const struct {
        const char *word;
        enum options_request what;
    } words[] = {
        {"-h", ASK_HELP},           {"--help", ASK_HELP}, {"--help-all", ASK_HELP_ALL},
        {"--version", ASK_VERSION}, {"-V", ASK_VERSION},  {"--generate-config", ASK_GENERATE}};
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++)
            if (strcmp(argv[i], words[w].word) == 0)
                return words[w].what;
    return argc > 1 && strcmp(argv[1], "help") == 0 ? ASK_HELP : ASK_NOTHING;
}

/* Words of `text`, each line with `before` in front. */
static void print_wrapped(FILE *out, const char *before, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t len = strcspn(text, " \n");
        if (column && column + 1 + len > WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (!column)
            column = (size_t)fprintf(out, "%s", before);
        else
            column += (size_t)fprintf(out, " ");
        column += (size_t)fprintf(out, "%.*s", (int)len, text);
        text += len;
        text += strspn(text, " \n");
    }
    fputc('\n', out);
}

static const char *type_name(enum option_type type)
{
    static const char *const names[] = {
        [OPT_BOOL] = "Bool",       [OPT_INT] = "Int",         [OPT_COUNT] = "Int or auto",
        [OPT_BYTES] = "Bytes",     [OPT_MS] = "Milliseconds", [OPT_FLOAT] = "Float",
        [OPT_SECONDS] = "Seconds", [OPT_TEXT] = "Unicode",    [OPT_SECRET] = "Unicode",
        [OPT_LEVEL] = "Level",     [OPT_ENUM] = "Enum",       [OPT_LIST] = "list-item-1",
        [OPT_SET] = "Names",       [OPT_PORTS] = "Ports",     [OPT_DICT] = "key=value",
    };
    return names[type];
}

static void print_details(FILE *out, const struct option_def *d)
{
    char line[400];
    print_wrapped(out, INDENT, d->help);
    if (d->inert)
        fprintf(out, INDENT "(accepted, without effect)\n");
    if (d->choices) {
        snprintf(line, sizeof(line), "Choices: %s", d->choices);
        print_wrapped(out, INDENT, line);
    } else if ((d->min != 0 || d->max != 0) && d->type != OPT_LEVEL) {
        fprintf(out, INDENT "Range: %.15g to %.15g\n", d->min, d->max);
    }
    if (d->env)
        fprintf(out, INDENT "Environment: %s\n", d->env);
    if (d->preset)
        fprintf(out, INDENT "Default: %s\n", *d->preset ? d->preset : "''");
}

static void print_flags(FILE *out, const struct option_def *d)
{
    const char *word = NULL;
    size_t len = 0;
    while (next_word(d->flags, &word, &len)) {
        const char *eq = memchr(word, '=', len);
        if (!eq)
            continue;
        int value_len = (int)(len - (size_t)(eq + 1 - word));
        bool is_fresh = value_len == 7 && memcmp(eq + 1, "@random", 7) == 0;
        fprintf(out, "--%.*s\n", (int)(eq - word), word);
        print_wrapped(out, INDENT, d->help);
        if (is_fresh)
            fprintf(out, INDENT "Sets %s.%s to a fresh key\n", d->cls, d->trait);
        else
            fprintf(out, INDENT "Equivalent to: [--%s.%s=%.*s]\n", d->cls, d->trait, value_len,
                    eq + 1);
    }
}

static void print_aliases(FILE *out, const struct option_def *d)
{
    const char *word = NULL;
    size_t len = 0;
    while (next_word(d->alias, &word, &len)) {
        fprintf(out, "%s%.*s=<%s>\n", len == 1 ? "-" : "--", (int)len, word,
                type_name(d->type));
        print_details(out, d);
        fprintf(out, INDENT "Equivalent to: [--%s.%s]\n", d->cls, d->trait);
    }
}

static void print_heading(FILE *out, const char *text)
{
    fprintf(out, "\n%s\n", text);
    for (size_t i = strlen(text); i; i--)
        fputc('=', out);
    fputc('\n', out);
}

static const struct {
    const char *word, *help;
} own_flags[] = {
    {"-h, --help", "Show this help"},
    {"--help-all", "Show this help and every option there is"},
    {"-V, --version", "Show the version"},
    {"--generate-config", "Print a config file with every option commented out"},
};

/* The rows of one class for the program, under the class's name. */
static void print_class(FILE *out, enum program program, const char *cls)
{
    bool is_first = true;
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        if (!(d->programs & program) || strcmp(d->cls, cls) != 0)
            continue;
        if (is_first) {
            fprintf(out, "\n%s options\n", cls);
            for (size_t dash = strlen(cls) + strlen(" options"); dash; dash--)
                fputc('-', out);
            fputc('\n', out);
            is_first = false;
        }
        fprintf(out, "--%s.%s=<%s>%s\n", d->cls, d->trait, type_name(d->type),
                type_is_container(d->type) && d->type != OPT_SET ? "..." : "");
        print_details(out, d);
    }
}

/* Calls fn for each class that the program has rows of, in the tables' order. */
static void each_class(FILE *out, enum program program,
                       void (*fn)(FILE *out, enum program program, const char *cls))
{
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        if (!(d->programs & program))
            continue;
        bool was_there = false;
        for (size_t j = 0; j < i && !was_there; j++)
            was_there = (options_def(j)->programs & program) &&
                        strcmp(options_def(j)->cls, d->cls) == 0;
        if (!was_there)
            fn(out, program, d->cls);
    }
}

void options_print_help(FILE *out, enum program program, bool all)
{
    const struct program_def *p = program_find(program);
    print_wrapped(out, "", p->about);
    fprintf(out, "\nUsage: %s [options]\n", p->command);
    print_heading(out, "Options");
    for (size_t i = 0; i < sizeof(own_flags) / sizeof(own_flags[0]); i++)
        fprintf(out, "%s\n" INDENT "%s\n", own_flags[i].word, own_flags[i].help);
    for (size_t i = 0; i < options_n_defs(); i++)
        if (options_def(i)->programs & program)
            print_flags(out, options_def(i));
    for (size_t i = 0; i < options_n_defs(); i++)
        if (options_def(i)->programs & program)
            print_aliases(out, options_def(i));
    if (all) {
        print_heading(out, "Class options");
        fprintf(out, "Each can be given as --Class.trait=value, or in a config file.\n");
        each_class(out, program, print_class);
    }
    print_heading(out, "Examples");
    for (const char *line = p->examples; *line;) {
        size_t len = strcspn(line, "\n");
        fprintf(out, INDENT "%.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
    if (!all)
        fprintf(out, "\nTo see every option, use `%s --help-all`.\n", p->command);
}

/* Config files */

/* The default as Python writes it. */
static void print_preset(FILE *out, const struct option_def *d)
{
    if (!d->preset)
        fputs(type_is_container(d->type) ? d->type == OPT_DICT ? "{}" : "[]" : "None", out);
    else if (d->type == OPT_BOOL)
        fputs(strcmp(d->preset, "true") == 0 ? "True" : "False", out);
    else if (d->type == OPT_TEXT || d->type == OPT_ENUM || d->type == OPT_LEVEL ||
             (d->type == OPT_COUNT && strcmp(d->preset, "auto") == 0))
        fprintf(out, "'%s'", d->preset);
    else
        fputs(d->preset, out);
}

static void print_rule(FILE *out)
{
    fputs("#-----------------------------------------------------------------------------\n",
          out);
}

static void print_class_template(FILE *out, enum program program, const char *cls)
{
    print_rule(out);
    fprintf(out, "# %s configuration\n", cls);
    print_rule(out);
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        if (!(d->programs & program) || strcmp(d->cls, cls) != 0)
            continue;
        print_wrapped(out, "## ", d->help);
        if (d->choices)
            fprintf(out, "#  Choices: %s\n", d->choices);
        fputs("#  Default: ", out);
        print_preset(out, d);
        fprintf(out, "\n# c.%s.%s = ", d->cls, d->trait);
        print_preset(out, d);
        fputs("\n\n", out);
    }
}

void options_print_template(FILE *out, enum program program)
{
    const struct program_def *p = program_find(program);
    fprintf(out, "# Configuration file for %.*s.\n\nc = get_config()  # noqa\n\n",
            (int)strcspn(p->command, " "), p->command);
    each_class(out, program, print_class_template);
}
