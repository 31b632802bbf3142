/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages that wait: array of frames and their small octets in one piece of memory. */
#include "wire/msg.h"

#include <stdlib.h>
#include <string.h>

struct held *msg_hold(const struct frame *frames, unsigned n)
{
    size_t small = 0, large = 0;
    for (unsigned i = 0; i < n; i++) {
        if (frames[i].block)
            large += frames[i].block->cap;
        else
            small += frames[i].len;
    }
    size_t size = sizeof(struct held) + n * sizeof(struct frame) + small;
    struct held *h = malloc(size);
    if (!h)
        return NULL;
    h->bytes = size + large;
    h->n = n;
    uint8_t *at = (uint8_t *)(h->frames + n);
    for (unsigned i = 0; i < n; i++) {
        h->frames[i] = frames[i];
        if (frames[i].block) {
            block_ref(frames[i].block);
            continue;
        }
        if (frames[i].len)
            memcpy(at, frames[i].data, frames[i].len);
        h->frames[i].data = at;
        at += frames[i].len;
    }
    return h;
}

void held_free(struct held *h)
{
    if (!h)
        return;
    for (unsigned i = 0; i < h->n; i++)
        block_unref(h->frames[i].block);
    free(h);
}
