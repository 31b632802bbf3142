/* SPDX-License-Identifier: BSD-3-Clause */
/* What events and queries share: texts, and the way into the store. */
#include "records/core.h"

#include <stdlib.h>

#include "util/log.h"

struct slice *slices_of(struct records *r, const struct frame *frames, unsigned n)
{
    if (n > r->cap_slices || !r->slices) {
        struct slice *grown = reallocarray(r->slices, n + 8, sizeof(*grown));
        if (!grown)
            return NULL;
        r->slices = grown;
        r->cap_slices = n + 8;
    }
    for (unsigned i = 0; i < n; i++)
        r->slices[i] = frame_slice(&frames[i]);
    return r->slices;
}

bool records_text(struct records *r, const struct jfield *f, struct slice *ret)
{
    if (f->type != J_STRING)
        return false;
    buf_reset(&r->text);
    if (f->escaped && buf_reserve(&r->text, f->raw.len) < 0)
        return false;
    return jscan_string(f, (char *)r->text.data, f->raw.len, ret) == 0;
}

void records_complain(struct records *r, const struct ersa_error *err)
{
    r->unstored++;
    r->why = *err;
    if (!r->has_complained)
        log_warn("records::%s (further ones are only counted)", err->text);
    r->has_complained = true;
}

void records_put(struct records *r, const struct store_record *rec)
{
    struct ersa_error err = {0};
    if (r->st->ops->put(r->st, rec, &err) < 0)
        records_complain(r, &err);
}

void records_update(struct records *r, const struct store_record *rec)
{
    struct ersa_error err = {0};
    int rc = r->st->ops->update(r->st, rec, &err);
    if (rc < 0 && rc != ERSA_ENOENT)
        records_complain(r, &err);
}

bool records_has(struct records *r, struct slice msg_id)
{
    struct store_record rec;
    return r->st->ops->get(r->st, msg_id, 0, &rec, NULL) == 0;
}
