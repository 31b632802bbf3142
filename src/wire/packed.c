/* SPDX-License-Identifier: BSD-3-Clause */
/* A length of LONG stands for the next one of the long frames. */
#include "wire/packed.h"

#include <string.h>

#define LONG UINT16_MAX

static bool is_long(const struct frame *f)
{
    return f->block || f->len >= LONG;
}

static struct frame *longs_of(const struct packed *p)
{
    return (struct frame *)p->data;
}

static uint16_t *lengths_of(const struct packed *p)
{
    return (uint16_t *)(longs_of(p) + p->n_long);
}

static uint8_t *octets_of(const struct packed *p)
{
    return (uint8_t *)(lengths_of(p) + p->n);
}

size_t packed_size(const struct frame *frames, unsigned n)
{
    size_t size = sizeof(struct packed) + n * sizeof(uint16_t);
    for (unsigned i = 0; i < n; i++) {
        size += frames[i].block ? 0 : frames[i].len;
        size += is_long(&frames[i]) ? sizeof(struct frame) : 0;
    }
    return size;
}

void packed_fill(struct packed *p, const struct frame *frames, unsigned n)
{
    *p = (struct packed){.n = n};
    for (unsigned i = 0; i < n; i++)
        p->n_long += is_long(&frames[i]);
    struct frame *next_long = longs_of(p);
    uint16_t *lengths = lengths_of(p);
    uint8_t *at = octets_of(p);
    for (unsigned i = 0; i < n; i++) {
        struct frame f = frames[i];
        if (f.block) {
            block_ref(f.block);
            p->bytes += f.block->cap;
        } else {
            if (f.len)
                memcpy(at, f.data, f.len);
            f.data = at;
            at += f.len;
        }
        lengths[i] = is_long(&f) ? LONG : (uint16_t)f.len;
        if (is_long(&f))
            *next_long++ = f;
    }
    p->bytes += (size_t)(at - (uint8_t *)p);
}

void packed_fini(struct packed *p)
{
    for (unsigned i = 0; i < p->n_long; i++)
        block_unref(longs_of(p)[i].block);
}

void packed_frames(const struct packed *p, struct frame *out)
{
    const struct frame *next_long = longs_of(p);
    const uint16_t *lengths = lengths_of(p);
    const uint8_t *at = octets_of(p);
    for (unsigned i = 0; i < p->n; i++) {
        if (lengths[i] == LONG)
            out[i] = *next_long++;
        else
            out[i] = (struct frame){at, lengths[i], NULL};
        at += out[i].block ? 0 : out[i].len;
    }
}

struct slice packed_frame(const struct packed *p, unsigned i)
{
    const struct frame *next_long = longs_of(p);
    const uint16_t *lengths = lengths_of(p);
    const uint8_t *at = octets_of(p);
    for (unsigned k = 0;; k++) {
        struct frame f = {at, lengths[k], NULL};
        if (lengths[k] == LONG)
            f = *next_long++;
        if (k == i)
            return frame_slice(&f);
        at += f.block ? 0 : f.len;
    }
}
