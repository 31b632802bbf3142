/* SPDX-License-Identifier: BSD-3-Clause */
/* One entry a request, with its header, in the list of its engine; when that has ended, in the
 * list of those answered, which give way to new ones. */
#include "router/control.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MAX 1024 /* octets of a uuid and an id */

struct entry {
    struct list link; /* in the engine's list, or in `answered` */
    struct control_request told;
    size_t key_len, bytes;
    bool is_answered;
    char text[]; /* key, client, header */
};

/* An id is one engine's: the same may be asked of several. */
static size_t make_key(char key[KEY_MAX], struct slice uuid, struct slice msg_id)
{
    if (uuid.len + 1 + msg_id.len > KEY_MAX)
        return 0;
    memcpy(key, uuid.data, uuid.len);
    key[uuid.len] = '\0';
    memcpy(key + uuid.len + 1, msg_id.data, msg_id.len);
    return uuid.len + 1 + msg_id.len;
}

static void forget(struct control *c, struct entry *q)
{
    map_remove(&c->requests, q->text, q->key_len);
    list_remove(&q->link);
    c->bytes -= q->bytes;
    free(q);
}

static bool make_room(struct control *c, size_t bytes)
{
    while (c->bytes + bytes > CONTROL_MAX && !list_is_empty(&c->answered))
        forget(c, container_of(c->answered.next, struct entry, link));
    return c->bytes + bytes <= CONTROL_MAX;
}

static struct slice copy(char *to, struct slice text)
{
    memcpy(to, text.data, text.len);
    return (struct slice){to, text.len};
}

void control_init(struct control *c)
{
    map_init(&c->requests);
    list_init(&c->answered);
    c->bytes = 0;
}

void control_fini(struct control *c)
{
    size_t pos = 0;
    struct entry *q;
    while ((q = map_next(&c->requests, &pos)))
        forget(c, q);
    map_fini(&c->requests);
}

void control_open(struct control *c, struct engine *e, struct slice msg_id,
                  const struct control_request *request)
{
    char key[KEY_MAX];
    size_t len = make_key(key, e->uuid, msg_id);
    size_t bytes = sizeof(struct entry) + len + request->client.len + request->header.len;
    if (len == 0 || map_get(&c->requests, key, len) || !make_room(c, bytes))
        return;
    struct entry *q = malloc(bytes);
    if (!q)
        return;
    memcpy(q->text, key, len);
    q->told.client = copy(q->text + len, request->client);
    q->told.header = copy(q->text + len + request->client.len, request->header);
    q->key_len = len;
    q->bytes = bytes;
    q->is_answered = false;
    if (map_put(&c->requests, q->text, len, q) < 0) {
        free(q);
        return;
    }
    c->bytes += bytes;
    list_push_back(&e->control, &q->link);
}

bool control_answer(struct control *c, struct slice uuid, struct slice msg_id)
{
    char key[KEY_MAX];
    size_t len = make_key(key, uuid, msg_id);
    struct entry *q = len ? map_get(&c->requests, key, len) : NULL;
    if (!q)
        return true;
    bool is_first = !q->is_answered;
    forget(c, q);
    return is_first;
}

void control_close(struct control *c, struct engine *e,
                   void (*fn)(void *ctx, struct engine *e, const struct control_request *q),
                   void *ctx)
{
    struct list *it;
    while ((it = list_pop_front(&e->control))) {
        struct entry *q = container_of(it, struct entry, link);
        q->is_answered = true;
        list_push_back(&c->answered, &q->link);
        fn(ctx, e, &q->told);
    }
}
