/* SPDX-License-Identifier: BSD-3-Clause */
/* Straight text: a few hundred octets a task. */
#include "engine/reply.h"

#include <inttypes.h>
#include <string.h>

#include "util/clock.h"
#include "engine/dispatch.h"

#define SELF_MAX 4096

int reply_self_init(struct reply_self *self, const char *uuid, int64_t id)
{
    struct buf *plain = &self->plain, *info = &self->engine_info;
    buf_init(plain, SELF_MAX);
    buf_init(info, SELF_MAX);
    int rc = buf_puts(plain, "{\"engine\": ");
    if (rc == 0)
        rc = buf_put_json(plain, uuid, strlen(uuid));
    if (rc == 0)
        rc = buf_putc(plain, '}');
    if (rc == 0)
        rc = buf_puts(info, "{\"engine_uuid\": ");
    if (rc == 0)
        rc = buf_put_json(info, uuid, strlen(uuid));
    if (rc == 0)
        rc = buf_printf(info, ", \"engine_id\": %" PRId64 "}", id);
    if (rc < 0)
        reply_self_fini(self);
    return rc;
}

void reply_self_fini(struct reply_self *self)
{
    buf_fini(&self->plain);
    buf_fini(&self->engine_info);
}

static int put_slice(struct buf *b, struct slice s)
{
    return buf_append(b, s.data, s.len);
}

/* A field of the request as it stands, or the default. */
static int put_copy(struct buf *out, const char *lead, const struct jfield *f,
                    struct slice preset)
{
    struct slice raw = f->type == J_ABSENT ? preset : f->raw;
    if (f->type == J_STRING) /* with its quotes */
        raw = (struct slice){raw.data - 1, raw.len + 2};
    int rc = put_slice(out, (struct slice){lead, strlen(lead)});
    return rc < 0 ? rc : put_slice(out, raw);
}

/* What only the answers to execute and apply carry. */
static int put_facts(struct buf *out, const struct reply_self *self, const struct request *r,
                     struct slice status, bool is_unmet)
{
    static const struct {
        const char *lead;
        struct slice preset;
    } copied[META_COPIED] = {
        [META_LABEL] = {", \"label\": ", SLICE_LIT("null")},
        [META_BROADCAST] = {", \"is_broadcast\": ", SLICE_LIT("false")},
        [META_COALESCING] = {", \"is_coalescing\": ", SLICE_LIT("false")},
        [META_ORIGINAL] = {", \"original_msg_id\": ", SLICE_LIT("\"\"")},
    };
    char started[CLOCK_ISO_MAX];
    size_t len = clock_iso(r->started_us, started);
    int rc = buf_puts(out, ", \"started\": \"");
    if (rc == 0)
        rc = buf_append(out, started, len);
    if (rc == 0)
        rc = buf_puts(out, is_unmet ? "\", \"dependencies_met\": false"
                                    : "\", \"dependencies_met\": true");
    for (int i = 0; i < META_COPIED && rc == 0; i++)
        rc = put_copy(out, copied[i].lead, &r->meta[i], copied[i].preset);
    if (rc == 0)
        rc = buf_puts(out, ", \"status\": ");
    if (rc == 0)
        rc = buf_put_json(out, status.data, status.len);
    if (rc == 0 && slice_is(status, "error")) {
        rc = buf_puts(out, ", \"engine_info\": ");
        if (rc == 0)
            rc = put_slice(out, buf_slice(&self->engine_info));
    }
    return rc;
}

int reply_metadata(struct buf *out, const struct reply_self *self, const struct request *r,
                   struct slice status, bool is_unmet, int64_t published)
{
    int rc = buf_append(out, self->plain.data, self->plain.len - 1); /* without its brace */
    if (rc == 0 && dispatch_is_task(r->def))
        rc = put_facts(out, self, r, status, is_unmet);
    if (rc == 0 && published >= 0)
        rc = buf_printf(out,
                        ", \"ersa\": {\"output_complete\": true, \"published\": %" PRId64 "}",
                        published);
    return rc < 0 ? rc : buf_putc(out, '}');
}
