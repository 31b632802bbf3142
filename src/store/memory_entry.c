/* SPDX-License-Identifier: BSD-3-Clause */
/* A record in memory. Its members are copied into one piece of memory for the request, one for
 * the result, and one for each other member, so that a member written again leaves nothing
 * behind. Streams grow in place. */
#include <stdlib.h>
#include <string.h>

#include "store/memory_impl.h"
#include "util/clock.h"

#define SHORT_TEXT 1024 /* dropping it gains nothing */

/* The fields that share a piece of memory, by its first; dates and the id need none. */
static const unsigned char groups[F_MAX] = {
    [F_msg_id] = F_MAX,
    [F_header] = F_header,
    [F_metadata] = F_header,
    [F_content] = F_header,
    [F_buffers] = F_header,
    [F_submitted] = F_MAX,
    [F_client_uuid] = F_header,
    [F_engine_uuid] = F_engine_uuid,
    [F_started] = F_MAX,
    [F_completed] = F_MAX,
    [F_resubmitted] = F_resubmitted,
    [F_received] = F_MAX,
    [F_result_header] = F_result_header,
    [F_result_metadata] = F_result_header,
    [F_result_content] = F_result_header,
    [F_result_buffers] = F_result_header,
    [F_queue] = F_header,
    [F_execute_input] = F_execute_input,
    [F_execute_result] = F_execute_result,
    [F_error] = F_error,
    [F_stdout] = F_MAX,
    [F_stderr] = F_MAX,
    [F_label] = F_header,
    [F_display_data] = F_display_data,
};

/* Pieces */

size_t store_binary_bytes(const struct store_binary *b)
{
    size_t n = 0;
    for (unsigned i = 0; i < b->n; i++)
        n += b->items[i].len;
    return n;
}

/* Copies what the group's fields hold in `want`, one behind the other, the lists of buffers
 * first for the sake of their alignment. The fields then point there. */
static int write_piece(struct entry *e, unsigned group, const struct store_record *want)
{
    size_t lists = 0, text = 0, buffers = 0;
    for (unsigned f = group; f < F_MAX; f++) {
        if (groups[f] != group || !(want->set & STORE_FIELD(f)))
            continue;
        if (store_fields[f].kind == 'b') {
            lists += want->v[f].binary.n * sizeof(struct slice);
            buffers += store_binary_bytes(&want->v[f].binary);
        } else {
            text += want->v[f].text.len;
        }
    }
    char *piece = malloc(lists + text + buffers + 1);
    if (!piece)
        return ERSA_ENOMEM;
    struct slice *list = (struct slice *)piece;
    char *at = piece + lists;
    for (unsigned f = group; f < F_MAX; f++) {
        if (groups[f] != group || !(want->set & STORE_FIELD(f)))
            continue;
        union store_value v = want->v[f];
        if (store_fields[f].kind == 'b') {
            for (unsigned i = 0; i < v.binary.n; i++) {
                list[i] = (struct slice){at, v.binary.items[i].len};
                if (list[i].len)
                    memcpy(at, v.binary.items[i].data, list[i].len);
                at += list[i].len;
            }
            v.binary.items = list;
            list += v.binary.n;
        } else {
            if (v.text.len)
                memcpy(at, v.text.data, v.text.len);
            v.text.data = at;
            at += v.text.len;
        }
        e->rec.v[f] = v;
        e->rec.set |= STORE_FIELD(f);
    }
    free(e->piece[group]);
    e->piece[group] = piece;
    e->weight[group] = lists + text;
    return 0;
}

/* What is new, and of the rest of its group what was there. */
static int write_group(struct entry *e, unsigned group, const struct store_record *r)
{
    struct store_record want = {.set = 0};
    for (unsigned f = group; f < F_MAX; f++) {
        const struct store_record *from = r->set & STORE_FIELD(f) ? r : &e->rec;
        if (groups[f] != group || !(from->set & STORE_FIELD(f)))
            continue;
        want.set |= STORE_FIELD(f);
        want.v[f] = from->v[f];
    }
    return write_piece(e, group, &want);
}

/* Fields */

static bool is_stream(unsigned f)
{
    return f == F_stdout || f == F_stderr;
}

int entry_append(struct entry *e, enum store_field f, struct slice text, uint64_t stream_max)
{
    struct buf *b = &e->streams[f - F_stdout];
    b->max = stream_max;
    int rc = buf_append(b, text.data, text.len);
    if (b->len)
        e->rec.v[f].text = (struct slice){(const char *)b->data, b->len};
    return rc;
}

