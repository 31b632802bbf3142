/* SPDX-License-Identifier: BSD-3-Clause */
/* Records as documents: texts and JSON members as they are, buffers as lists of binary, dates
 * as dates, rounded down to milliseconds, with what is finer beside. A member that can't be a
 * document (nested too deeply, a key that not every server takes) is one text instead. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/mongo_impl.h"
#include "util/clock.h"
#include "wire/jscan.h"
#include "wire/json.h"

#define DEPTH_MAX 90 /* the server takes 100 */

/* JSON to BSON */

static bool put_json(bson_t *b, const char *key, const json_t *j, unsigned depth);

static bool put_object(bson_t *b, const char *key, const json_t *j, unsigned depth)
{
    bson_t inner;
    const char *name;
    json_t *item;
    bool ok = bson_append_document_begin(b, key, -1, &inner);
    json_object_foreach((json_t *)j, name, item) ok = ok && put_json(&inner, name, item, depth);
    return ok && bson_append_document_end(b, &inner);
}

static bool put_array(bson_t *b, const char *key, const json_t *j, unsigned depth)
{
    bson_t inner;
    char buf[16];
    const char *k;
    bool ok = bson_append_array_begin(b, key, -1, &inner);
    for (size_t i = 0; i < json_array_size(j) && ok; i++) {
        bson_uint32_to_string((uint32_t)i, &k, buf, sizeof(buf));
        ok = put_json(&inner, k, json_array_get(j, i), depth);
    }
    return ok && bson_append_array_end(b, &inner);
}

static bool put_json(bson_t *b, const char *key, const json_t *j, unsigned depth)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        return put_object(b, key, j, depth + 1);
    case JSON_ARRAY:
        return put_array(b, key, j, depth + 1);
    case JSON_STRING:
        return bson_append_utf8(b, key, -1, json_string_value(j), (int)json_string_length(j));
    case JSON_INTEGER:
        return bson_append_int64(b, key, -1, json_integer_value(j));
    case JSON_REAL:
        return bson_append_double(b, key, -1, json_real_value(j));
    case JSON_NULL:
        return bson_append_null(b, key, -1);
    default:
        return bson_append_bool(b, key, -1, json_is_true(j));
    }
}

/* Servers before 5.0 refuse keys that begin with "$". */
static bool can_be_document(const json_t *j, unsigned depth)
{
    const char *name;
    json_t *item;
    size_t i;
    if (depth == DEPTH_MAX)
        return false;
    json_object_foreach((json_t *)j, name, item)
    {
        if (*name == '$' || !can_be_document(item, depth + 1))
            return false;
    }
    json_array_foreach(j, i, item)
    {
        if (!can_be_document(item, depth + 1))
            return false;
    }
    return true;
}

static bool put_text(bson_t *b, const char *key, struct slice text)
{
    json_t *j = json_lossy(text);
    bool ok =
        j && bson_append_utf8(b, key, -1, json_string_value(j), (int)json_string_length(j));
    json_decref(j);
    return ok;
}

/* A member that is no JSON object is null, also when it is shown (query_impl.h). */
static bool put_member(bson_t *b, const char *key, struct slice text)
{
    if (jscan(text, NULL, 0) < 0)
        return bson_append_null(b, key, -1);
    json_t *j = json_parse(text, NULL); /* fails with too many values */
    bool ok = j && can_be_document(j, 0) ? put_json(b, key, j, 0) : put_text(b, key, text);
    json_decref(j);
    return ok;
}

/* Records to BSON */

static int64_t ms_of(int64_t us)
{
    return us >= 0 ? us / 1000 : -((-us + 999) / 1000);
}

static bool put_binaries(bson_t *b, const char *key, const struct store_binary *list)
{
    bson_t inner;
    char buf[16];
    const char *k;
    bool ok = bson_append_array_begin(b, key, -1, &inner);
    for (unsigned i = 0; i < list->n && ok; i++) {
        bson_uint32_to_string(i, &k, buf, sizeof(buf));
        ok = bson_append_binary(&inner, k, -1, BSON_SUBTYPE_BINARY,
                                (const uint8_t *)list->items[i].data,
                                (uint32_t)list->items[i].len);
    }
    return ok && bson_append_array_end(b, &inner);
}

static bool put_field(bson_t *set, unsigned f, const union store_value *v)
{
    const char *name = store_fields[f].name;
    char fine[64];
    switch (store_fields[f].kind) {
    case 'b':
        return put_binaries(set, name, &v->binary);
    case 'd':
        snprintf(fine, sizeof(fine), MONGO_FINE ".%s", name);
        return bson_append_date_time(set, name, -1, ms_of(v->date)) &&
               bson_append_int32(set, fine, -1, (int32_t)(v->date - ms_of(v->date) * 1000));
    case 'j':
        return put_member(set, name, v->text);
    default:
        return put_text(set, name, v->text);
    }
}

