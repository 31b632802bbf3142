/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts records into a store and asks it, for test_differential.py. From standard input comes
 * {"records": [...], "queries": [...]}, dates as ISO strings, buffers as lists of strings; out
 * goes a line a query, the ids found or the code of the error, and then the history and each
 * record as it is read. `probe memory | sqlite FILE | mongodb URI DATABASE`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/query.h"
#include "store/store.h"
#include "util/clock.h"
#include "wire/json.h"

#define BUFFERS_MAX 64

static int open_store(struct store **ret, int argc, char **argv, struct ersa_error *err)
{
    struct store_limits limits = {.records = 100000, .bytes = 1 << 30, .cull = 0.1};
    if (argc == 2 && strcmp(argv[1], "memory") == 0)
        return store_memory_open(ret, &limits, err);
    if (argc == 3 && strcmp(argv[1], "sqlite") == 0) {
        struct store_sqlite_config cfg = {.path = argv[2], .table = "ipython-tasks"};
        return store_sqlite_open(ret, &cfg, err);
    }
    if (argc == 4 && strcmp(argv[1], "mongodb") == 0) {
        struct store_mongo_config cfg = {.uri = argv[2], .database = argv[3]};
        return store_mongo_open(ret, &cfg, err);
    }
    fprintf(stderr, "usage: probe memory | sqlite FILE | mongodb URI DATABASE\n");
    exit(2);
}

static struct slice slice_of(const json_t *j)
{
    return (struct slice){json_string_value(j), json_string_length(j)};
}

/* To be freed. */
static struct slice text_of(const json_t *j)
{
    char *text = json_dumps(j, JSON_ENCODE_ANY);
    return (struct slice){text, strlen(text)};
}

static void set_member(struct store_record *r, enum store_field f, const json_t *j,
                       struct slice items[BUFFERS_MAX])
{
    unsigned n = 0;
    r->set |= STORE_FIELD(f);
    switch (store_fields[f].kind) {
    case 'd':
        if (clock_parse_iso(json_string_value(j), json_string_length(j), &r->v[f].date) < 0)
            abort();
        return;
    case 'b':
        for (; n < json_array_size(j) && n < BUFFERS_MAX; n++)
            items[n] = slice_of(json_array_get(j, n));
        r->v[f].binary = (struct store_binary){items, n};
        return;
    case 'j':
        r->v[f].text = text_of(j);
        return;
    default:
        r->v[f].text = slice_of(j);
    }
}

static void put_record(struct store *st, const json_t *from)
{
    struct store_record r = {.set = 0};
    struct slice items[2][BUFFERS_MAX];
    struct ersa_error err = {0};
    for (unsigned f = 0; f < F_MAX; f++) {
        const json_t *j = json_object_get(from, store_fields[f].name);
        if (j && !json_is_null(j))
            set_member(&r, f, j, items[f == F_buffers]);
    }
    if (st->ops->put(st, &r, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    for (unsigned f = 0; f < F_MAX; f++)
        if (r.set & STORE_FIELD(f) && store_fields[f].kind == 'j')
            free((char *)r.v[f].text.data);
}

static void add_id(void *ctx, struct slice id)
{
    json_array_append_new(ctx, json_stringn(id.data, id.len));
}

static int add_found(void *ctx, const struct store_record *r)
{
    add_id(ctx, r->v[F_msg_id].text);
    return 0;
}

static void print(json_t *j)
{
    json_dumpf(j, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(j);
}

static void ask(struct store *st, json_t *query)
{
    struct store_query *q = NULL;
    struct ersa_error err = {0};
    json_t *found = json_array();
    int rc = store_query_parse(&q, query, &err);
    if (rc == 0)
        rc = st->ops->find(st, q, STORE_FIELD(F_msg_id), add_found, found, &err);
    store_query_free(q);
    if (rc < 0) {
        json_decref(found);
        found = json_sprintf("%s: %s", ersa_strerror(rc), err.text);
    }
    print(found);
}

static json_t *value_of(const struct store_record *r, enum store_field f)
{
    char iso[CLOCK_ISO_MAX];
    json_t *list;
    if (store_is_null(r, f))
        return json_null();
    switch (store_fields[f].kind) {
    case 'd':
        clock_iso(r->v[f].date, iso);
        return json_string(iso);
    case 'b':
        list = json_array();
        for (unsigned i = 0; i < r->v[f].binary.n; i++)
            json_array_append_new(list, json_lossy(r->v[f].binary.items[i]));
        return list;
    case 'j':
        list = json_parse(r->v[f].text, NULL);
        return list ? list : json_null();
    default:
        return json_lossy(r->v[f].text);
    }
}

static void show(struct store *st, const json_t *from)
{
    struct store_record r;
    struct ersa_error err = {0};
    json_t *all = json_object();
    int rc = st->ops->get(st, slice_of(json_object_get(from, "msg_id")), STORE_ALL, &r, &err);
    for (unsigned f = 0; f < F_MAX && rc == 0; f++)
        json_object_set_new(all, store_fields[f].name, value_of(&r, f));
    if (rc < 0) {
        json_decref(all);
        all = json_sprintf("%s: %s", ersa_strerror(rc), err.text);
    }
    print(all);
}

int main(int argc, char **argv)
{
    struct store *st = NULL;
    struct ersa_error err = {0};
    json_error_t where;
    json_t *in = json_loadf(stdin, JSON_ALLOW_NUL, &where), *item, *history = json_array();
    size_t i;
    if (!in || open_store(&st, argc, argv, &err) < 0) {
        fprintf(stderr, "%s\n", in ? err.text : where.text);
        return 1;
    }
    json_array_foreach(json_object_get(in, "records"), i, item) put_record(st, item);
    json_array_foreach(json_object_get(in, "queries"), i, item) ask(st, item);
    st->ops->history(st, add_id, history, &err);
    print(history);
    json_array_foreach(json_object_get(in, "records"), i, item) show(st, item);
    st->ops->close(st);
    json_decref(in);
    return 0;
}
