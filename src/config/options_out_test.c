/* SPDX-License-Identifier: BSD-3-Clause */
/* Every row is complete, and every surface that is made from the rows shows all of them. */
#include "config/options_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/options_table.h"
#include "config/test_dir.h"
#include "util/cleanup.h"
#include "util/str.h"

static const enum program programs[] = {
    PROG_CONTROLLER,   PROG_ENGINE,       PROG_CLUSTER_START, PROG_CLUSTER_ENGINES,
    PROG_CLUSTER_STOP, PROG_CLUSTER_LIST, PROG_CLUSTER_CLEAN,
};
#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* What the function prints; owned. Not inline: gcc 12 would take the text for its variable. */
static __attribute__((noinline)) char *text_of(void (*fn)(FILE *out, const void *arg),
                                               const void *arg)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    fn(out, arg);
    fclose(out);
    return text;
}

static void help(FILE *out, const void *arg)
{
    options_print_help(out, *(const enum program *)arg, false);
}
static void help_all(FILE *out, const void *arg)
{
    options_print_help(out, *(const enum program *)arg, true);
}
static void template(FILE *out, const void *arg)
{
    options_print_template(out, *(const enum program *)arg);
}
static void config(FILE *out, const void *arg)
{
    options_print_config(out, arg);
}
static void config_json(FILE *out, const void *arg)
{
    options_print_config_json(out, arg);
}

static void test_rows_are_complete(void **state)
{
    size_t n = 0;
    for (const struct option_def *d = options_next_def(NULL); d; d = options_next_def(d), n++) {
        if (!d->help || strlen(d->help) < 8 || d->help[strlen(d->help) - 1] == '.')
            fail_msg("%s.%s: no help, or it ends with a stop", d->cls, d->trait);
        if (!class_is_known(d->cls))
            fail_msg("%s: a class without bases in options_names.c", d->cls);
        if ((d->type == OPT_ENUM || d->type == OPT_SET) != (d->choices != NULL))
            fail_msg("%s.%s: choices", d->cls, d->trait);
        if (d->max < d->min)
            fail_msg("%s.%s: range", d->cls, d->trait);
        if (!d->programs)
            fail_msg("%s.%s: no program", d->cls, d->trait);
    }
    assert_int_equal(n, options_n_defs());
}

/* No program has a trait, an alias or a flag for two different things. */
static void test_names_are_not_ambiguous(void **state)
{
    for (size_t i = 0; i < options_n_defs(); i++)
        for (size_t j = 0; j < i; j++) {
            const struct option_def *a = options_def(i), *b = options_def(j);
            if (!(a->programs & b->programs))
                continue;
            if (strcmp(a->cls, b->cls) == 0 && strcmp(a->trait, b->trait) == 0)
                fail_msg("%s.%s is there twice", a->cls, a->trait);
            const char *x = NULL, *y = NULL;
            size_t xn = 0, yn = 0;
            while (next_word(a->alias, &x, &xn))
                for (y = NULL, yn = 0; next_word(b->alias, &y, &yn);)
                    if (xn == yn && memcmp(x, y, xn) == 0)
                        fail_msg("alias %.*s: %s and %s", (int)xn, x, a->trait, b->trait);
        }
}

/* Defaults must be values that are allowed: options_new() reads them. */
static void test_defaults_are_allowed(void **state)
{
    for (size_t p = 0; p < N_PROGRAMS; p++) {
        struct options *o;
        struct ersa_error err = {0};
        assert_non_null(program_find(programs[p]));
        if (options_new(&o, programs[p], &err) < 0)
            fail_msg("%s", err.text);
        options_free(o);
    }
}

static void must_hold(const char *text, const char *what, const char *surface)
{
    if (!strstr(text, what))
        fail_msg("%s does not have %s", surface, what);
}

static void test_surfaces_show_every_row(void **state)
{
    char line[200];
    for (size_t p = 0; p < N_PROGRAMS; p++) {
        CLEANUP(free_ptr) char *brief = text_of(help, &programs[p]);
        CLEANUP(free_ptr) char *all = text_of(help_all, &programs[p]);
        CLEANUP(free_ptr) char *file = text_of(template, &programs[p]);
        for (size_t i = 0; i < options_n_defs(); i++) {
            const struct option_def *d = options_def(i);
            if (!(d->programs & programs[p]))
                continue;
            snprintf(line, sizeof(line), "\n--%s.%s=<", d->cls, d->trait);
            must_hold(all, line, "--help-all");
            snprintf(line, sizeof(line), "\n# c.%s.%s = ", d->cls, d->trait);
            must_hold(file, line, "the config file");
            const char *word = NULL;
            size_t len = 0;
            while (next_word(d->alias, &word, &len)) {
                snprintf(line, sizeof(line), "\n%s%.*s=<", len == 1 ? "-" : "--", (int)len,
                         word);
                must_hold(brief, line, "--help");
            }
            word = NULL;
            while (next_word(d->flags, &word, &len)) {
                const char *eq = memchr(word, '=', len);
                assert_non_null(eq);
                snprintf(line, sizeof(line), "\n--%.*s\n", (int)(eq - word), word);
                must_hold(brief, line, "--help");
            }
        }
    }
}

/* The line behind "\n--name\n" in the help; owned. */
static char *help_of_flag(const char *brief, const char *name, size_t len)
{
    char line[200];
    snprintf(line, sizeof(line), "\n--%.*s\n", (int)len, name);
    const char *at = strstr(brief, line);
    if (!at || strstr(at + 1, line))
        fail_msg("--%.*s is not there once", (int)len, name);
    at += strlen(line);
    return str_dup_slice((struct slice){at, strcspn(at, "\n")});
}