static size_t weight(const struct pending_entry *e)
{
    size_t n = e->streams[0].len + e->streams[1].len;
    for (unsigned f = 0; f < F_MAX; f++) {
        if (!(e->rec.set & STORE_FIELD(f)) || store_fields[f].kind == 'd' || f == F_stdout ||
            f == F_stderr)
            continue;
        if (store_fields[f].kind != 'b')
            n += e->rec.v[f].text.len;
        else
            for (unsigned i = 0; i < e->rec.v[f].binary.n; i++)
                n += e->rec.v[f].binary.items[i].len + 16;
    }
    return n;
}

/* Streams are always whole here. */
static bool put_stream(bson_t *set, bson_t *on_insert, const struct pending_entry *e,
                       unsigned i)
{
    const struct buf *b = &e->streams[i];
    const char *name = store_fields[F_stdout + i].name;
    if (b->len || e->rec.set & STORE_FIELD(F_stdout + i))
        return put_text(set, name, (struct slice){b->len ? (const char *)b->data : "", b->len});
    return bson_append_utf8(on_insert, name, -1, "", 0);
}

static bool put_update(bson_t *update, const struct pending_entry *e)
{
    bson_t set, on_insert = BSON_INITIALIZER;
    bson_oid_t id; /* ascending, so that records have an order: not every server sees to that */
    bson_oid_init(&id, NULL);
    BSON_APPEND_OID(&on_insert, "_id", &id);
    bool ok = bson_append_document_begin(update, "$set", -1, &set) &&
              put_text(&set, "msg_id", e->rec.v[F_msg_id].text);
    for (unsigned f = F_msg_id + 1; f < F_MAX && ok; f++) {
        if (f == F_stdout || f == F_stderr)
            ok = put_stream(&set, &on_insert, e, f - F_stdout);
        else if (e->rec.set & STORE_FIELD(f))
            ok = put_field(&set, f, &e->rec.v[f]);
        else if (f < STORE_COLUMNS)
            ok = bson_append_null(&on_insert, store_fields[f].name, -1);
    }
    ok = ok && bson_append_document_end(update, &set);
    if (ok && e->creates)
        ok = bson_append_document(update, "$setOnInsert", -1, &on_insert);
    bson_destroy(&on_insert);
    return ok;
}

bool mongo_change(struct mongo_change *ret, const struct pending_entry *e)
{
    *ret = (struct mongo_change){.creates = e->creates};
    if (weight(e) > MONGO_DOCUMENT_MAX)
        return false;
    ret->selector = bson_new();
    ret->update = bson_new();
    if (put_text(ret->selector, "msg_id", e->rec.v[F_msg_id].text) &&
        put_update(ret->update, e))
        return true;
    mongo_change_free(ret);
    return false;
}

void mongo_change_free(struct mongo_change *c)
{
    bson_destroy(c->selector);
    bson_destroy(c->update);
    *c = (struct mongo_change){NULL, NULL, false};
}

/* BSON to JSON */

/* Others may have written any date: one that microseconds don't reach is the farthest that they
 * do. */
static int64_t us_of(int64_t ms)
{
    const int64_t last = INT64_MAX / 1000 - 1; /* what is finer is added */
    return (ms > last ? last : ms < -last ? -last : ms) * 1000;
}

static json_t *read_json(bson_iter_t *it, unsigned depth);

static json_t *read_container(bson_iter_t *it, bool is_object, unsigned depth)
{
    json_t *j = is_object ? json_object() : json_array();
    bson_iter_t inner;
    if (depth == DEPTH_MAX || !bson_iter_recurse(it, &inner))
        return j;
    while (bson_iter_next(&inner)) {
        json_t *item = read_json(&inner, depth);
        if (is_object)
            json_object_set_new(j, bson_iter_key(&inner), item);
        else
            json_array_append_new(j, item);
    }
    return j;
}

static json_t *read_date(const bson_iter_t *it)
{
    char text[CLOCK_ISO_MAX];
    size_t len = clock_iso(us_of(bson_iter_date_time(it)), text);
    return json_stringn(text, len);
}

static json_t *read_json(bson_iter_t *it, unsigned depth)
{
    uint32_t len;
    const char *text;
    switch (bson_iter_type(it)) {
    case BSON_TYPE_DOCUMENT:
        return read_container(it, true, depth + 1);
    case BSON_TYPE_ARRAY:
        return read_container(it, false, depth + 1);
    case BSON_TYPE_UTF8:
        text = bson_iter_utf8(it, &len);
        return json_lossy((struct slice){text, len});
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        return json_integer(bson_iter_as_int64(it));
    case BSON_TYPE_DOUBLE:
        return isfinite(bson_iter_double(it)) ? json_real(bson_iter_double(it)) : json_null();
    case BSON_TYPE_BOOL:
        return json_boolean(bson_iter_bool(it));
    case BSON_TYPE_DATE_TIME:
        return read_date(it);
    default:
        return json_null();
    }
}

