/* SPDX-License-Identifier: BSD-3-Clause */
/* Text to the value of an option, by its type. Every rule of what may be given is here, and,
 * for what has several items, in options_items.c, so that a value that is set is one that is
 * right. */
#include "config/options_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

bool next_word(const char *list, const char **pos, size_t *len)
{
    const char *at = *pos ? *pos + *len : list;
    if (!at)
        return false;
    at += strspn(at, " ");
    *pos = at;
    *len = strcspn(at, " ");
    return *len > 0;
}

void value_fini(struct value *v)
{
    free(v->where);
    free(v->text);
    list_fini(&v->list);
    free(v->ports.numbers);
    json_decref(v->dict);
    *v = (struct value){0};
}

void value_allowed(const struct option_def *d, char *out, size_t cap)
{
    static const char *const texts[] = {
        [OPT_BOOL] = "true or false",
        [OPT_INT] = "a whole number",
        [OPT_COUNT] = "auto, or a whole number",
        [OPT_BYTES] = "a number of octets such as 65536, 64K, 1G",
        [OPT_MS] = "milliseconds such as 200, or 200ms, 3s",
        [OPT_FLOAT] = "a number",
        [OPT_SECONDS] = "seconds such as 5, or 0.5, 200ms, 5s",
        [OPT_TEXT] = "text",
        [OPT_SECRET] = "text",
        [OPT_LEVEL] = "a number from 0 to 50, or DEBUG, INFO, WARN, ERROR, CRITICAL",
        [OPT_LIST] = "a list of texts",
        [OPT_PORTS] = "ports from 1 to 65535, each once, such as 10101-10105,10108",
        [OPT_DICT] = "key=value",
    };
    if (d->type == OPT_ENUM || d->type == OPT_SET) {
        snprintf(out, cap, "%s %s", d->type == OPT_ENUM ? "one of:" : "some of:", d->choices);
        return;
    }
    if ((d->min != 0 || d->max != 0) && d->type != OPT_LEVEL)
        snprintf(out, cap, "%s, from %.15g to %.15g", texts[d->type], d->min, d->max);
    else
        snprintf(out, cap, "%s", texts[d->type]);
}

int value_refuse(const struct option_def *d, const char *text, struct ersa_error *err)
{
    char allowed[160];
    value_allowed(d, allowed, sizeof(allowed));
    if (d->type == OPT_SECRET)
        text = "***";
    return err_set(err, ERSA_EINVAL, "%s.%s: '%.60s' is not allowed; %s", d->cls, d->trait,
                   text, allowed);
}

static bool is_in_range(const struct option_def *d, double x)
{
    if (!isfinite(x))
        return false;
    return (d->min == 0 && d->max == 0) || (x >= d->min && x <= d->max);
}

struct unit {
    const char *suffix;
    double factor;
};
static const struct unit byte_units[] = {
    {"K", 1024.0}, {"M", 1048576.0}, {"G", 1073741824.0}, {"T", 1099511627776.0}, {"", 1}, {0}};
static const struct unit ms_units[] = {{"ms", 1}, {"s", 1000}, {"", 1}, {0}};
static const struct unit second_units[] = {{"ms", 0.001}, {"s", 1}, {"", 1}, {0}};
static const struct unit no_units[] = {{"", 1}, {0}};

/* A number with one of the units behind it (any case). */
static int parse_number(const char *text, const struct unit *units, double *ret)
{
    size_t len = strlen(text);
    for (const struct unit *u = units; u->suffix; u++) {
        size_t n = strlen(u->suffix);
        if (len <= n || strcasecmp(text + len - n, u->suffix) != 0)
            continue;
        CLEANUP(free_ptr) char *digits = str_dup_slice((struct slice){text, len - n});
        double x;
        if (!digits || str_to_double(digits, &x) < 0)
            return ERSA_EPARSE;
        *ret = x * u->factor;
        return 0;
    }
    return ERSA_EPARSE;
}

static const struct unit *units_of(enum option_type type)
{
    switch (type) {
    case OPT_BYTES:
        return byte_units;
    case OPT_MS:
        return ms_units;
    case OPT_SECONDS:
        return second_units;
    default:
        return no_units;
    }
}

static bool is_whole(enum option_type type)
{
    return type == OPT_INT || type == OPT_COUNT || type == OPT_BYTES || type == OPT_MS;
}

#define WHOLE_MAX 9007199254740992.0 /* beyond, a double has gaps */

static int set_number(struct value *v, const struct option_def *d, double x, const char *text,
                      struct ersa_error *err)
{
    if (!is_in_range(d, x) || (is_whole(d->type) && (fabs(x) > WHOLE_MAX || x != floor(x))) ||
        ((d->type == OPT_BYTES) && x < 0))
        return value_refuse(d, text, err);
    v->d = x;
    v->i = is_whole(d->type) ? (long long)x : 0;
    return 0;
}

