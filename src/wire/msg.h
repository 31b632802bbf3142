/* SPDX-License-Identifier: BSD-3-Clause */
/* A message: an ordered list of frames, delivered whole.
 *
 * A received message points into the receive buffer, and its frames of WIRE_COPY_MAX octets or
 * more into blocks of their own. Nothing of it outlives the callback, except by msg_hold()
 * (small frames are copied once into one piece of memory, large ones referenced) or
 * block_ref(). */
#ifndef ERSA_WIRE_MSG_H
#define ERSA_WIRE_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "util/block.h"
#include "util/str.h"

#define WIRE_COPY_MAX 65536

struct frame {
    const uint8_t *data;
    size_t len;
    struct block *block; /* borrowed; NULL: small, to be copied by whoever keeps it */
};

#define FRAME_LIT(s) ((struct frame){(const uint8_t *)(s), sizeof(s) - 1, NULL})

struct msg {
    const struct frame *frames;
    unsigned n;
};

static inline struct slice frame_slice(const struct frame *f)
{
    return (struct slice){(const char *)f->data, f->len};
}

/* A message that waits: one allocation. */
struct held {
    size_t bytes; /* everything it keeps alive, for accounting */
    unsigned n;
    struct frame frames[]; /* small ones point behind this array, large ones hold a reference */
};

/* NULL when out of memory. */
struct held *msg_hold(const struct frame *frames, unsigned n);
void held_free(struct held *h); /* accepts NULL */

/* The same as a part of something larger: octets that it takes, filling them (`memory` is
 * aligned for a pointer), and letting go of the blocks. */
size_t held_size(const struct frame *frames, unsigned n);
struct held *held_fill(void *memory, const struct frame *frames, unsigned n);
void held_fini(struct held *h);

#endif
