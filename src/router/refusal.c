/* SPDX-License-Identifier: BSD-3-Clause */
/* Composes error replies; the signed parts stand in the caller's buffers. */
#include "router/refusal.h"

#include <stdlib.h>

#include "util/clock.h"
#include "wire/json.h"
#include "wire/reply.h"

static json_t *metadata_of(const struct refusal *f)
{
    char date[CLOCK_ISO_MAX];
    clock_iso(clock_utc_us(), date);
    json_t *m = json_pack("{s:s, s:s, s:b, s:b, s:o}", "status", "error", "date", date,
                          "is_broadcast", 1, "is_coalescing", (int)f->is_coalescing,
                          "original_msg_id", json_lossy(f->original));
    if (m && f->uuid.data)
        json_object_set_new(m, "engine", json_lossy(f->uuid));
    return m;
}

/* Appends the text of `j`, whose reference it takes. */
static int put_json(struct buf *b, json_t *j)
{
    char *text = json_text(j);
    int rc = text ? buf_puts(b, text) : ERSA_ENOMEM;
    free(text);
    json_decref(j);
    return rc;
}

int refusal_compose(const struct refusal *f, struct session *s, struct buf *text,
                    struct buf *scratch, struct frame out[SESSION_FRAMES])
{
    char type[MSG_TYPE_MAX];
    if (!reply_type(f->msg_type, type))
        return ERSA_EPARSE;
    buf_reset(text);
    int rc = put_json(text, error_content(f->ename, f->evalue));
    size_t split = text->len;
    if (rc == 0)
        rc = put_json(text, metadata_of(f));
    if (rc < 0)
        return rc;
    const char *all = (const char *)text->data;
    struct outgoing o = {
        .msg_type = type,
        .parent = f->parent,
        .content = {all, split},
        .metadata = {all + split, text->len - split},
    };
    return session_frames(s, &o, scratch, out);
}
