/* SPDX-License-Identifier: BSD-3-Clause */
/* A message that may wait beside a million others: its octets, two more a frame for its length,
 * and nothing else (a frame in an array costs 24). It lives at the end of whatever keeps it, in
 * one allocation. Frames in blocks are referenced, as msg_hold() does. */
#ifndef ERSA_WIRE_PACKED_H
#define ERSA_WIRE_PACKED_H

#include "wire/msg.h"

struct packed {
    size_t bytes;       /* everything it keeps alive, for accounting */
    uint32_t n, n_long; /* frames; those too long for two octets, or in blocks */
    uint8_t data[];     /* the long frames as struct frame, the lengths, the octets */
};

/* Octets that packed_fill() will write, the head included. */
size_t packed_size(const struct frame *frames, unsigned n);
/* `p` is aligned for a pointer and has that room. */
void packed_fill(struct packed *p, const struct frame *frames, unsigned n);
/* Lets go of the blocks; the memory is the owner's. */
void packed_fini(struct packed *p);

/* Writes its `n` frames, which point into it (and borrow its blocks). */
void packed_frames(const struct packed *p, struct frame *out);
/* One of them; costs as much as there are frames before it. */
struct slice packed_frame(const struct packed *p, unsigned i);

#endif