/* BSON to records */

static int keep_text(struct keep **keep, const char *data, size_t len, struct slice *ret)
{
    char *copy = keep_octets(keep, len);
    if (!copy)
        return ERSA_ENOMEM;
    memcpy(copy, data, len);
    *ret = (struct slice){copy, len};
    return 1;
}

static int read_member(struct keep **keep, bson_iter_t *it, struct slice *ret)
{
    json_t *j = read_json(it, 0);
    char *text = json_dumps(j, JSON_REAL_PRECISION(17)); /* spaces as Python sets them */
    json_decref(j);
    if (!text)
        return ERSA_ENOMEM;
    int rc = keep_text(keep, text, strlen(text), ret);
    free(text);
    return rc;
}

static int read_binaries(struct keep **keep, bson_iter_t *it, struct store_binary *ret)
{
    bson_iter_t inner;
    unsigned n = 0;
    if (!bson_iter_recurse(it, &inner))
        return 0;
    while (bson_iter_next(&inner))
        n++;
    struct slice *items = keep_octets(keep, n * sizeof(*items));
    if (!items)
        return ERSA_ENOMEM;
    bson_iter_recurse(it, &inner);
    for (unsigned i = 0; bson_iter_next(&inner); i++) {
        bson_subtype_t subtype;
        uint32_t len = 0;
        const uint8_t *data = (const uint8_t *)"";
        if (bson_iter_type(&inner) == BSON_TYPE_BINARY)
            bson_iter_binary(&inner, &subtype, &len, &data);
        if (keep_text(keep, (const char *)data, len, &items[i]) < 0)
            return ERSA_ENOMEM;
    }
    *ret = (struct store_binary){items, n};
    return 1;
}

/* 1: a value, 0: null, or of another type; ERSA_ENOMEM. */
static int read_field(struct keep **keep, bson_iter_t *it, unsigned f, union store_value *ret)
{
    bson_type_t type = bson_iter_type(it);
    uint32_t len;
    const char *text;
    switch (store_fields[f].kind) {
    case 'b':
        return type == BSON_TYPE_ARRAY ? read_binaries(keep, it, &ret->binary) : 0;
    case 'd':
        ret->date = type == BSON_TYPE_DATE_TIME ? us_of(bson_iter_date_time(it)) : 0;
        return type == BSON_TYPE_DATE_TIME;
    case 'j':
        if (type == BSON_TYPE_DOCUMENT)
            return read_member(keep, it, &ret->text);
        /* fall through */
    default:
        if (type != BSON_TYPE_UTF8)
            return 0;
        text = bson_iter_utf8(it, &len);
        return keep_text(keep, text, len, &ret->text);
    }
}

static void refine_dates(const bson_t *doc, struct store_record *rec)
{
    bson_iter_t it, inner;
    if (!bson_iter_init_find(&it, doc, MONGO_FINE) || !bson_iter_recurse(&it, &inner))
        return;
    while (bson_iter_next(&inner)) {
        const char *key = bson_iter_key(&inner);
        enum store_field f = store_field_find((struct slice){key, strlen(key)});
        int64_t us = bson_iter_as_int64(&inner);
        if (f != F_MAX && store_fields[f].kind == 'd' && rec->set & STORE_FIELD(f) && us >= 0 &&
            us < 1000)
            rec->v[f].date += us;
    }
}

int mongo_read(struct keep **keep, const bson_t *doc, struct store_record *ret)
{
    bson_iter_t it;
    ret->set = 0;
    if (!bson_iter_init(&it, doc))
        return 0;
    while (bson_iter_next(&it)) {
        const char *key = bson_iter_key(&it);
        enum store_field f = store_field_find((struct slice){key, strlen(key)});
        int rc = f == F_MAX ? 0 : read_field(keep, &it, f, &ret->v[f]);
        if (rc < 0)
            return rc;
        if (rc)
            ret->set |= STORE_FIELD(f);
    }
    refine_dates(doc, ret);
    return store_is_null(ret, F_msg_id) ? ERSA_ENOENT : 0;
}

void mongo_projection(bson_t *opts, uint32_t fields)
{
    bson_t inner;
    bson_append_document_begin(opts, "projection", -1, &inner);
    BSON_APPEND_INT32(&inner, "_id", 0);
    BSON_APPEND_INT32(&inner, "msg_id", 1);
    BSON_APPEND_INT32(&inner, MONGO_FINE, 1);
    for (unsigned f = F_msg_id + 1; f < F_MAX; f++)
        if (fields & STORE_FIELD(f))
            BSON_APPEND_INT32(&inner, store_fields[f].name, 1);
    bson_append_document_end(opts, &inner);
}
