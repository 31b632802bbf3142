/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line (cli_config.md 1): --Class.trait=v, --alias=v, --flag, -x v, each also with
 * the value as the next word; "--" ends it. Left to right, the last wins. */
#include "config/options_table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

#define NAME_MAX_LEN 200

struct words {
    int argc, at; /* the next word */
    char *const *argv;
};

/* One option on the command line, taken apart. */
struct argument {
    const char *word;        /* as typed */
    char name[NAME_MAX_LEN]; /* without dashes and value */
    const char *value;       /* NULL: none with it */
};

/* May the word be a value? Not when it looks like an option; numbers below zero do not. */
static bool is_value(const char *word)
{
    return word[0] != '-' || !word[1] || isdigit((unsigned char)word[1]) || word[1] == '.';
}

static const char *take_value(struct words *w, struct argument *a)
{
    if (!a->value && w->at < w->argc && is_value(w->argv[w->at]))
        a->value = w->argv[w->at++];
    return a->value;
}

static int needs_value(const struct argument *a, struct ersa_error *err)
{
    return err_set(err, ERSA_ENOENT, "%s needs a value", a->word);
}

/* "--key=***" where the value is a secret. */
static char *where_of(const struct argument *a, const struct option_def *d)
{
    bool is_long = a->word[1] == '-';
    if (!a->value)
        return str_printf("%s%s", is_long ? "--" : "-", a->name);
    return str_printf("%s%s=%.80s", is_long ? "--" : "-", a->name,
                      d->type == OPT_SECRET ? "***" : a->value);
}

static int put(struct options *o, size_t index, const struct argument *a, const char *text,
               struct ersa_error *err)
{
    const struct option_def *d = options_def(index);
    CLEANUP(free_ptr) char *where = where_of(a, d);
    if (!where)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    if (d->type == OPT_SECRET && a->value)
        options_warn(o, "%s: other users of this machine can read command lines", where);
    return options_put(o, index, text, FROM_ARGV, where, type_is_container(d->type), err);
}

/* Programs that ipcluster starts, and hands on to what is meant for them. */
static unsigned started_by(enum program program)
{
    return program == PROG_CLUSTER_START     ? PROG_CONTROLLER | PROG_ENGINE
           : program == PROG_CLUSTER_ENGINES ? PROG_ENGINE
                                             : 0;
}

static int hand_on(struct options *o, unsigned to, const struct argument *a, const char *cls,
                   const char *trait, struct ersa_error *err)
{
    CLEANUP(free_ptr) char *word = str_printf("--%s.%s=%s", cls, trait, a->value);
    if (!word)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    if (to & PROG_CONTROLLER)
        options_hand_on(o, PROG_CONTROLLER, word);
    if (to & PROG_ENGINE)
        options_hand_on(o, PROG_ENGINE, word);
    return 0;
}

/* A class that is not ours: IPython's, where an engine stands behind; else nobody's. */
static int set_foreign(struct options *o, const struct argument *a, const char *cls,
                       const char *trait, struct ersa_error *err)
{
    unsigned to = started_by(options_program(o)) & PROG_ENGINE;
    if (class_is_absent(cls)) {
        options_warn(o, "--%s has no effect in this version", a->name);
        return 0;
    }
    const char *near = nearest_class(cls);
    if (near)
        return err_set(err, ERSA_ENOENT, "unknown option --%s; did you mean --%s.%s?", a->name,
                       near, trait);
    if (to)
        return hand_on(o, to, a, cls, trait, err);
    if (options_program(o) != PROG_ENGINE)
        return err_set(err, ERSA_ENOENT, "unknown option --%s: nothing here is called %s",
                       a->name, cls);
    json_t *text = json_string(a->value);
    int rc = text ? options_put_foreign(o, cls, trait, text) : ERSA_EINVAL;
    json_decref(text);
    return rc < 0 ? err_set(err, ERSA_EINVAL, "%s cannot be kept", a->word) : 0;
}

static int unknown_trait(const struct argument *a, const char *cls, const char *trait,
                         struct ersa_error *err)
{
    const char *near = nearest_trait(cls, trait);
    if (near)
        return err_set(err, ERSA_ENOENT, "unknown option --%s; did you mean --%s.%s?", a->name,
                       cls, near);
    near = nearest_row(trait);
    return near ? err_set(err, ERSA_ENOENT, "unknown option --%s; did you mean --%s?", a->name,
                          near)
                : err_set(err, ERSA_ENOENT, "unknown option --%s", a->name);
}

