/* SPDX-License-Identifier: BSD-3-Clause */
/* Two scans of JSON a request, header and metadata; no tree. */
#include "engine/request.h"

#include <stdlib.h>
#include <string.h>

#include "wire/reply.h"

#define ID_MAX 1024 /* octets of a message id or type once decoded */

static const char *const meta_keys[META_MAX] = {
    [META_LABEL] = "label",
    [META_BROADCAST] = "is_broadcast",
    [META_COALESCING] = "is_coalescing",
    [META_ORIGINAL] = "original_msg_id",
    [META_ERSA] = "ersa",
};

static int read_meta(struct request *r)
{
    for (int i = 0; i < META_MAX; i++)
        r->meta[i] = (struct jfield){.key = meta_keys[i]};
    return jscan(r->parts.metadata, r->meta, META_MAX);
}

/* Most ids need no decoding: then they point into the header. */
static int read_header(struct request *r)
{
    struct jfield f[] = {{.key = "msg_id"}, {.key = "msg_type"}};
    int rc = jscan(r->parts.header, f, 2);
    if (rc < 0)
        return rc;
    if (f[0].escaped || f[1].escaped) {
        r->decoded = malloc(2 * ID_MAX);
        if (!r->decoded)
            return ERSA_ENOMEM;
    }
    char *type_room = r->decoded ? r->decoded + ID_MAX : NULL;
    rc = jscan_string(&f[0], r->decoded, ID_MAX, &r->msg_id);
    return rc < 0 ? rc : jscan_string(&f[1], type_room, ID_MAX, &r->msg_type);
}

int request_read(struct request *ret, enum channel channel, const struct frame *frames,
                 unsigned n)
{
    *ret = (struct request){.channel = channel};
    list_init(&ret->link);
    int rc = parts_split(frames, n, &ret->parts);
    if (rc == 0 && ret->parts.n_idents == 0)
        rc = ERSA_EPROTO;
    if (rc == 0)
        rc = read_header(ret);
    if (rc == 0)
        rc = read_meta(ret);
    if (rc < 0)
        request_fini(ret);
    return rc;
}

void request_fini(struct request *r)
{
    free(r->decoded);
    r->decoded = NULL;
}

/* Where a piece of `from` is in its copy `to`. */
static struct slice moved(struct slice piece, struct slice from, struct slice to)
{
    if (piece.data && piece.data >= from.data && piece.data <= from.data + from.len)
        piece.data = to.data + (piece.data - from.data);
    return piece;
}

struct request *request_hold(const struct request *r)
{
    struct request *copy = malloc(sizeof(*copy));
    struct held *held =
        copy ? msg_hold(r->parts.idents, r->parts.n_idents + r->parts.n_wire) : NULL;
    if (!held)
        goto fail;
    *copy = *r;
    list_init(&copy->link);
    copy->held = held;
    copy->decoded = r->decoded ? malloc(2 * ID_MAX) : NULL;
    if ((r->decoded && !copy->decoded) || parts_split(held->frames, held->n, &copy->parts) < 0)
        goto fail;
    struct slice old = r->parts.header, new = copy->parts.header;
    if (r->decoded) {
        memcpy(copy->decoded, r->decoded, 2 * ID_MAX);
        old = (struct slice){r->decoded, 2 * ID_MAX};
        new = (struct slice){copy->decoded, 2 * ID_MAX};
    }
    copy->msg_id = moved(r->msg_id, old, new);
    copy->msg_type = moved(r->msg_type, old, new);
    copy->msg_id = moved(copy->msg_id, r->parts.header, copy->parts.header);
    copy->msg_type = moved(copy->msg_type, r->parts.header, copy->parts.header);
    for (int i = 0; i < META_MAX; i++)
        copy->meta[i].raw = moved(r->meta[i].raw, r->parts.metadata, copy->parts.metadata);
    return copy;

fail:
    if (held)
        free(copy->decoded);
    held_free(held);
    free(copy);
    return NULL;
}

void request_free(struct request *r)
{
    if (!r)
        return;
    list_remove(&r->link);
    request_fini(r);
    held_free(r->held);
    free(r);
}

size_t request_bytes(const struct request *r)
{
    return sizeof(*r) + (r->held ? r->held->bytes : 0);
}
