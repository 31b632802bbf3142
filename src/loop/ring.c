/* SPDX-License-Identifier: BSD-3-Clause */
/* One producer, one consumer. `tail` belongs to the sender, `head` to the receiver, and each
 * keeps what it last saw of the other's, so that the cache line crosses once for many items.
 *
 * `asleep` says that the receiver waits for the eventfd. It is changed by atomic exchange only,
 * so there is an order of all changes and each sees what came before it: either the sender's
 * flush comes first, then the receiver's second look sees the items, or it finds the flag set.
 * While items remain the eventfd stays readable, and the next turn goes on with them. */
#include "loop/ring.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ersa/error.h"
#include "util/list.h"

struct ring {
    size_t mask;
    int fd;
    void **items; /* owned; what they point at is on its way to the receiver */
    _Alignas(64) _Atomic size_t tail;
    size_t head_seen; /* the sender's */
    _Alignas(64) _Atomic size_t head;
    size_t tail_seen;  /* the receiver's, as is what follows */
    struct loop *loop; /* borrowed; NULL: not watched */
    struct watch watch;
    ring_fn fn;
    void *ctx;
    unsigned batch;
    _Alignas(64) atomic_bool asleep;
    atomic_bool is_stalled;
    _Alignas(64) _Atomic size_t load;
};

static void wake(struct ring *r)
{
    uint64_t one = 1;
    ssize_t n = write(r->fd, &one, sizeof(one));
    (void)n; /* a full counter wakes as well */
}

struct ring *ring_new(size_t cap)
{
    size_t n = 2;
    while (n < cap)
        n *= 2;
    struct ring *r = aligned_alloc(64, (sizeof(*r) + 63) / 64 * 64);
    if (!r)
        return NULL;
    *r = (struct ring){.mask = n - 1, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    r->items = calloc(n, sizeof(*r->items));
    if (r->fd < 0 || !r->items) {
        ring_free(r);
        return NULL;
    }
    return r;
}

void ring_free(struct ring *r)
{
    if (!r)
        return;
    ring_unwatch(r);
    if (r->fd >= 0)
        close(r->fd);
    free(r->items);
    free(r);
}

int ring_push(struct ring *r, void *item)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail - r->head_seen > r->mask) {
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
        if (tail - r->head_seen > r->mask)
            return ERSA_EFULL;
    }
    r->items[tail & r->mask] = item;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return 0;
}

void ring_flush(struct ring *r)
{
    if (atomic_exchange_explicit(&r->asleep, false, memory_order_acq_rel))
        wake(r);
}

size_t ring_room(const struct ring *r)
{
    struct ring *ring = (struct ring *)r;
    size_t used = atomic_load_explicit(&ring->tail, memory_order_relaxed) -
                  atomic_load_explicit(&ring->head, memory_order_acquire);
    return r->mask + 1 - used;
}

size_t ring_cap(const struct ring *r)
{
    return r->mask + 1;
}

void ring_stall(struct ring *r, bool is_stalled)
{
    atomic_store_explicit(&r->is_stalled, is_stalled, memory_order_release);
}

bool ring_is_stalled(const struct ring *r)
{
    struct ring *ring = (struct ring *)r;
    return atomic_load_explicit(&ring->is_stalled, memory_order_acquire);
}

void ring_load(struct ring *r, size_t weight)
{
    atomic_fetch_add_explicit(&r->load, weight, memory_order_relaxed);
}

void ring_unload(struct ring *r, size_t weight)
{
    atomic_fetch_sub_explicit(&r->load, weight, memory_order_relaxed);
}

size_t ring_loaded(const struct ring *r)
{
    struct ring *ring = (struct ring *)r;
    return atomic_load_explicit(&ring->load, memory_order_relaxed);
}

static bool is_empty(struct ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head == r->tail_seen)
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
    return head == r->tail_seen;
}

void *ring_peek(struct ring *r)
{
    if (is_empty(r))
        return NULL;
    return r->items[atomic_load_explicit(&r->head, memory_order_relaxed) & r->mask];
}

void *ring_at(struct ring *r, size_t i)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (r->tail_seen - head <= i)
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
    return r->tail_seen - head > i ? r->items[(head + i) & r->mask] : NULL;
}

void *ring_pop(struct ring *r)
{
    if (is_empty(r))
        return NULL;
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    void *item = r->items[head & r->mask];
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return item;
}

/* The eventfd is emptied before the flag is set: whoever finds it set makes it readable again.
 */
static void fall_asleep(struct ring *r)
{
    uint64_t count;
    ssize_t n = read(r->fd, &count, sizeof(count));
    (void)n;
    atomic_exchange_explicit(&r->asleep, true, memory_order_acq_rel);
    if (!is_empty(r) && atomic_exchange_explicit(&r->asleep, false, memory_order_acq_rel))
        wake(r);
}

static void on_ready(struct watch *w, unsigned events)
{
    struct ring *r = container_of(w, struct ring, watch);
    void *item;
    for (unsigned i = 0; i < r->batch && (item = ring_pop(r)); i++) {
        r->fn(r->ctx, item);
        if (!r->loop) /* unwatched meanwhile */
            return;
    }
    if (is_empty(r))
        fall_asleep(r);
}

int ring_watch(struct ring *r, struct loop *l, ring_fn fn, void *ctx, unsigned batch)
{
    r->fn = fn;
    r->ctx = ctx;
    r->batch = batch;
    r->watch.fn = on_ready;
    int rc = loop_watch(l, &r->watch, r->fd, LOOP_READ, LOOP_NORMAL);
    if (rc < 0)
        return rc;
    r->loop = l;
    wake(r); /* for what is there already */
    return 0;
}

void ring_unwatch(struct ring *r)
{
    if (!r->loop)
        return;
    loop_unwatch(r->loop, &r->watch);
    r->loop = NULL;
}
