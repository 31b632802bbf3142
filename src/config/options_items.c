/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of options that have several items: lists, sets of choices, pools of ports, dicts.
 * Each item is checked as it is added; text may also be all of them as one literal. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/options_table.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

#define PORTS_MAX 65536

bool type_is_container(enum option_type type)
{
    return type == OPT_LIST || type == OPT_SET || type == OPT_PORTS || type == OPT_DICT;
}

int list_add(struct option_list *l, const char *text, size_t len)
{
    char **grown = reallocarray(l->items, l->n + 1, sizeof(*grown));
    if (!grown)
        return ERSA_ENOMEM;
    l->items = grown;
    char *copy = str_dup_slice((struct slice){text, len});
    if (!copy)
        return ERSA_ENOMEM;
    l->items[l->n++] = copy;
    return 0;
}

void list_fini(struct option_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct option_list){0};
}

static int add_set(struct value *v, const struct option_def *d, const char *text,
                   struct ersa_error *err)
{
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, ", ");
        struct slice choice;
        if (len && !value_choice(d, at, len, &choice))
            return value_refuse(d, at, err);
        if (len && list_add(&v->list, choice.data, choice.len) < 0)
            return ERSA_ENOMEM;
        at += len;
        at += strspn(at, ", ");
    }
    return 0;
}

static int add_ports(struct value *v, const struct option_def *d, const char *text,
                     struct ersa_error *err)
{
    for (const char *at = text; *at;) {
        char *end;
        long first = strtol(at, &end, 10), last = first;
        if (end == at || first < 1 || first > 65535)
            return value_refuse(d, text, err);
        if (*end == '-') {
            at = end + 1;
            last = strtol(at, &end, 10);
            if (end == at || last < first || last > 65535)
                return value_refuse(d, text, err);
        }
        end += strspn(end, " ");
        if (*end && *end != ',')
            return value_refuse(d, text, err);
        at = end + (*end == ',');
        at += strspn(at, " ");
        size_t more = (size_t)(last - first + 1);
        if (v->ports.n + more > PORTS_MAX)
            return value_refuse(d, text, err);
        int *grown = reallocarray(v->ports.numbers, v->ports.n + more, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        v->ports.numbers = grown;
        for (long port = first; port <= last; port++)
            grown[v->ports.n++] = (int)port;
    }
    uint8_t seen[PORTS_MAX / 8] = {0};
    for (size_t i = 0; i < v->ports.n; i++) {
        unsigned port = (unsigned)v->ports.numbers[i];
        if (seen[port / 8] & (1u << port % 8))
            return err_set(err, ERSA_EINVAL, "%s.%s: port %u is there twice", d->cls, d->trait,
                           port);
        seen[port / 8] |= (uint8_t)(1u << port % 8);
    }
    return 0;
}

static int add_pair(struct value *v, const struct option_def *d, const char *text,
                    struct ersa_error *err)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return value_refuse(d, text, err);
    CLEANUP(free_ptr) char *key = str_dup_slice((struct slice){text, (size_t)(eq - text)});
    json_t *item = json_string(eq + 1);
    if (!key || !item || json_object_set_new(v->dict, key, item) < 0)
        return key ? value_refuse(d, text, err) : ERSA_ENOMEM; /* what is no UTF-8, too */
    return 0;
}

json_t *value_literal(const struct option_def *d, const char *text)
{
    bool fits =
        (d->type == OPT_DICT && text[0] == '{') || (d->type != OPT_DICT && text[0] == '[');
    if (!fits)
        return NULL;
    CLEANUP(free_ptr) char *json = str_dup(text);
    if (!json)
        return NULL;
    json_t *parsed = json_loads(json, 0, NULL);
    if (!parsed) {
        for (char *c = json; *c; c++)
            if (*c == '\'')
                *c = '"';
        parsed = json_loads(json, 0, NULL);
    }
    return parsed;
}

int value_add_item(struct value *v, const struct option_def *d, const char *text,
                   struct ersa_error *err)
{
    switch (d->type) {
    case OPT_SET:
        return add_set(v, d, text, err);
    case OPT_PORTS:
        return add_ports(v, d, text, err);
    case OPT_DICT:
        return add_pair(v, d, text, err);
    default:
        return list_add(&v->list, text, strlen(text));
    }
}

int value_copy_items(struct value *to, const struct value *from)
{
    for (size_t i = 0; i < from->list.n; i++)
        if (list_add(&to->list, from->list.items[i], strlen(from->list.items[i])) < 0)
            return ERSA_ENOMEM;
    if (from->ports.n) {
        to->ports.numbers = reallocarray(NULL, from->ports.n, sizeof(int));
        if (!to->ports.numbers)
            return ERSA_ENOMEM;
        memcpy(to->ports.numbers, from->ports.numbers, from->ports.n * sizeof(int));
        to->ports.n = from->ports.n;
    }
    if (from->dict && json_object_update(to->dict, from->dict) < 0)
        return ERSA_ENOMEM;
    return 0;
}
