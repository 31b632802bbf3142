/* SPDX-License-Identifier: BSD-3-Clause */
/* Every member is checked to its last element here, so that whoever uses them has nothing left
 * to refuse. */
#include "router/task_meta.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "ersa/error.h"

#define TIMEOUT_MAX_S 1e9
#define NUMBER_MAX 64

static bool is_empty_array(const struct jfield *f)
{
    size_t pos = 0;
    struct jfield item;
    return f->type == J_ARRAY && !jscan_next(f, &pos, &item);
}

static bool holds_only_ids(const struct jfield *array)
{
    size_t pos = 0;
    struct jfield item;
    char buf[DEP_ID_MAX];
    struct slice id;
    while (jscan_next(array, &pos, &item))
        if (jscan_string(&item, buf, sizeof(buf), &id) < 0)
            return false;
    return true;
}

static bool read_targets(const struct jfield *f, struct task_meta *ret)
{
    if (f->type == J_ABSENT || f->type == J_NULL || is_empty_array(f))
        return true;
    if (f->type != J_ARRAY || !holds_only_ids(f))
        return false;
    ret->targets = *f;
    return true;
}

static bool read_ids(const struct jfield *f, struct dep_meta *ret)
{
    char buf[DEP_ID_MAX];
    struct slice id;
    if (f->type == J_ABSENT || is_empty_array(f))
        return true;
    if (f->type == J_STRING ? jscan_string(f, buf, sizeof(buf), &id) < 0
                            : f->type != J_ARRAY || !holds_only_ids(f))
        return false;
    ret->ids = *f;
    return true;
}

/* Python's: whatever is there counts as true or false; here what anybody would write. */
static bool read_flag(const struct jfield *f, bool *ret)
{
    double n = 0;
    if (f->type == J_ABSENT || jscan_bool(f, ret) == 0)
        return true;
    if (f->type != J_NULL && jscan_number(f, &n) < 0)
        return false;
    *ret = n != 0;
    return true;
}

/* Python takes it for nothing. */
static bool is_false(const struct jfield *f)
{
    bool value = false;
    return (f->type == J_STRING && f->raw.len == 0) ||
           (f->type != J_ABSENT && read_flag(f, &value) && !value);
}

static bool read_dependency(const struct jfield *f, struct dep_meta *ret)
{
    *ret = (struct dep_meta){.all = true, .success = true};
    if (f->type != J_OBJECT)
        return read_ids(f, ret);
    struct jfield m[] = {
        {.key = "dependencies"}, {.key = "all"}, {.key = "success"}, {.key = "failure"}};
    return jscan(f->raw, m, 4) == 0 && read_ids(&m[0], ret) && read_flag(&m[1], &ret->all) &&
           read_flag(&m[2], &ret->success) && read_flag(&m[3], &ret->failure) &&
           (ret->success || ret->failure);
}

/* A number, a string that holds one, or (it is an int to Python) true or false. */
static bool read_number(const struct jfield *f, double *ret)
{
    bool value;
    if (jscan_bool(f, &value) == 0) {
        *ret = value;
        return true;
    }
    if (f->type != J_STRING)
        return jscan_number(f, ret) == 0 && !isnan(*ret);
    char buf[NUMBER_MAX];
    struct slice text;
    if (jscan_string(f, buf, sizeof(buf), &text) < 0 || text.len >= sizeof(buf))
        return false;
    memmove(buf, text.data, text.len);
    buf[text.len] = '\0';
    return str_to_double(buf, ret) == 0 && !isnan(*ret);
}

static bool read_timeout(const struct jfield *f, int64_t *ret_ns)
{
    double seconds = 0;
    if (f->type == J_ABSENT || f->type == J_NULL || (f->type == J_STRING && f->raw.len == 0))
        return true;
    if (!read_number(f, &seconds))
        return false;
    if (seconds == 0 || seconds > TIMEOUT_MAX_S)
        return true;
    *ret_ns = seconds < 1e-9 ? 1 : (int64_t)(seconds * 1e9);
    return true;
}

static bool read_retries(const struct jfield *f, unsigned *ret)
{
    double n = 0;
    if (f->type != J_ABSENT && f->type != J_NULL && !read_number(f, &n))
        return false;
    *ret = n < 1 ? 0 : n >= UINT_MAX ? UINT_MAX : (unsigned)n;
    return true;
}

int task_meta_read(struct slice metadata, struct task_meta *ret, const char **ret_complaint)
{
    enum { TARGETS, RETRIES, AFTER, FOLLOW, TIMEOUT, N };
    struct jfield f[N] = {[TARGETS] = {.key = "targets"},
                          [RETRIES] = {.key = "retries"},
                          [AFTER] = {.key = "after"},
                          [FOLLOW] = {.key = "follow"},
                          [TIMEOUT] = {.key = "timeout"}};
    *ret = (struct task_meta){0};
    if (jscan(metadata, f, N) < 0)
        return ERSA_EPARSE;
    if (is_false(&f[AFTER]))
        f[AFTER].type = J_ABSENT;
    const char *bad = NULL;
    if (!read_targets(&f[TARGETS], ret))
        bad = "targets must be a list of engine uuids";
    else if (!read_retries(&f[RETRIES], &ret->retries))
        bad = "retries must be a number";
    else if (!read_dependency(&f[AFTER], &ret->after))
        bad = "after must be message ids, of which success or failure counts";
    else if (!read_dependency(&f[FOLLOW], &ret->follow))
        bad = "follow must be message ids, of which success or failure counts";
    else if (!read_timeout(&f[TIMEOUT], &ret->timeout_ns))
        bad = "timeout must be a number of seconds";
    if (bad) {
        *ret_complaint = bad;
        return ERSA_EINVAL;
    }
    ret->is_plain = ret->targets.type == J_ABSENT && ret->after.ids.type == J_ABSENT &&
                    ret->follow.ids.type == J_ABSENT && ret->timeout_ns == 0;
    return 0;
}

bool dep_meta_next(const struct dep_meta *d, size_t *pos, char buf[DEP_ID_MAX],
                   struct slice *ret)
{
    struct jfield item;
    if (d->ids.type == J_STRING)
        return (*pos)++ == 0 && jscan_string(&d->ids, buf, DEP_ID_MAX, ret) == 0;
    return d->ids.type == J_ARRAY && jscan_next(&d->ids, pos, &item) &&
           jscan_string(&item, buf, DEP_ID_MAX, ret) == 0;
}
