/* SPDX-License-Identifier: BSD-3-Clause */
/* A map of open requests by client and id, and an account for each client that has any. */
#include "router/gather.h"

#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"

struct gather_client {
    struct list gathers;
    size_t bytes;
    size_t len;
    char identity[];
};

#define KEY_MAX (1 + 255 + FANOUT_ID_MAX)

/* Length of the key in `out`; 0: it can't be one. */
static size_t make_key(char out[KEY_MAX], struct slice client, struct slice msg_id)
{
    if (client.len > 255 || msg_id.len > FANOUT_ID_MAX)
        return 0;
    out[0] = (char)client.len;
    memcpy(out + 1, client.data, client.len);
    memcpy(out + 1 + client.len, msg_id.data, msg_id.len);
    return 1 + client.len + msg_id.len;
}

static struct gather_client *client_of(struct gathers *gs, struct slice identity)
{
    struct gather_client *c = map_get(&gs->clients, identity.data, identity.len);
    if (c)
        return c;
    c = malloc(sizeof(*c) + identity.len);
    if (!c)
        return NULL;
    *c = (struct gather_client){.len = identity.len};
    list_init(&c->gathers);
    memcpy(c->identity, identity.data, identity.len);
    if (map_put(&gs->clients, c->identity, c->len, c) == 0)
        return c;
    free(c);
    return NULL;
}

static void release_client(struct gathers *gs, struct gather_client *c)
{
    if (!list_is_empty(&c->gathers))
        return;
    map_remove(&gs->clients, c->identity, c->len);
    free(c);
}

static bool is_over(const struct gathers *gs, const struct gather_client *c, size_t more)
{
    return gs->limit && c->bytes + more > gs->limit;
}

static void account(struct gather *g, size_t more)
{
    g->bytes += more;
    g->client->bytes += more;
}

static void release(struct gather *g, struct held **h)
{
    if (!*h)
        return;
    g->bytes -= (*h)->bytes;
    g->client->bytes -= (*h)->bytes;
    held_free(*h);
    *h = NULL;
}

void gathers_init(struct gathers *gs, uint64_t limit)
{
    *gs = (struct gathers){.limit = limit};
    map_init(&gs->open);
    map_init(&gs->clients);
}

void gathers_fini(struct gathers *gs)
{
    size_t pos = 0;
    struct gather *g;
    while ((g = map_next(&gs->open, &pos)))
        gather_drop(gs, g);
    map_fini(&gs->open);
    map_fini(&gs->clients);
}

/* The request's envelope and header: what an answer made here needs. */
static struct held *hold_request(struct slice client, const struct parts *p)
{
    unsigned n = p->n_idents + 2;
    struct frame *frames = calloc(n, sizeof(*frames));
    if (!frames)
        return NULL;
    frames[0] = (struct frame){(const uint8_t *)client.data, client.len, NULL};
    if (p->n_idents)
        memcpy(frames + 1, p->idents, p->n_idents * sizeof(*frames));
    frames[n - 1] = (struct frame){(const uint8_t *)p->header.data, p->header.len, NULL};
    struct held *held = msg_hold(frames, n);
    free(frames);
    return held;
}

static struct gather *gather_new(const char *key, size_t key_len, const struct fanout *f,
                                 struct slice client, size_t n)
{
    struct gather *g = calloc(1, sizeof(*g) + key_len);
    if (!g)
        return NULL;
    g->parts = calloc(n, sizeof(*g->parts));
    g->request = g->parts ? hold_request(client, &f->parts) : NULL;
    if (!g->request) {
        free(g->parts);
        free(g);
        return NULL;
    }
    memcpy(g->key, key, key_len);
    g->key_len = key_len;
    g->msg_id = (struct slice){g->key + key_len - f->msg_id.len, f->msg_id.len};
    for (size_t i = 0; i < n; i++) {
        g->parts[i].gather = g;
        list_init(&g->parts[i].link);
    }
    return g;
}

