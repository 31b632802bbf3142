/* SPDX-License-Identifier: BSD-3-Clause */
/* Splices texts that jscan() has found to be well-formed. */
#include "router/fanout.h"

#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"
#include "wire/reply.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Targets */

/* The uuid is decoded behind the text of the list, where as much room is kept. */
static int read_target(struct target *ret, const struct jfield *pair, char **room, char *end)
{
    struct jfield uuid;
    size_t pos = 0;
    if (pair->type != J_ARRAY || !jscan_next(pair, &pos, &uuid) ||
        jscan_string(&uuid, *room, (size_t)(end - *room), &ret->uuid) < 0 ||
        ret->uuid.len == 0 || ret->uuid.len > ENGINE_UUID_MAX)
        return ERSA_EPARSE;
    if (ret->uuid.data == *room)
        *room += ret->uuid.len;
    ret->escaped = uuid.raw;
    ret->pair = pair->raw;
    struct jfield id;
    return jscan_next(pair, &pos, &id) && !jscan_next(pair, &pos, &uuid) ? 0 : ERSA_EPARSE;
}

static int count_elements(const struct jfield *list, size_t *ret)
{
    struct jfield element;
    size_t pos = 0, n = 0;
    while (jscan_next(list, &pos, &element))
        if (++n > FANOUT_TARGETS_MAX)
            return ERSA_EFULL;
    *ret = n;
    return 0;
}

static int fill(struct targets *t, struct jfield list)
{
    size_t len = list.raw.len, pos = 0;
    memcpy(t->text, list.raw.data, len);
    list.raw.data = t->text;
    char *room = t->text + len, *end = room + len;
    struct jfield pair;
    while (jscan_next(&list, &pos, &pair)) {
        struct target *next = &t->all[t->n];
        int rc = read_target(next, &pair, &room, end);
        if (rc < 0)
            return rc;
        rc = map_put(&t->by_uuid, next->uuid.data, next->uuid.len, next);
        if (rc == 0)
            t->n++;
        else if (rc != ERSA_EEXIST)
            return rc;
    }
    return 0;
}

int targets_read(struct targets *ret, const struct jfield *list)
{
    size_t n = 0;
    *ret = (struct targets){0};
    map_init(&ret->by_uuid);
    if (list->type != J_ARRAY)
        return ERSA_EPARSE;
    int rc = count_elements(list, &n);
    if (rc < 0)
        return rc;
    ret->all = calloc(n + 1, sizeof(*ret->all));
    ret->text = malloc(2 * list->raw.len + 1);
    ret->bytes = (n + 1) * (sizeof(*ret->all) + 4 * sizeof(void *)) + 2 * list->raw.len;
    rc = ret->all && ret->text ? fill(ret, *list) : ERSA_ENOMEM;
    if (rc < 0)
        targets_fini(ret);
    return rc;
}

void targets_fini(struct targets *t)
{
    map_fini(&t->by_uuid);
    free(t->all);
    free(t->text);
    *t = (struct targets){0};
}

/* Texts */

static struct slice between(const char *from, const char *to)
{
    return (struct slice){from, (size_t)(to - from)};
}

static int put(struct buf *b, struct slice s)
{
    return buf_append(b, s.data, s.len);
}

/* Joins `n` pieces. */
static int put_all(struct buf *b, const struct slice *pieces, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = put(b, pieces[i]);
    return rc;
}

struct slice fanout_open_object(struct slice object, bool *ret_is_empty)
{
    while (object.len && object.data[object.len - 1] != '}')
        object.len--;
    if (object.len)
        object.len--;
    while (object.len && is_space(object.data[object.len - 1]))
        object.len--;
    *ret_is_empty = object.len == 0 || object.data[object.len - 1] == '{';
    return object;
}

int fanout_read(struct fanout *ret, const struct parts *p)
{
    char type[MSG_TYPE_MAX];
    struct jfield head[] = {{.key = "msg_id"}, {.key = "msg_type"}};
    struct jfield meta[] = {{.key = "targets"}, {.key = "is_coalescing"}};
    ret->parts = *p;
    int rc = jscan(p->header, head, 2);
    if (rc == 0)
        rc = jscan_string(&head[0], ret->buf[0], FANOUT_ID_MAX, &ret->msg_id);
    if (rc == 0)
        rc = jscan_string(&head[1], ret->buf[1], FANOUT_ID_MAX, &ret->msg_type);
    if (rc == 0)
        rc = jscan(p->metadata, meta, 2);
    if (rc < 0)
        return rc;
    ret->id_text = head[0].raw;
    ret->targets = meta[0];
    ret->is_coalescing = meta[1];
    ret->has_reply = reply_type(ret->msg_type, type);
    return 0;
}

int fanout_id(const struct fanout *f, const struct target *t, char out[FANOUT_ID_MAX],
              struct slice *ret)
{
    if (f->msg_id.len > FANOUT_ORIGINAL_MAX)
        return ERSA_EFULL;
    memcpy(out, f->msg_id.data, f->msg_id.len);
    out[f->msg_id.len] = '_';
    memcpy(out + f->msg_id.len + 1, t->uuid.data, t->uuid.len);
    *ret = (struct slice){out, f->msg_id.len + 1 + t->uuid.len};
    return 0;
}

int fanout_write(const struct fanout *f, const struct target *t, struct buf *text,
                 struct slice *ret_header, struct slice *ret_metadata)
{
    bool is_empty;
    struct slice header = f->parts.header;
    struct slice meta = fanout_open_object(f->parts.metadata, &is_empty);
    const char *id_end = f->id_text.data + f->id_text.len;
    const char *list_end = f->targets.raw.data + f->targets.raw.len;
    const struct slice head[] = {
        between(header.data, id_end),
        SLICE_LIT("_"),
        t->escaped,
        between(id_end, header.data + header.len),
    };
    const struct slice tail[] = {
        between(meta.data, f->targets.raw.data),
        SLICE_LIT("["),
        t->pair,
        SLICE_LIT("]"),
        between(list_end, meta.data + meta.len),
        SLICE_LIT(", \"original_msg_id\": \""),
        f->id_text,
        SLICE_LIT("\"}"),
    };
    buf_reset(text);
    int rc = put_all(text, head, sizeof(head) / sizeof(head[0]));
    size_t split = text->len;
    if (rc == 0)
        rc = put_all(text, tail, sizeof(tail) / sizeof(tail[0]));
    if (rc < 0)
        return rc;
    const char *all = (const char *)text->data;
    *ret_header = (struct slice){all, split};
    *ret_metadata = (struct slice){all + split, text->len - split};
    return 0;
}

bool fanout_original(struct slice msg_id, struct slice uuid, struct slice *ret)
{
    if (msg_id.len < uuid.len + 1)
        return false;
    size_t len = msg_id.len - uuid.len - 1;
    if (msg_id.data[len] != '_' || memcmp(msg_id.data + len + 1, uuid.data, uuid.len) != 0)
        return false;
    *ret = (struct slice){msg_id.data, len};
    return true;
}
