/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of a running program: one value a row, who set it, and the getters. */
#include "config/options_table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/rand.h"
#include "util/str.h"
#include "wire/caps.h"

struct options {
    enum program program;
    size_t n;
    struct value *values; /* by index of the row; rows of other programs stay empty */
    struct option_list words, rest, warnings, files;
    struct option_list to_controller, to_engine;
    json_t *foreign;
    json_t *nothing; /* an empty object */
};

static int set_presets(struct options *o, struct ersa_error *err)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct option_def *d = options_def(i);
        if (!(d->programs & o->program) || !d->preset)
            continue;
        int rc = value_from_text(&o->values[i], d, d->preset, false, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int set_from_env(struct options *o, struct ersa_error *err)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct option_def *d = options_def(i);
        const char *text = d->programs & o->program && d->env ? getenv(d->env) : NULL;
        if (!text || !*text)
            continue;
        CLEANUP(free_ptr) char *where = str_printf("$%s", d->env);
        if (!where)
            return err_set(err, ERSA_ENOMEM, "out of memory");
        int rc = options_put(o, i, text, FROM_ENV, where, false, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int options_new(struct options **ret, enum program program, struct ersa_error *err)
{
    struct options *o = calloc(1, sizeof(*o));
    if (!o)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    o->program = program;
    o->n = options_n_defs();
    o->values = calloc(o->n, sizeof(*o->values));
    o->foreign = json_object();
    o->nothing = json_object();
    int rc = o->values && o->foreign && o->nothing ? set_presets(o, err)
                                                   : err_set(err, ERSA_ENOMEM, "out of memory");
    if (rc == 0)
        rc = set_from_env(o, err);
    if (rc < 0) {
        options_free(o);
        return rc;
    }
    *ret = o;
    return 0;
}

void options_free(struct options *o)
{
    if (!o)
        return;
    for (size_t i = 0; o->values && i < o->n; i++)
        value_fini(&o->values[i]);
    free(o->values);
    list_fini(&o->words);
    list_fini(&o->rest);
    list_fini(&o->warnings);
    list_fini(&o->files);
    list_fini(&o->to_controller);
    list_fini(&o->to_engine);
    json_decref(o->foreign);
    json_decref(o->nothing);
    free(o);
}

int options_exit_code(int rc)
{
    return rc == ERSA_ENOENT ? 2 : 1;
}

/* Setting */

static void set_by(struct value *v, enum option_origin origin, int depth, const char *where)
{
    free(v->where);
    v->where = str_dup(where);
    v->origin = origin;
    v->depth = depth;
}

static void warn_inert(struct options *o, const struct option_def *d, const char *where)
{
    if (d->inert)
        options_warn(o, "%s: %s.%s has no effect here. %s", where, d->cls, d->trait, d->help);
}

int options_put(struct options *o, size_t index, const char *text, enum option_origin origin,
                const char *where, bool append, struct ersa_error *err)
{
    const struct option_def *d = options_def(index);
    struct value *v = &o->values[index];
    char key[RAND_SESSION_ID_LEN + 1];
    if (strcmp(text, "@random") == 0) {
        rand_session_id(key);
        text = key;
    }
    int rc = value_from_text(v, d, text, append && v->origin == origin, err);
    if (rc < 0)
        return rc == ERSA_ENOMEM ? rc : err_prefix(err, rc, "%s", where);
    set_by(v, origin, 0, where);
    warn_inert(o, d, where);
    return 0;
}

int options_put_foreign(struct options *o, const char *section, const char *trait,
                        json_t *value)
{
    json_t *traits = json_object_get(o->foreign, section);
    if (!traits) {
        traits = json_object();
        if (!traits || json_object_set_new(o->foreign, section, traits) < 0)
            return ERSA_ENOMEM;
    }
    return json_object_set(traits, trait, value) < 0 ? ERSA_ENOMEM : 0;
}

static int put_json(struct options *o, size_t index, json_t *value, int depth,
                    const char *where, struct ersa_error *err)
{
    const struct option_def *d = options_def(index);
    struct value *v = &o->values[index];
    bool stands = v->origin > FROM_FILE || (v->origin == FROM_FILE && v->depth > depth);
    struct value scratch = {0}; /* also what does not count must be right */
    int rc = value_from_json(stands ? &scratch : v, d, value, err);
    value_fini(&scratch);
    if (rc < 0)
        return rc == ERSA_ENOMEM ? rc : err_prefix(err, rc, "%s", where);
    if (!stands)
        set_by(v, FROM_FILE, depth, where);
    warn_inert(o, d, where);
    return 0;
}

#define DEPTH_FORMER (-100) /* a value under a former name stands below all others */

int options_set_json(struct options *o, const char *section, const char *trait, json_t *value,
                     const char *where, struct ersa_error *err)
{
    const char *cls = section, *name = trait;
    bool was_renamed = class_rename(&cls, &name);
    if (was_renamed)
        options_warn(o, "%s: %s.%s is now called %s.%s", where, section, trait, cls, name);
    if (!class_is_known(cls)) {
        const char *near = class_is_absent(cls) ? NULL : nearest_class(cls);
        if (class_is_absent(cls) && (o->program & (PROG_CLUSTER_START | PROG_CLUSTER_ENGINES)))
            options_warn(o, "%s: %s.%s has no effect in this version", where, cls, name);
        if (near)
            options_warn(o, "%s: nothing here is called %s; did you mean %s?", where, cls,
                         near);
        return options_put_foreign(o, cls, name, value);
    }
    bool is_known = false;
    for (size_t i = 0; i < o->n; i++) {
        const struct option_def *d = options_def(i);
        int distance;
        if (strcmp(d->trait, name) != 0 || !class_distance(cls, d->cls, &distance))
            continue;
        is_known = true;
        if (!(d->programs & o->program) || !class_is_for(cls, o->program))
            continue;
        int rc = put_json(o, i, value, was_renamed ? DEPTH_FORMER : distance, where, err);
        if (rc < 0)
            return rc;
    }
    if (is_known)
        return 0;
    const char *near = nearest_trait(cls, name);
    if (!near)
        near = nearest_row(name);
    return near ? err_set(err, ERSA_ENOENT, "%s: %s has no option %s; did you mean %s?", where,
                          cls, name, near)
                : err_set(err, ERSA_ENOENT, "%s: %s has no option %s", where, cls, name);
}

void options_add_word(struct options *o, const char *word, bool rest)
{
    list_add(rest ? &o->rest : &o->words, word, strlen(word));
}

void options_hand_on(struct options *o, enum program to, const char *word)
{
    list_add(to == PROG_ENGINE ? &o->to_engine : &o->to_controller, word, strlen(word));
}

void options_warn(struct options *o, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    list_add(&o->warnings, text, strlen(text));
}

void options_add_file(struct options *o, const char *path)
{
    list_add(&o->files, path, strlen(path));
}

/* Getters */

const struct value *options_value(const struct options *o, size_t index)
{
    return &o->values[index];
}

static const struct value *find(const struct options *o, const char *name)
{
    size_t len = strcspn(name, ".");
    for (size_t i = 0; name[len] && i < o->n; i++) {
        const struct option_def *d = options_def(i);
        if ((d->programs & o->program) && strncmp(d->cls, name, len) == 0 && !d->cls[len] &&
            strcmp(d->trait, name + len + 1) == 0)
            return &o->values[i];
    }
    log_critical("no option %s for this program", name);
    abort();
}

bool options_bool(const struct options *o, const char *name)
{
    return find(o, name)->i != 0;
}

long long options_int(const struct options *o, const char *name)
{
    return find(o, name)->i;
}

double options_float(const struct options *o, const char *name)
{
    return find(o, name)->d;
}

const char *options_text(const struct options *o, const char *name)
{
    const struct value *v = find(o, name);
    return v->text ? v->text : "";
}

const struct option_list *options_list(const struct options *o, const char *name)
{
    return &find(o, name)->list;
}

const struct option_ports *options_ports(const struct options *o, const char *name)
{
    return &find(o, name)->ports;
}

const json_t *options_dict(const struct options *o, const char *name)
{
    const struct value *v = find(o, name);
    return v->dict ? v->dict : o->nothing;
}

bool options_is_set(const struct options *o, const char *name)
{
    return find(o, name)->is_set;
}

enum option_origin options_origin(const struct options *o, const char *name)
{
    return find(o, name)->origin;
}

const char *options_where(const struct options *o, const char *name)
{
    const struct value *v = find(o, name);
    return v->where ? v->where : "default";
}

enum program options_program(const struct options *o)
{
    return o->program;
}

const struct option_list *options_words(const struct options *o)
{
    return &o->words;
}

const struct option_list *options_rest(const struct options *o)
{
    return &o->rest;
}

const struct option_list *options_handed_on(const struct options *o, enum program to)
{
    return to == PROG_ENGINE ? &o->to_engine : &o->to_controller;
}

const struct option_list *options_warnings(const struct options *o)
{
    return &o->warnings;
}

const struct option_list *options_files(const struct options *o)
{
    return &o->files;
}

const json_t *options_foreign(const struct options *o)
{
    return o->foreign;
}

/* Ersa.disable */

unsigned options_caps(const struct options *o)
{
    const struct option_list *off = options_list(o, "Ersa.disable");
    unsigned bits = CAPS_ALL;
    for (size_t i = 0; i < off->n; i++)
        bits &= ~caps_bit(off->items[i]);
    return bits;
}
