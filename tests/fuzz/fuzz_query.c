/* SPDX-License-Identifier: BSD-3-Clause */
/* The query language of db_request, three times: the memory store evaluates a query, the SQLite
 * store finds the same records with its SQL, and the filter for MongoDB, which is evaluated
 * here, leaves none of them out. The input is the query's JSON text. */
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "store/query.h"
#ifdef ERSA_FUZZ_MONGO
#include "store/mongo_impl.h"
#endif
#include "util/clock.h"
#include "util/log.h"
#include "wire/json.h"

#define DATE 1767323045678901 /* 2026-01-02T03:04:05.678901Z */
#define N_RECORDS 8

static struct store *memory, *sqlite;
static struct store_record records[N_RECORDS];

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static struct store_record full_record(const char *id)
{
    static const struct slice buffers[] = {{"ab", 2}, {"", 0}};
    struct store_record r = {.set = STORE_ALL};
    for (int f = 0; f < F_MAX; f++) {
        switch (store_fields[f].kind) {
        case 't':
            r.v[f].text = f == F_msg_id ? text(id) : text("text");
            break;
        case 'j':
            r.v[f].text = text("{\"n\": [1, 2.5, null], \"t\": true}");
            break;
        case 'd':
            r.v[f].date = DATE;
            break;
        default:
            r.v[f].binary = (struct store_binary){buffers, 2};
        }
    }
    return r;
}

/* They differ in what is null, in texts with characters of every length, and in dates by
 * microseconds, milliseconds, and across 1970. */
static void make_records(void)
{
    static const char *const ids[N_RECORDS] = {
        "a_1_2", "b_1_2", "", "\xc3\xa9*", "task[0]", "~\xf0\x9f\x98\x80", "a_1_20", "A_1_2"};
    static const int64_t dates[N_RECORDS] = {DATE, DATE + 1, DATE + 99,        DATE - 901,
                                             -1,   -1001,    1767323045000000, 0};
    for (unsigned i = 0; i < N_RECORDS; i++) {
        records[i] = full_record(ids[i]);
        records[i].v[F_submitted].date = records[i].v[F_completed].date = dates[i];
        records[i].v[F_label].text = text(ids[(i + 3) % N_RECORDS]);
    }
    records[1].set &= ~(STORE_FIELD(F_completed) | STORE_FIELD(F_engine_uuid));
    records[1].v[F_content].text = text("{\"n\": 1}");
    records[2].set = STORE_FIELD(F_msg_id) | STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr);
    records[2].v[F_stdout].text = records[2].v[F_stderr].text = text("");
    records[3].v[F_label].text = (struct slice){"a\0b", 3};
    records[4].set &= ~STORE_FIELD(F_label);
    records[5].v[F_label].text = text("\xff\xbf\xe0\x80\xaf");
}

static void fill(struct store *st)
{
    struct ersa_error err = {0};
    for (unsigned i = 0; i < N_RECORDS; i++)
        FUZZ_CHECK(st->ops->put(st, &records[i], &err) == 0);
    while (st->ops->tick && st->ops->tick(st, &err) > 0)
        ;
}

static void set_up(void)
{
    static const struct store_limits limits = {.records = 0};
    char path[] = "/dev/shm/ersa-fuzz-XXXXXX", beside[sizeof(path) + 4];
    if (memory)
        return;
    log_set_level(LOG_CRITICAL + 1);
    make_records();
    int fd = mkstemp(path);
    struct store_sqlite_config cfg = {.path = path, .table = "records"};
    FUZZ_CHECK(fd >= 0 && close(fd) == 0);
    FUZZ_CHECK(store_memory_open(&memory, &limits, NULL) == 0);
    FUZZ_CHECK(store_sqlite_open(&sqlite, &cfg, NULL) == 0);
    fill(memory);
    fill(sqlite);
    unlink(path); /* it stays open */
    snprintf(beside, sizeof(beside), "%s-wal", path);
    unlink(beside);
    snprintf(beside, sizeof(beside), "%s-shm", path);
    unlink(beside);
}

/* A bit for each record found. */
static int note(void *ctx, const struct store_record *r)
{
    for (unsigned i = 0; i < N_RECORDS; i++)
        if (slice_eq(r->v[F_msg_id].text, records[i].v[F_msg_id].text))
            *(unsigned *)ctx |= 1u << i;
    return 0;
}

static unsigned find(struct store *st, const struct store_query *q)
{
    unsigned found = 0;
    struct ersa_error err = {0};
    int rc = st->ops->find(st, q, STORE_FIELD(F_msg_id), note, &found, &err);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", st->ops->name, err.text);
    FUZZ_CHECK(rc == 0);
    return found;
}

/* The filter for MongoDB */

#ifdef ERSA_FUZZ_MONGO
static int order(struct slice a, struct slice b)
{
    int by_octets = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return by_octets ? by_octets : (a.len > b.len) - (a.len < b.len);
}