/* A value for another program is looked at here, where its user sees what is wrong. */
static int check_for_others(const struct argument *a, size_t index, struct ersa_error *err)
{
    const struct option_def *d = options_def(index);
    struct value scratch = {0};
    int rc = value_from_text(&scratch, d, a->value, false, err);
    value_fini(&scratch);
    CLEANUP(free_ptr) char *where = where_of(a, d);
    return rc < 0 && rc != ERSA_ENOMEM && where ? err_prefix(err, rc, "%s", where) : rc;
}

/* --Class.trait: every row that the class reaches, here or in a program that is started. */
static int set_trait(struct options *o, struct words *w, struct argument *a, const char *dot,
                     struct ersa_error *err)
{
    CLEANUP(free_ptr)
    char *section = str_dup_slice((struct slice){a->name, (size_t)(dot - a->name)});
    if (!section)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    const char *cls = section, *trait = dot + 1, *of = NULL;
    if (class_rename(&cls, &trait))
        options_warn(o, "--%s is now called --%s.%s", a->name, cls, trait);
    if (!take_value(w, a))
        return needs_value(a, err);
    if (!class_is_known(cls))
        return set_foreign(o, a, cls, trait, err);
    unsigned ours = options_program(o), to = 0;
    bool is_ours = false;
    for (size_t i = 0, n = options_n_defs(); i < n; i++) {
        const struct option_def *d = options_def(i);
        int distance, rc = 0;
        if (strcmp(d->trait, trait) != 0 || !class_distance(cls, d->cls, &distance))
            continue;
        of = d->cls;
        if ((d->programs & ours) && class_is_for(cls, options_program(o))) {
            is_ours = true;
            rc = put(o, i, a, a->value, err);
        } else if (d->programs & started_by(options_program(o))) {
            rc = check_for_others(a, i, err);
            to |= class_is_for(cls, PROG_CONTROLLER) ? d->programs & PROG_CONTROLLER : 0;
            to |= class_is_for(cls, PROG_ENGINE) ? d->programs & PROG_ENGINE : 0;
        }
        if (rc < 0)
            return rc;
    }
    if (!of)
        return unknown_trait(a, cls, trait, err);
    to &= started_by(options_program(o));
    if (is_ours)
        return 0;
    if (to)
        return hand_on(o, to, a, cls, trait, err);
    options_warn(o, "--%s is for another program and has no effect here", a->name);
    return 0;
}

static bool has_alias(const struct option_def *d, const char *name)
{
    const char *word = NULL;
    size_t len = 0;
    while (next_word(d->alias, &word, &len))
        if (strlen(name) == len && memcmp(word, name, len) == 0)
            return true;
    return false;
}

/* What the flag sets: borrowed from the row. */
static bool has_flag(const struct option_def *d, const char *name, struct slice *ret)
{
    const char *word = NULL;
    size_t len = 0, n = strlen(name);
    while (next_word(d->flags, &word, &len))
        if (len > n && memcmp(word, name, n) == 0 && word[n] == '=') {
            *ret = (struct slice){word + n + 1, len - n - 1};
            return true;
        }
    return false;
}