static void test_flags_have_their_own_help(void **state)
{
    for (size_t p = 0; p < N_PROGRAMS; p++) {
        CLEANUP(free_ptr) char *brief = text_of(help, &programs[p]);
        for (size_t i = 0; i < options_n_defs(); i++) {
            const struct option_def *d = options_def(i);
            char *seen[8] = {NULL};
            const char *word = NULL;
            size_t len = 0, n = 0;
            while ((d->programs & programs[p]) && next_word(d->flags, &word, &len)) {
                seen[n] = help_of_flag(brief, word, strcspn(word, "="));
                for (size_t before = 0; before < n; before++)
                    if (strcmp(seen[before], seen[n]) == 0)
                        fail_msg("--%.*s has another's help", (int)len, word);
                assert_true(++n < 8);
            }
            while (n)
                free(seen[--n]);
        }
    }
    enum program controller = PROG_CONTROLLER;
    CLEANUP(free_ptr) char *brief = text_of(help, &controller);
    must_hold(brief,
              "    Equivalent to: [--IPController.reuse_files=true "
              "--IPController.restore_engines=true]\n",
              "--help");
}

/* Every alias, flag and trait that help shows is understood by the parser. */
static void test_parser_knows_every_row(void **state)
{
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        for (size_t p = 0; p < N_PROGRAMS; p++) {
            if (!(d->programs & programs[p]))
                continue;
            struct options *o;
            struct ersa_error err = {0};
            char word[200];
            char *argv[] = {"program", word};
            assert_int_equal(options_new(&o, programs[p], &err), 0);
            const char *at = NULL;
            size_t len = 0;
            snprintf(word, sizeof(word), "--%s.%s=%s", d->cls, d->trait,
                     d->preset ? d->preset : "None");
            int rc = options_parse_argv(o, 2, argv, &err);
            if (rc == ERSA_ENOENT)
                fail_msg("%s: %s", word, err.text);
            while (next_word(d->flags, &at, &len)) {
                snprintf(word, sizeof(word), "--%.*s", (int)strcspn(at, "="), at);
                if (options_parse_argv(o, 2, argv, &err) < 0)
                    fail_msg("%s: %s", word, err.text);
            }
            at = NULL;
            while (next_word(d->alias, &at, &len)) {
                snprintf(word, sizeof(word), "--%.*s=%s", (int)len, at,
                         d->preset ? d->preset : "1");
                if (options_parse_argv(o, 2, argv, &err) < 0)
                    fail_msg("%s: %s", word, err.text);
            }
            options_free(o);
        }
    }
}

static void test_show_config(void **state)
{
    struct options *o;
    struct ersa_error err = {0};
    assert_int_equal(options_new(&o, PROG_CONTROLLER, &err), 0);
    char *argv[] = {"ipcontroller", "--ping=3333", "--Session.key=tell-nobody",
                    "--location=o'clock", "--ports=5-6"};
    assert_int_equal(options_parse_argv(o, 5, argv, &err), 0);
    options_add_file(o, "/p/ipcontroller_config.py");
    CLEANUP(free_ptr) char *text = text_of(config, o);
    must_hold(text, "Loaded config files:\n  /p/ipcontroller_config.py\n\n", "--show-config");
    must_hold(text, "HeartMonitor\n  .period = 3333\nIPController\n", "--show-config");
    must_hold(text, "  .location = \"o'clock\"\n  .ports = [5, 6]\n", "--show-config");
    must_hold(text, "Session\n  .key = '***'\n", "--show-config");
    assert_null(strstr(text, "tell-nobody"));
    CLEANUP(free_ptr) char *json = text_of(config_json, o);
    json_t *j = json_loads(json, 0, NULL);
    assert_non_null(j);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(j, "HeartMonitor"), "period")),
        3333);
    assert_null(strstr(json, "tell-nobody"));
    json_decref(j);
    options_free(o);
}

/* Paths and words of a command line are octets; what is shown is UTF-8. */
static void test_show_octets(void **state)
{
    struct options *o;
    struct ersa_error err = {0};
    assert_int_equal(options_new(&o, PROG_CLUSTER_START, &err), 0);
    char *argv[] = {"ipcluster", "--work-dir=/tmp/\xe9", "--Cluster.controller_args=--x=\xff",
                    "--Cluster.controller_args=--y"};
    assert_int_equal(options_parse_argv(o, 4, argv, &err), 0);
    CLEANUP(free_ptr) char *text = text_of(config, o);
    must_hold(text, ".work_dir = '/tmp/\xef\xbf\xbd'\n", "--show-config");
    must_hold(text, ".controller_args = ['--x=\xef\xbf\xbd', '--y']\n", "--show-config");
    options_free(o);
}

static void test_requests(void **state)
{
    static const struct {
        char *word;
        enum options_request what;
    } rows[] = {
        {"-h", ASK_HELP},         {"--help", ASK_HELP},       {"--help-all", ASK_HELP_ALL},
        {"-V", ASK_VERSION},      {"--version", ASK_VERSION}, {"help", ASK_HELP},
        {"--ping=3", ASK_NOTHING}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *argv[] = {"p", rows[i].word};
        assert_int_equal(options_request(2, argv), rows[i].what);
    }
    char *behind[] = {"p", "--", "--help"};
    assert_int_equal(options_request(3, behind), ASK_NOTHING);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)
    const struct CMUnitTest tests[] = {
        T(test_rows_are_complete),
        T(test_names_are_not_ambiguous),
        T(test_defaults_are_allowed),
        T(test_surfaces_show_every_row),
        T(test_flags_have_their_own_help),
        T(test_parser_knows_every_row),
        T(test_show_config),
        T(test_show_octets),
        T(test_requests),
    };
    (void)in_test_dir;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
