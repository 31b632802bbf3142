/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded mailbox from one thread to one other: a ring of pointers and an eventfd. Sending
 * never blocks; who reads is woken only when asleep. What a pointer points at belongs to the
 * receiver from the moment of ring_push(). */
#ifndef ERSA_LOOP_RING_H
#define ERSA_LOOP_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/loop.h"

struct ring;
typedef void (*ring_fn)(void *ctx, void *item);

/* `cap` is rounded up to a power of two. NULL when out of memory or descriptors. */
struct ring *ring_new(size_t cap);
void ring_free(struct ring *r); /* must be empty */

/* Sender's thread. 0, or ERSA_EFULL and nothing changed. */
int ring_push(struct ring *r, void *item);
/* Sender's thread: wakes the reader if it sleeps; called once per turn after pushes. */
void ring_flush(struct ring *r);
size_t ring_room(const struct ring *r);
/* What heavy items weigh, which are to be bounded by that as well: the sender adds before it
 * pushes one, the receiver takes away when it has let go of it. Any thread. */
void ring_load(struct ring *r, size_t weight);
void ring_unload(struct ring *r, size_t weight);
size_t ring_loaded(const struct ring *r);
size_t ring_cap(const struct ring *r); /* any thread */
/* Whether the receiver takes nothing until further notice. It says so, anybody may ask. */
void ring_stall(struct ring *r, bool is_stalled);
bool ring_is_stalled(const struct ring *r);

/* Receiver's thread: takes the next item, NULL when empty. */
void *ring_pop(struct ring *r);
/* The same, but it stays there. */
void *ring_peek(struct ring *r);
/* That of which `i` are taken first, NULL when there are not so many. */
void *ring_at(struct ring *r, size_t i);
/* Receiver's thread: from now on `l` calls fn for each item as they come, at most `batch` a
 * turn. */
int ring_watch(struct ring *r, struct loop *l, ring_fn fn, void *ctx, unsigned batch);
void ring_unwatch(struct ring *r);

#endif
