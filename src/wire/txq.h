/* SPDX-License-Identifier: BSD-3-Clause */
/* What waits to be sent to one peer: encoded frames, in order. Small octets stand in chunks
 * that are shared by all queues of a loop and reused; large payload is referenced. Whole
 * messages go in, and are let go only when they were written whole: after a broken connection
 * the first one is sent again from its start. */
#ifndef ERSA_WIRE_TXQ_H
#define ERSA_WIRE_TXQ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire/msg.h"

struct chunk;

/* Memory that the queues of a loop share. */
struct chunk_pool {
    struct chunk *free; /* owned */
    unsigned n_free;
    struct chunk *shared;      /* owned; where queues that were empty have their first octets */
    struct block_pool *blocks; /* borrowed: for large frames that come without a block */
};
void chunk_pool_fini(struct chunk_pool *p);

struct seg {
    const uint8_t *data;
    size_t len;
    struct block *block; /* a reference, or NULL */
    struct chunk *chunk; /* where `data` is, or NULL */
};

struct txq {
    struct seg *segs; /* owned ring of them */
    unsigned cap, first, n;
    size_t bytes;       /* not yet written */
    size_t written;     /* octets of the first message that are */
    struct chunk *fill; /* that of the last segment, with room behind it */
};

void txq_fini(struct txq *q, struct chunk_pool *p);

/* Appends a message. 0, or ERSA_ENOMEM and the queue is as before. */
int txq_put(struct txq *q, struct chunk_pool *p, const struct frame *frames, unsigned n);
/* Appends octets that are whole frames already (commands). */
int txq_put_raw(struct txq *q, struct chunk_pool *p, const void *data, size_t len);

/* Fills `iov` with what comes next; returns how many. */
unsigned txq_peek(const struct txq *q, struct iovec *iov, unsigned max);
/* `n` octets were written. */
void txq_advance(struct txq *q, struct chunk_pool *p, size_t n);
/* The connection is gone: the message that was under way starts again. */
void txq_rewind(struct txq *q);
/* Moves everything from one rewound queue to the end of another. 0 or ERSA_ENOMEM (nothing
 * moved). */
int txq_move(struct txq *to, struct txq *from);

#endif
