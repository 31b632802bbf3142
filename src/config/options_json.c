/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON to the value of an option and back: config files and --show-config. Scalars go through
 * the rules for text. */
#include "config/options_table.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"
#include "wire/json.h"

/* A scalar as the text that means it; owned. NULL: not a scalar, or out of memory. */
static char *scalar_text(const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_STRING:
        return str_dup(json_string_value(j));
    case JSON_INTEGER:
        return str_printf("%lld", (long long)json_integer_value(j));
    case JSON_REAL:
        return str_printf("%.17g", json_real_value(j));
    case JSON_TRUE:
        return str_dup("true");
    case JSON_FALSE:
        return str_dup("false");
    default:
        return NULL;
    }
}

static int refuse_json(const struct option_def *d, const json_t *j, struct ersa_error *err)
{
    CLEANUP(free_ptr) char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_COMPACT);
    return value_refuse(d, text ? text : "?", err);
}

static bool kind_fits(const struct option_def *d, const json_t *j)
{
    switch (d->type) {
    case OPT_BOOL:
        return json_is_boolean(j) || json_is_integer(j);
    case OPT_TEXT:
    case OPT_SECRET:
    case OPT_ENUM:
        return json_is_string(j);
    default:
        return json_is_number(j) || json_is_string(j);
    }
}

static int fill_from_json(struct value *fresh, const struct option_def *d, const json_t *j,
                          struct ersa_error *err)
{
    if (!type_is_container(d->type)) {
        if (!kind_fits(d, j))
            return refuse_json(d, j, err);
        CLEANUP(free_ptr) char *text = scalar_text(j);
        return text ? value_parse_scalar(fresh, d, text, err) : ERSA_ENOMEM;
    }
    if (d->type == OPT_DICT)
        return json_is_object(j)
                   ? json_object_update(fresh->dict, (json_t *)j) < 0 ? ERSA_ENOMEM : 0
                   : refuse_json(d, j, err);
    if (!json_is_array(j)) { /* one item */
        CLEANUP(free_ptr) char *text = scalar_text(j);
        return text ? value_add_item(fresh, d, text, err) : refuse_json(d, j, err);
    }
    size_t i;
    const json_t *item;
    json_array_foreach(j, i, item)
    {
        CLEANUP(free_ptr) char *text = scalar_text(item);
        int rc = text ? value_add_item(fresh, d, text, err) : refuse_json(d, j, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int value_from_json(struct value *v, const struct option_def *d, const json_t *json,
                    struct ersa_error *err)
{
    if (json_is_null(json)) {
        if (!value_may_be_none(d))
            return value_refuse(d, "None", err);
        value_fini(v);
        return 0;
    }
    CLEANUP(value_fini) struct value fresh;
    int rc = value_fresh(&fresh, d);
    if (rc == 0)
        rc = fill_from_json(&fresh, d, json, err);
    if (rc == ERSA_ENOMEM)
        return err_set(err, rc, "out of memory");
    if (rc == 0)
        value_replace(v, &fresh);
    return rc;
}

/* A command line is octets, which need not be UTF-8. */
static json_t *text_json(const char *text)
{
    return json_lossy((struct slice){text, strlen(text)});
}

static json_t *list_json(const struct value *v, enum option_type type)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->list.n; i++)
        json_array_append_new(list, text_json(v->list.items[i]));
    for (size_t i = 0; type == OPT_PORTS && i < v->ports.n; i++)
        json_array_append_new(list, json_integer(v->ports.numbers[i]));
    return list;
}

json_t *value_to_json(const struct value *v, const struct option_def *d)
{
    if (!v->is_set)
        return json_null();
    switch (d->type) {
    case OPT_BOOL:
        return json_boolean(v->i);
    case OPT_COUNT:
        return v->i == OPTION_AUTO ? json_string("auto") : json_integer(v->i);
    case OPT_INT:
    case OPT_BYTES:
    case OPT_MS:
    case OPT_LEVEL:
        return json_integer(v->i);
    case OPT_FLOAT:
    case OPT_SECONDS:
        return json_real(v->d);
    case OPT_SECRET:
        return json_string("***");
    case OPT_TEXT:
    case OPT_ENUM:
        return text_json(v->text);
    case OPT_DICT:
        return json_copy(v->dict);
    case OPT_LIST:
    case OPT_SET:
    case OPT_PORTS:
        return list_json(v, d->type);
    }
    return json_null();
}
