/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages that wait: array of frames and their small octets in one piece of memory. */
#include "wire/msg.h"

#include <stdlib.h>
#include <string.h>

size_t held_size(const struct frame *frames, unsigned n)
{
    size_t size = sizeof(struct held) + n * sizeof(struct frame);
    for (unsigned i = 0; i < n; i++)
        if (!frames[i].block)
            size += frames[i].len;
    return size;
}

struct held *held_fill(void *memory, const struct frame *frames, unsigned n)
{
    struct held *h = memory;
    uint8_t *at = (uint8_t *)(h->frames + n);
    h->n = n;
    h->bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        h->frames[i] = frames[i];
        if (frames[i].block) {
            block_ref(frames[i].block);
            h->bytes += frames[i].block->cap;
            continue;
        }
        if (frames[i].len)
            memcpy(at, frames[i].data, frames[i].len);
        h->frames[i].data = at;
        at += frames[i].len;
    }
    h->bytes += (size_t)(at - (uint8_t *)h);
    return h;
}

void held_fini(struct held *h)
{
    for (unsigned i = 0; i < h->n; i++)
        block_unref(h->frames[i].block);
}

struct held *msg_hold(const struct frame *frames, unsigned n)
{
    void *memory = malloc(held_size(frames, n));
    return memory ? held_fill(memory, frames, n) : NULL;
}

void held_free(struct held *h)
{
    if (!h)
        return;
    held_fini(h);
    free(h);
}
