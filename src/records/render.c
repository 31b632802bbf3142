/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields of a record as JSON. JSON members are spliced in as they were received, which keeps
 * numbers and the order of keys; one that is no JSON object would spoil the whole reply, and is
 * left out. */
#include "records/query.h"
#include "util/clock.h"

static bool is_sound(const struct store_record *rec, enum store_field f)
{
    return !store_is_null(rec, f) && jscan(rec->v[f].text, NULL, 0) == 0;
}

static int put_date(struct buf *b, int64_t date)
{
    char text[CLOCK_ISO_MAX];
    size_t len = clock_iso(date, text);
    return buf_put_json(b, text, len);
}

int render_field(struct buf *b, const struct store_record *rec, enum store_field f)
{
    const union store_value *v = &rec->v[f];
    if (store_is_null(rec, f))
        return buf_puts(b, "null");
    switch (store_fields[f].kind) {
    case 't':
        return buf_put_json(b, v->text.data, v->text.len);
    case 'd':
        return put_date(b, v->date);
    default:
        return is_sound(rec, f) ? buf_append(b, v->text.data, v->text.len)
                                : buf_puts(b, "null");
    }
}

int render_object(struct buf *b, const struct store_record *rec, enum store_field f)
{
    return is_sound(rec, f) ? render_field(b, rec, f) : buf_puts(b, "{}");
}