static int set_flag(struct options *o, const struct argument *a, bool *ret_found,
                    struct ersa_error *err)
{
    size_t n = options_n_defs();
    for (size_t i = 0; i < n; i++) {
        const struct option_def *d = options_def(i);
        struct slice sets;
        if (!(d->programs & options_program(o)) || !has_flag(d, a->name, &sets))
            continue;
        *ret_found = true;
        CLEANUP(free_ptr) char *text = str_dup_slice(sets);
        int rc = text ? put(o, i, a, text, err) : err_set(err, ERSA_ENOMEM, "out of memory");
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int set_alias(struct options *o, struct words *w, struct argument *a, bool *ret_found,
                     struct ersa_error *err)
{
    size_t n = options_n_defs();
    for (size_t i = 0; i < n; i++) {
        const struct option_def *d = options_def(i);
        if (!(d->programs & options_program(o)) || !has_alias(d, a->name))
            continue;
        *ret_found = true;
        return take_value(w, a) ? put(o, i, a, a->value, err) : needs_value(a, err);
    }
    return 0;
}

/* Aliases and flags are short names of one program: those of one that is started want their
 * long name, or a place behind "--". */
static const struct option_def *find_switch(unsigned programs, const char *name)
{
    struct slice sets;
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        if ((d->programs & programs) && (has_alias(d, name) || has_flag(d, name, &sets)))
            return d;
    }
    return NULL;
}

static int unknown(const struct options *o, const struct argument *a, struct ersa_error *err)
{
    unsigned started = started_by(options_program(o));
    const struct option_def *others = find_switch(started, a->name);
    const char *dashes = a->word[1] == '-' ? "--" : "-";
    if (others && others->programs & started & PROG_CONTROLLER)
        return err_set(err, ERSA_ENOENT,
                       "unknown option %s%s; the controller has it: put it behind --", dashes,
                       a->name);
    if (others)
        return err_set(err, ERSA_ENOENT, "unknown option %s%s; did you mean --%s.%s?", dashes,
                       a->name, others->cls, others->trait);
    const char *near = nearest_switch(options_program(o), a->name);
    return near ? err_set(err, ERSA_ENOENT, "unknown option %s%s; did you mean --%s?", dashes,
                          a->name, near)
                : err_set(err, ERSA_ENOENT, "unknown option %s%s", dashes, a->name);
}

static int take_apart(const char *word, struct argument *ret, struct ersa_error *err)
{
    *ret = (struct argument){.word = word};
    const char *name = word + (word[1] == '-' ? 2 : 1);
    size_t len = strcspn(name, "=");
    if (len >= sizeof(ret->name))
        return err_set(err, ERSA_ENOENT, "unknown option %.60s...", word);
    memcpy(ret->name, name, len);
    if (name[len] == '=')
        ret->value = name + len + 1;
    /* -n4 */
    if (word[1] != '-' && len > 1 && isalpha((unsigned char)name[0]) &&
        !isalpha((unsigned char)name[1])) {
        ret->name[1] = 0;
        ret->value = name + 1;
    }
    return 0;
}

static int take_option(struct options *o, struct words *w, struct ersa_error *err)
{
    struct argument a;
    int rc = take_apart(w->argv[w->at++], &a, err);
    if (rc < 0)
        return rc;
    const char *dot = strchr(a.name, '.');
    if (dot)
        return set_trait(o, w, &a, dot, err);
    bool found = false;
    rc = a.value ? 0 : set_flag(o, &a, &found, err);
    if (rc == 0 && !found)
        rc = set_alias(o, w, &a, &found, err);
    if (rc < 0 || found)
        return rc;
    struct slice sets;
    for (size_t i = 0; a.value && i < options_n_defs(); i++)
        if ((options_def(i)->programs & options_program(o)) &&
            has_flag(options_def(i), a.name, &sets))
            return err_set(err, ERSA_ENOENT, "--%s takes no value", a.name);
    return unknown(o, &a, err);
}

/* Ids of clusters, or arguments for the controller; for all others a slip. */
static int take_word(struct options *o, const char *word, bool rest, struct ersa_error *err)
{
    enum program takes = rest ? PROG_CLUSTER_START : PROG_CLUSTER_STOP;
    if (options_program(o) == takes) {
        options_add_word(o, word, rest);
        return 0;
    }
    const char *near = nearest_switch(options_program(o), word);
    return near ? err_set(err, ERSA_ENOENT, "unexpected word '%.60s'; did you mean --%s?", word,
                          near)
                : err_set(err, ERSA_ENOENT, "unexpected word '%.60s'", word);
}

int options_parse_argv(struct options *o, int argc, char *const *argv, struct ersa_error *err)
{
    struct words w = {argc, 1, argv};
    bool rest = false;
    int rc = 0;
    while (rc == 0 && w.at < argc) {
        const char *word = argv[w.at];
        if (!rest && strcmp(word, "--") == 0) {
            rest = true;
            w.at++;
        } else if (!rest && word[0] == '-' && word[1]) {
            rc = take_option(o, &w, err);
        } else {
            rc = take_word(o, word, rest, err);
            w.at++;
        }
    }
    return rc;
}