static void gather_free(struct gather *g)
{
    for (size_t i = 0; i < g->targets.n; i++) {
        list_remove(&g->parts[i].link);
        held_free(g->parts[i].buffers);
    }
    held_free(g->failure);
    held_free(g->request);
    targets_fini(&g->targets);
    free(g->parts);
    free(g);
}

int gather_open(struct gathers *gs, struct slice client, const struct fanout *f,
                struct targets *targets, struct gather **ret)
{
    char key[KEY_MAX];
    size_t key_len = make_key(key, client, f->msg_id);
    if (!key_len)
        return ERSA_EPARSE;
    if (map_get(&gs->open, key, key_len))
        return ERSA_EEXIST;
    struct gather_client *c = client_of(gs, client);
    if (!c)
        return ERSA_ENOMEM;
    size_t bytes = sizeof(struct gather) + key_len + targets->bytes +
                   targets->n * sizeof(struct gather_part) + f->parts.header.len;
    int rc = is_over(gs, c, bytes) ? ERSA_EFULL : 0;
    struct gather *g = rc == 0 ? gather_new(key, key_len, f, client, targets->n) : NULL;
    if (rc == 0)
        rc = g ? map_put(&gs->open, g->key, g->key_len, g) : ERSA_ENOMEM;
    if (rc < 0) {
        if (g)
            gather_free(g);
        release_client(gs, c);
        return rc;
    }
    g->client = c;
    list_push_back(&c->gathers, &g->link);
    account(g, bytes);
    g->targets = *targets;
    *targets = (struct targets){0};
    g->n_open = g->targets.n + 1;
    *ret = g;
    return 0;
}

void gather_begun(struct gather *g)
{
    g->n_open--;
}

void gather_drop(struct gathers *gs, struct gather *g)
{
    struct gather_client *c = g->client;
    map_remove(&gs->open, g->key, g->key_len);
    list_remove(&g->link);
    c->bytes -= g->bytes;
    gather_free(g);
    release_client(gs, c);
}

void gather_drop_client(struct gathers *gs, struct slice client)
{
    struct gather_client *c;
    while ((c = map_get(&gs->clients, client.data, client.len)))
        gather_drop(gs, container_of(c->gathers.next, struct gather, link));
}

struct gather *gather_find(const struct gathers *gs, struct slice client, struct slice msg_id)
{
    char key[KEY_MAX];
    size_t len = make_key(key, client, msg_id);
    return len ? map_get(&gs->open, key, len) : NULL;
}

struct gather_part *gather_part_of(const struct gather *g, struct slice uuid)
{
    const struct target *t = map_get(&g->targets.by_uuid, uuid.data, uuid.len);
    struct gather_part *part = t ? &g->parts[t - g->targets.all] : NULL;
    return part && !part->is_done ? part : NULL;
}

void gather_await(struct gather_part *part, struct engine *e)
{
    list_push_back(&e->broadcasts, &part->link);
}

static void finish(struct gather_part *part)
{
    list_remove(&part->link);
    part->is_done = true;
    part->gather->n_open--;
}

int gather_keep(struct gathers *gs, struct gather_part *part, const struct parts *reply)
{
    struct gather *g = part->gather;
    if (!g->failure && reply->n_buffers) {
        struct held *h = msg_hold(reply->buffers, reply->n_buffers);
        if (!h || is_over(gs, g->client, h->bytes)) {
            int rc = h ? ERSA_EFULL : ERSA_ENOMEM;
            held_free(h);
            return rc;
        }
        part->buffers = h;
        account(g, h->bytes);
    }
    finish(part);
    return 0;
}

int gather_fail(struct gather_part *part, const struct parts *reply)
{
    struct gather *g = part->gather;
    size_t at = (size_t)(part - g->parts);
    finish(part);
    if (g->failure && g->failure_at < at)
        return 0;
    struct held *h = msg_hold(reply->wire, reply->n_wire - reply->n_buffers);
    if (!h)
        return g->failure ? 0 : ERSA_ENOMEM;
    for (size_t i = 0; !g->failure && i < g->targets.n; i++)
        release(g, &g->parts[i].buffers);
    release(g, &g->failure);
    g->failure = h;
    g->failure_at = at;
    account(g, h->bytes);
    return 0;
}
