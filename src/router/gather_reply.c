/* SPDX-License-Identifier: BSD-3-Clause */
/* The reply to a coalescing broadcast: one engine's reply with the buffers of all, its metadata
 * saying whose they are, signed anew. */
#include "router/gather.h"

#include <string.h>

static bool is_labelled(struct slice metadata, struct slice original)
{
    struct jfield f[] = {
        {.key = "is_broadcast"}, {.key = "is_coalescing"}, {.key = "original_msg_id"}};
    bool is_broadcast = false, is_coalescing = false;
    char buf[FANOUT_ID_MAX];
    struct slice id;
    return jscan(metadata, f, 3) == 0 && jscan_bool(&f[0], &is_broadcast) == 0 &&
           is_broadcast && jscan_bool(&f[1], &is_coalescing) == 0 && is_coalescing &&
           jscan_string(&f[2], buf, sizeof(buf), &id) == 0 && slice_eq(id, original);
}

/* What the client finds its request by. Engines copy it from the request. */
static int put_labels(struct buf *text, struct slice original)
{
    int rc = buf_puts(text, "\"is_broadcast\": true, \"is_coalescing\": true, "
                            "\"original_msg_id\": ");
    if (rc == 0)
        rc = buf_put_json(text, original.data, original.len);
    return rc < 0 ? rc : buf_puts(text, ", ");
}

static int put_targets(struct buf *text, const struct targets *t)
{
    int rc = buf_puts(text, "\"broadcast_targets\": [");
    for (size_t i = 0; i < t->n && rc == 0; i++) {
        if (i)
            rc = buf_puts(text, ", ");
        if (rc == 0)
            rc = buf_append(text, t->all[i].pair.data, t->all[i].pair.len);
    }
    return rc < 0 ? rc : buf_puts(text, "]}");
}

static int write_metadata(struct buf *text, struct slice metadata, const struct gather *g)
{
    bool is_empty;
    struct slice open = fanout_open_object(metadata, &is_empty);
    buf_reset(text);
    int rc = buf_append(text, open.data, open.len);
    if (rc == 0 && !is_empty)
        rc = buf_puts(text, ", ");
    if (rc == 0 && !is_labelled(metadata, g->msg_id))
        rc = put_labels(text, g->msg_id);
    return rc < 0 ? rc : put_targets(text, &g->targets);
}

/* The client's own identities, between its routing and the delimiter. */
static unsigned count_idents(const struct gather *g)
{
    return g->request->n - 2;
}

unsigned gather_frames(const struct gather *g)
{
    unsigned n = count_idents(g) + SESSION_FRAMES;
    for (size_t i = 0; i < g->targets.n; i++)
        n += g->parts[i].buffers ? g->parts[i].buffers->n : 0;
    return n;
}

int gather_compose(const struct gather *g, const struct parts *base, struct session *s,
                   struct buf *text, char signature[SESSION_SIGNATURE_MAX], struct frame *out)
{
    int rc = write_metadata(text, base->metadata, g);
    if (rc < 0)
        return rc;
    struct slice metadata = {(const char *)text->data, text->len};
    size_t len =
        session_sign(s, base->header, base->parent, metadata, base->content, signature);
    unsigned n = count_idents(g);
    memcpy(out, g->request->frames + 1, n * sizeof(*out));
    memcpy(out + n, base->wire, SESSION_FRAMES * sizeof(*out));
    out[n + 1] = (struct frame){(const uint8_t *)signature, len, NULL};
    out[n + 4] = (struct frame){text->data, text->len, NULL};
    n += SESSION_FRAMES;
    for (size_t i = 0; i < g->targets.n; i++) {
        const struct held *h = g->parts[i].buffers;
        if (!h)
            continue;
        memcpy(out + n, h->frames, h->n * sizeof(*out));
        n += h->n;
    }
    return 0;
}
