/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference-counted memory blocks for payload, kept and reused by size class: page faults are
 * what large frames cost, so a block that is let go waits for the next message.
 *
 * One `block_pool` per thread, and only its thread calls block_get() and the pool functions.
 * References are atomic: any thread may take and drop them. A block whose last reference goes
 * in another thread is put on the pool's return list, which the owner drains in block_get(). A
 * pool with `shared` set backs each block by a memfd of its own, so that it can be handed to
 * another process (engine -> runtime) without a copy; when descriptors run out, its blocks are
 * private ones with `fd` -1. */
#ifndef ERSA_UTIL_BLOCK_H
#define ERSA_UTIL_BLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_pool;

struct block {
    uint8_t *data;
    size_t cap;  /* usable octets at data */
    int fd;      /* memfd of a shared pool, else -1; owned by the block */
    uint32_t id; /* unique in its pool for the pool's life */
    atomic_uint refs;
    struct block_pool *pool;          /* borrowed; NULL: of no pool (block_wrap) */
    void (*release)(struct block *b); /* instead of going back to the pool */
    struct block *next_free;          /* pool's free or return list */
    void *user; /* for the pool's owner; reset to NULL when the block is reused */
};

/* `keep_bytes`: how much free memory the pool may hold on to. NULL when out of memory. */
struct block_pool *block_pool_new(size_t keep_bytes, bool shared);
/* Every block must have been unreferenced before. */
void block_pool_free(struct block_pool *p);

/* A block of at least `len` octets with one reference, contents undefined, or NULL. */
struct block *block_get(struct block_pool *p, size_t len);
static inline struct block *block_ref(struct block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}
/* Accepts NULL. */
void block_unref(struct block *b);

/* Makes a block of memory that is no pool's, with one reference: `release` is called by whoever
 * drops the last one, in his thread, and may make it a block again. `b` and `data` are the
 * caller's and live until then. */
void block_wrap(struct block *b, void *data, size_t cap, void (*release)(struct block *b));

/* Octets held by referenced blocks, and by free ones. */
size_t block_pool_used(const struct block_pool *p);
size_t block_pool_kept(const struct block_pool *p);

/* Gives kept memory back to the system down to `keep` octets (an idle program is small). */
void block_pool_trim(struct block_pool *p, size_t keep);

#endif