static const struct {
    const char *name;
    int level;
} levels[] = {{"DEBUG", 10}, {"INFO", 20},     {"WARN", 30}, {"WARNING", 30},
              {"ERROR", 40}, {"CRITICAL", 50}, {"NOTSET", 0}};

static int set_level(struct value *v, const struct option_def *d, const char *text,
                     struct ersa_error *err)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcasecmp(levels[i].name, text) == 0) {
            v->i = levels[i].level;
            return 0;
        }
    long long n;
    if (str_to_i64(text, &n) < 0 || n < 0 || n > 50)
        return value_refuse(d, text, err);
    v->i = n;
    return 0;
}

static int set_bool(struct value *v, const struct option_def *d, const char *text,
                    struct ersa_error *err)
{
    bool yes = strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!yes && strcasecmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return value_refuse(d, text, err);
    v->i = yes;
    return 0;
}

static int set_text(struct value *v, const char *text, size_t len)
{
    char *copy = str_dup_slice((struct slice){text, len});
    if (!copy)
        return ERSA_ENOMEM;
    free(v->text);
    v->text = copy;
    return 0;
}

bool value_choice(const struct option_def *d, const char *text, size_t len, struct slice *ret)
{
    if (d->type == OPT_ENUM)
        for (size_t i = len; i-- > 0;)
            if (text[i] == '.' || text[i] == ':') {
                text += i + 1;
                len -= i + 1;
                break;
            }
    const char *word = NULL;
    size_t n = 0;
    while (next_word(d->choices, &word, &n))
        if (n == len && strncasecmp(word, text, n) == 0) {
            *ret = (struct slice){word, n};
            return true;
        }
    return false;
}

static int set_enum(struct value *v, const struct option_def *d, const char *text,
                    struct ersa_error *err)
{
    struct slice choice;
    if (!value_choice(d, text, strlen(text), &choice))
        return value_refuse(d, text, err);
    return set_text(v, choice.data, choice.len);
}

static int set_count(struct value *v, const struct option_def *d, const char *text,
                     struct ersa_error *err)
{
    double x;
    if (strcasecmp(text, "auto") == 0) {
        v->i = OPTION_AUTO;
        v->d = OPTION_AUTO;
        return 0;
    }
    if (parse_number(text, no_units, &x) < 0 || x < 0)
        return value_refuse(d, text, err);
    return set_number(v, d, x, text, err);
}

int value_parse_scalar(struct value *v, const struct option_def *d, const char *text,
                       struct ersa_error *err)
{
    double x;
    switch (d->type) {
    case OPT_BOOL:
        return set_bool(v, d, text, err);
    case OPT_COUNT:
        return set_count(v, d, text, err);
    case OPT_LEVEL:
        return set_level(v, d, text, err);
    case OPT_ENUM:
        return set_enum(v, d, text, err);
    case OPT_TEXT:
    case OPT_SECRET:
        return set_text(v, text, strlen(text));
    default:
        if (parse_number(text, units_of(d->type), &x) < 0)
            return value_refuse(d, text, err);
        return set_number(v, d, x, text, err);
    }
}

/* `fresh` becomes the value; who set it stays with the caller. */
void value_replace(struct value *v, struct value *fresh)
{
    value_fini(v);
    *v = *fresh;
    *fresh = (struct value){0};
}

int value_fresh(struct value *fresh, const struct option_def *d)
{
    *fresh = (struct value){.is_set = true};
    if (d->type != OPT_DICT)
        return 0;
    fresh->dict = json_object();
    return fresh->dict ? 0 : ERSA_ENOMEM;
}

bool value_may_be_none(const struct option_def *d)
{
    return !d->preset;
}

int value_from_text(struct value *v, const struct option_def *d, const char *text, bool append,
                    struct ersa_error *err)
{
    if (d->type != OPT_TEXT && d->type != OPT_SECRET && value_may_be_none(d) &&
        strcmp(text, "None") == 0) {
        value_fini(v);
        return 0;
    }
    CLEANUP(value_fini) struct value fresh;
    int rc = value_fresh(&fresh, d);
    if (rc == 0 && !type_is_container(d->type))
        rc = value_parse_scalar(&fresh, d, text, err);
    else if (rc == 0) {
        json_t *whole = value_literal(d, text);
        if (whole) {
            rc = value_from_json(&fresh, d, whole, err);
            json_decref(whole);
        } else {
            rc = append ? value_copy_items(&fresh, v) : 0;
            if (rc == 0)
                rc = value_add_item(&fresh, d, text, err);
        }
    }
    if (rc == ERSA_ENOMEM)
        return err_set(err, rc, "out of memory");
    if (rc == 0)
        value_replace(v, &fresh);
    return rc;
}
