/* SPDX-License-Identifier: BSD-3-Clause */
/* --help, --help-all, and the text of config files with everything commented out: all from the
 * rows. */
#include "config/options_out.h"

#include <string.h>

#include "config/options_table.h"
#include "util/cleanup.h"
#include "util/str.h"

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

/* One of a row's flags. */
struct flag {
    const char *name, *sets; /* not ended by 0 */
    size_t name_len, sets_len, index;
    const char *word; /* where next_flag() is */
    size_t len;
};

static bool next_flag(const struct option_def *d, struct flag *f)
{
    bool is_first = !f->word;
    const char *eq = NULL;
    if (!next_word(d->flags, &f->word, &f->len) || !(eq = memchr(f->word, '=', f->len)))
        return false;
    f->index = is_first ? 0 : f->index + 1;
    f->name = f->word;
    f->name_len = (size_t)(eq - f->word);
    f->sets = eq + 1;
    f->sets_len = f->len - f->name_len - 1;
    return true;
}

static bool is_same_flag(const struct flag *a, const struct flag *b)
{
    return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

static bool was_flag_before(enum program program, size_t row, const struct flag *f)
{
    for (size_t i = 0; i < row; i++) {
        struct flag g = {0};
        while ((options_def(i)->programs & program) && next_flag(options_def(i), &g))
            if (is_same_flag(&g, f))
                return true;
    }
    return false;
}

/* The flag's own line of flag_help, or the row's help. */
static void print_flag_help(FILE *out, const struct option_def *d, size_t index)
{
    const char *line = d->flag_help;
    while (line && index--) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    CLEANUP(free_ptr)
    char *text = line ? str_dup_slice((struct slice){line, strcspn(line, "\n")}) : NULL;
    print_wrapped(out, INDENT, text ? text : d->help);
}

/* What the flag sets, in each of the program's rows that have it. */
static void print_flag_sets(FILE *out, enum program program, const struct flag *which)
{
    const char *before = INDENT "Equivalent to: [";
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        struct flag f = {0};
        while ((d->programs & program) && next_flag(d, &f)) {
            if (!is_same_flag(&f, which))
                continue;
            struct slice sets = {f.sets, f.sets_len};
            if (slice_is(sets, "@random"))
                sets = SLICE_LIT("<a fresh key>");
            fprintf(out, "%s--%s.%s=%.*s", before, d->cls, d->trait, SLICE_FMT(sets));
            before = " ";
        }
    }
    fputs("]\n", out);
}

/* Each flag once, also where it stands in several rows. */
static void print_flags(FILE *out, enum program program)
{
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        struct flag f = {0};
        while ((d->programs & program) && next_flag(d, &f)) {
            if (was_flag_before(program, i, &f))
                continue;
            fprintf(out, "--%.*s\n", (int)f.name_len, f.name);
            print_flag_help(out, d, f.index);
            print_flag_sets(out, program, &f);
        }
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
    fprintf(out, "\nUsage: %s [options]%s\n", p->command,
            program == PROG_CLUSTER_STOP    ? " [CLUSTER_ID...]"
            : program == PROG_CLUSTER_START ? " [-- arguments of the controller]"
                                            : "");
    print_heading(out, "Options");
    for (size_t i = 0; i < sizeof(own_flags) / sizeof(own_flags[0]); i++)
        fprintf(out, "%s\n" INDENT "%s\n", own_flags[i].word, own_flags[i].help);
    print_flags(out, program);
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
        if (d->inert)
            fputs("#  (accepted, without effect)\n", out);
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
