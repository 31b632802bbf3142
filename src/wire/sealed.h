/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of a connection that seals them: opened where they were received, sealed as they go
 * out. Memory that this costs: a quarter MiB that all connections share, and for one whose
 * socket takes no more, at most as much again. */
#ifndef ERSA_WIRE_SEALED_H
#define ERSA_WIRE_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/curve_box.h"
#include "wire/msg.h"

struct peer;

#define SEAL_SIZE (256u << 10) /* octets that are sealed at once */

struct sealed {
    struct curve_link link;
    /* A large frame that is received: opened as it comes, and moved to the front of its block.
     */
    struct curve_stream *opening; /* owned; NULL: nothing yet */
    size_t opened;
    uint8_t flags;
    /* What was sealed and is not yet written. */
    uint8_t *out; /* wire's, or `left` */
    size_t out_len, out_at;
    size_t settled; /* of it: whole frames that are written, and off the queue */
    size_t
        covers; /* a piece of a large frame: octets of the queue that it stands for; else 0 */
    uint8_t *left; /* owned */
    /* A frame over SEAL_SIZE that is sent. Its tag comes first, so it is sealed twice: once for
     * that, and piece by piece as it is written. */
    struct curve_stream *sealing; /* owned; NULL: none */
    const uint8_t *payload;       /* kept by the queue */
    size_t payload_len, head_len; /* as queued */
    uint8_t seal_flags;
    bool has_tag;
    uint8_t head[CURVE_HEAD_SIZE];
};

/* NULL when out of memory. */
struct sealed *sealed_new(const struct curve_link *link);
void sealed_free(struct sealed *s); /* wiped; accepts NULL */

/* Of a large frame's body at `data`, `got` octets of `len` are there. 0 or an error. */
int sealed_open_some(struct sealed *s, uint8_t *data, size_t got, size_t len);
/* All of it is there and opened. ERSA_EPROTO when it is not what the other side sealed. */
int sealed_open_end(struct sealed *s);

/* Writes from the peer's queue what the socket takes. False: the connection has ended. */
bool sealed_flush(struct peer *p, size_t budget);

#endif
