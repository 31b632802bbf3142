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

/* --Class.trait: every row that the class reaches. */
static int set_trait(struct options *o, struct words *w, struct argument *a, const char *dot,
                     struct ersa_error *err)
{
    CLEANUP(free_ptr)
    char *section = str_dup_slice((struct slice){a->name, (size_t)(dot - a->name)});
    if (!section)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    const char *cls = section, *trait = dot + 1;
    if (class_rename(&cls, &trait))
        options_warn(o, "--%s is now called --%s.%s", a->name, cls, trait);
    if (!take_value(w, a))
        return needs_value(a, err);
    if (!class_is_known(cls)) {
        const char *near = nearest_class(cls);
        if (near)
            options_warn(o, "%s: nothing here is called %s; did you mean %s?", a->word, cls,
                         near);
        json_t *text = json_string(a->value);
        int rc = text ? options_put_foreign(o, cls, trait, text) : ERSA_EINVAL;
        json_decref(text);
        return rc < 0 ? err_set(err, ERSA_EINVAL, "%s cannot be kept", a->word) : 0;
    }
    bool is_known = false;
    size_t n = options_n_defs();
    for (size_t i = 0; i < n; i++) {
        const struct option_def *d = options_def(i);
        int distance;
        if (strcmp(d->trait, trait) != 0 || !class_distance(cls, d->cls, &distance))
            continue;
        is_known = true;
        if (!(d->programs & options_program(o)) || !class_is_for(cls, options_program(o)))
            continue;
        int rc = put(o, i, a, a->value, err);
        if (rc < 0)
            return rc;
    }
    if (is_known)
        return 0;
    const char *near = nearest_trait(cls, trait);
    return near ? err_set(err, ERSA_ENOENT, "unknown option --%s; did you mean --%s.%s?",
                          a->name, cls, near)
                : err_set(err, ERSA_ENOENT, "unknown option --%s", a->name);
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

static int unknown(const struct options *o, const struct argument *a, struct ersa_error *err)
{
    const char *near = nearest_switch(options_program(o), a->name);
    const char *dashes = a->word[1] == '-' ? "--" : "-";
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

int options_parse_argv(struct options *o, int argc, char *const *argv, struct ersa_error *err)
{
    struct words w = {argc, 1, argv};
    while (w.at < argc) {
        const char *word = argv[w.at];
        if (strcmp(word, "--") == 0) {
            while (++w.at < argc)
                options_add_word(o, argv[w.at], true);
        } else if (word[0] == '-' && word[1]) {
            int rc = take_option(o, &w, err);
            if (rc < 0)
                return rc;
        } else {
            options_add_word(o, word, false);
            w.at++;
        }
    }
    return 0;
}
