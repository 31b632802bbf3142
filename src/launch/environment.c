/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment of a launched process; see environment.h. */
#include "launch/environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/str.h"

struct env {
    char **items;
    size_t n, cap;
    bool failed;
};

static bool is_named(const char *item, const char *name, size_t len)
{
    return strncmp(item, name, len) == 0 && item[len] == '=';
}

/* Takes `item`; one of the same name is replaced. */
static void put(struct env *e, char *item)
{
    if (!item || e->n + 1 >= e->cap) {
        e->failed = true;
        free(item);
        return;
    }
    size_t len = strcspn(item, "=");
    size_t i = 0;
    while (i < e->n && !is_named(e->items[i], item, len))
        i++;
    if (i == e->n)
        e->n++;
    else
        free(e->items[i]);
    e->items[i] = item;
}

static char *item_of(const char *name, const json_t *value)
{
    if (json_is_string(value))
        return str_printf("%s=%s", name, json_string_value(value));
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    char *item = text ? str_printf("%s=%s", name, text) : NULL;
    free(text);
    return item;
}

char **environment_make(const char *profile_dir, const char *cluster_id, const json_t *more)
{
    size_t n = 0;
    while (environ && environ[n])
        n++;
    struct env e = {.cap = n + json_object_size(more) + 3};
    e.items = calloc(e.cap, sizeof(*e.items));
    if (!e.items)
        return NULL;
    for (size_t i = 0; i < n && !e.failed; i++)
        if (!is_named(environ[i], "IPP_CONNECTION_INFO", strlen("IPP_CONNECTION_INFO"))) {
            e.items[e.n] = str_dup(environ[i]);
            e.failed = !e.items[e.n++];
        }
    put(&e, str_printf("IPP_PROFILE_DIR=%s", profile_dir));
    put(&e, str_printf("IPP_CLUSTER_ID=%s", cluster_id));
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)more, name, value) put(&e, item_of(name, value));
    if (!e.failed)
        return e.items;
    environment_free(e.items);
    return NULL;
}

void environment_free(char **env)
{
    for (char **p = env; p && *p; p++)
        free(*p);
    free(env);
}