/* False: of different kinds, which are neither equal nor in an order. */
static bool compare(const struct store_record *r, enum store_field f, const bson_iter_t *x,
                    int *ret)
{
    uint32_t len;
    if (store_is_null(r, f) || BSON_ITER_HOLDS_NULL(x)) {
        *ret = 0;
        return store_is_null(r, f) && BSON_ITER_HOLDS_NULL(x);
    }
    if (store_fields[f].kind == 't' && BSON_ITER_HOLDS_UTF8(x)) {
        const char *s = bson_iter_utf8(x, &len);
        *ret = order(r->v[f].text, (struct slice){s, len});
        return true;
    }
    if (store_fields[f].kind == 'd' && BSON_ITER_HOLDS_DATE_TIME(x)) {
        int64_t us = r->v[f].date, ms = us >= 0 ? us / 1000 : -((-us + 999) / 1000);
        int64_t other = bson_iter_date_time(x);
        *ret = (ms > other) - (ms < other);
        return true;
    }
    return false;
}

static bool is_in(const struct store_record *r, enum store_field f, const bson_iter_t *list)
{
    bson_iter_t x;
    int order_of;
    FUZZ_CHECK(bson_iter_recurse(list, &x));
    while (bson_iter_next(&x))
        if (compare(r, f, &x, &order_of) && order_of == 0)
            return true;
    return false;
}

static bool operator_holds(const struct store_record *r, enum store_field f,
                           const bson_iter_t *x)
{
    const char *op = bson_iter_key(x);
    int by = 0;
    if (strcmp(op, "$in") == 0)
        return is_in(r, f, x);
    if (strcmp(op, "$nin") == 0)
        return !is_in(r, f, x);
    bool is_ordered = compare(r, f, x, &by);
    if (strcmp(op, "$ne") == 0)
        return !is_ordered || by != 0;
    if (strcmp(op, "$eq") == 0)
        return is_ordered && by == 0;
    if (!is_ordered || store_is_null(r, f))
        return false;
    bool or_equal = strlen(op) == 4;
    FUZZ_CHECK(strncmp(op, "$lt", 3) == 0 || strncmp(op, "$gt", 3) == 0);
    return (or_equal && by == 0) || (op[1] == 'l' ? by < 0 : by > 0);
}

/* "^" and a text with backslashes before what is special. */
static bool prefix_holds(const struct store_record *r, enum store_field f, const bson_iter_t *x)
{
    const char *options, *p = bson_iter_regex(x, &options);
    struct slice t = r->v[f].text;
    FUZZ_CHECK(*p == '^' && *options == '\0' && bson_utf8_validate(p, strlen(p), false));
    if (store_is_null(r, f))
        return false;
    for (p++; *p; p++) {
        p += *p == '\\';
        if (t.len == 0 || *t.data != *p)
            return false;
        t = (struct slice){t.data + 1, t.len - 1};
    }
    return true;
}

static bool condition_holds(const struct store_record *r, const bson_iter_t *one)
{
    bson_iter_t field, op;
    FUZZ_CHECK(bson_iter_recurse(one, &field));
    while (bson_iter_next(&field)) {
        enum store_field f = store_field_find(text(bson_iter_key(&field)));
        FUZZ_CHECK(f != F_MAX);
        if (BSON_ITER_HOLDS_REGEX(&field)) {
            if (!prefix_holds(r, f, &field))
                return false;
            continue;
        }
        FUZZ_CHECK(bson_iter_recurse(&field, &op));
        while (bson_iter_next(&op))
            if (!operator_holds(r, f, &op))
                return false;
    }
    return true;
}

static bool filter_holds(const struct store_record *r, const bson_t *filter)
{
    bson_iter_t it, one;
    FUZZ_CHECK(bson_iter_init_find(&it, filter, "$and") && bson_iter_recurse(&it, &one));
    while (bson_iter_next(&one))
        if (!condition_holds(r, &one))
            return false;
    return true;
}

static void check_filter(const struct store_query *q, unsigned found)
{
    bson_t filter = BSON_INITIALIZER;
    FUZZ_CHECK(query_bson(&filter, q));
    FUZZ_CHECK(
        bson_validate(&filter, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL));
    for (unsigned i = 0; i < N_RECORDS; i++)
        FUZZ_CHECK(filter_holds(&records[i], &filter) || !(found >> i & 1));
    bson_destroy(&filter);
}
#else
static void check_filter(const struct store_query *q, unsigned found)
{
}
#endif

static void run(struct store_query *q)
{
    struct slice id;
    bool has_id = store_query_id(q, &id);
    unsigned found = find(memory, q);
    for (unsigned i = 0; i < N_RECORDS; i++)
        if (has_id && !slice_eq(id, records[i].v[F_msg_id].text))
            FUZZ_CHECK(!(found >> i & 1));
    FUZZ_CHECK(find(sqlite, q) == found);
    check_filter(q, found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    json_t *j = json_parse((struct slice){(const char *)data, size}, NULL);
    struct store_query *q = NULL;
    struct ersa_error err = {0};
    if (!j)
        return 0;
    int rc = store_query_parse(&q, j, &err);
    FUZZ_CHECK((rc == 0) == (q != NULL));
    FUZZ_CHECK(rc == 0 || err.text[0] || rc == ERSA_ENOENT);
    json_decref(j);
    if (q)
        run(q);
    store_query_free(q);
    return 0;
}