/* An engine is written when it gets the task and again with the result. */
static bool is_same_text(const struct entry *e, unsigned f, const struct store_record *r)
{
    return store_fields[f].kind == 't' && e->rec.set & STORE_FIELD(f) &&
           slice_eq(e->rec.v[f].text, r->v[f].text);
}

int entry_write(struct entry *e, const struct store_record *r, uint64_t stream_max)
{
    uint32_t written = 0;
    for (unsigned f = 0; f < F_MAX; f++) {
        unsigned group = groups[f];
        int rc = 0;
        if (!(r->set & STORE_FIELD(f)) || f == F_msg_id || is_same_text(e, f, r))
            continue;
        if (is_stream(f)) {
            buf_reset(&e->streams[f - F_stdout]);
            e->rec.v[f].text = SLICE_LIT("");
            rc = entry_append(e, f, r->v[f].text, stream_max);
        } else if (group == F_MAX) {
            e->rec.v[f] = r->v[f];
            e->rec.set |= STORE_FIELD(f);
        } else if (!(written & STORE_FIELD(group))) {
            rc = write_group(e, group, r);
            written |= STORE_FIELD(group);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

int entry_unset(struct entry *e, uint32_t without)
{
    static const struct store_record nothing = {.set = 0};
    uint32_t had = e->rec.set & without, written = 0;
    e->rec.set &= ~without | STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr);
    for (unsigned f = 0; f < F_MAX; f++) {
        if (!(had & STORE_FIELD(f)))
            continue;
        if (is_stream(f)) {
            buf_fini(&e->streams[f - F_stdout]);
            buf_init(&e->streams[f - F_stdout], 0);
            e->rec.v[f].text = SLICE_LIT("");
        } else if (groups[f] != F_MAX && !(written & STORE_FIELD(groups[f]))) {
            int rc = write_group(e, groups[f], &nothing);
            if (rc < 0)
                return rc;
            written |= STORE_FIELD(groups[f]);
        }
    }
    return 0;
}

/* What it weighs */

void entry_weigh(struct entry *e)
{
    e->buffer_bytes = 0;
    e->text_bytes = sizeof(*e) + e->id_len + e->streams[0].cap + e->streams[1].cap;
    for (unsigned f = 0; f < F_MAX; f++) {
        e->text_bytes += e->weight[f];
        if (store_fields[f].kind == 'b' && e->rec.set & STORE_FIELD(f))
            e->buffer_bytes += store_binary_bytes(&e->rec.v[f].binary);
    }
}

uint32_t entry_heavy_texts(const struct entry *e)
{
    static const uint32_t payload =
        STORE_FIELD(F_metadata) | STORE_FIELD(F_content) | STORE_FIELD(F_result_metadata) |
        STORE_FIELD(F_result_content) | STORE_FIELD(F_execute_input) |
        STORE_FIELD(F_execute_result) | STORE_FIELD(F_error) | STORE_FIELD(F_stdout) |
        STORE_FIELD(F_stderr) | STORE_FIELD(F_display_data);
    uint32_t fields = 0;
    if (e->text_bytes <= sizeof(*e) + SHORT_TEXT)
        return 0;
    for (unsigned f = 0; f < F_MAX; f++)
        if (payload & e->rec.set & STORE_FIELD(f) && e->rec.v[f].text.len > SHORT_TEXT)
            fields |= STORE_FIELD(f);
    return fields;
}

/* Beginning and end */

struct entry *entry_new(struct slice id)
{
    struct entry *e = calloc(1, sizeof(*e) + id.len);
    if (!e)
        return NULL;
    e->id_len = id.len;
    memcpy(e->id, id.data, id.len);
    e->rec.set = STORE_FIELD(F_msg_id) | STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr);
    e->rec.v[F_msg_id].text = (struct slice){e->id, e->id_len};
    e->rec.v[F_stdout].text = e->rec.v[F_stderr].text = SLICE_LIT("");
    for (int i = 0; i < 2; i++)
        buf_init(&e->streams[i], 0);
    for (int i = 0; i < N_LOADS; i++)
        list_init(&e->loads[i]);
    e->created_us = clock_utc_us();
    return e;
}

void entry_free(struct entry *e)
{
    for (unsigned f = 0; f < F_MAX; f++)
        free(e->piece[f]);
    buf_fini(&e->streams[0]);
    buf_fini(&e->streams[1]);
    free(e);
}
