/* SPDX-License-Identifier: BSD-3-Clause */
/* One producer, one consumer. `tail` belongs to the sender, `head` to the receiver; `asleep`
 * says that the receiver will wait for the eventfd: it sets it, then looks once more, so that
 * either it sees the item or the sender sees the flag. */
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
    _Alignas(64) _Atomic size_t head;
    _Alignas(64) atomic_bool asleep;

    /* the receiver's */
    struct loop *loop; /* borrowed; NULL: not watched */
    struct watch watch;
    struct defer more;
    ring_fn fn;
    void *ctx;
    unsigned batch;
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
    list_init(&r->more.link);
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
    if (tail - atomic_load_explicit(&r->head, memory_order_acquire) > r->mask)
        return ERSA_EFULL;
    r->items[tail & r->mask] = item;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_seq_cst);
    return 0;
}

void ring_flush(struct ring *r)
{
    if (atomic_exchange_explicit(&r->asleep, false, memory_order_seq_cst))
        wake(r);
}

size_t ring_room(const struct ring *r)
{
    struct ring *ring = (struct ring *)r;
    size_t used = atomic_load_explicit(&ring->tail, memory_order_relaxed) -
                  atomic_load_explicit(&ring->head, memory_order_acquire);
    return r->mask + 1 - used;
}

static bool is_empty(struct ring *r)
{
    return atomic_load_explicit(&r->tail, memory_order_seq_cst) ==
           atomic_load_explicit(&r->head, memory_order_relaxed);
}

void *ring_pop(struct ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&r->tail, memory_order_acquire))
        return NULL;
    void *item = r->items[head & r->mask];
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return item;
}

static void drain(struct ring *r)
{
    for (unsigned i = 0; i < r->batch; i++) {
        void *item = ring_pop(r);
        if (!item)
            break;
        r->fn(r->ctx, item);
        if (!r->loop) /* unwatched meanwhile */
            return;
    }
    if (is_empty(r)) {
        atomic_store_explicit(&r->asleep, true, memory_order_seq_cst);
        if (is_empty(r))
            return;
        atomic_store_explicit(&r->asleep, false, memory_order_seq_cst);
    }
    loop_defer(r->loop, &r->more);
}

static void on_more(struct defer *d)
{
    drain(container_of(d, struct ring, more));
}

static void on_ready(struct watch *w, unsigned events)
{
    struct ring *r = container_of(w, struct ring, watch);
    uint64_t count;
    ssize_t n = read(r->fd, &count, sizeof(count));
    (void)n;
    drain(r);
}

int ring_watch(struct ring *r, struct loop *l, ring_fn fn, void *ctx, unsigned batch)
{
    r->fn = fn;
    r->ctx = ctx;
    r->batch = batch;
    r->watch.fn = on_ready;
    r->more.fn = on_more;
    int rc = loop_watch(l, &r->watch, r->fd, LOOP_READ, LOOP_NORMAL);
    if (rc < 0)
        return rc;
    r->loop = l;
    loop_defer(l, &r->more);
    return 0;
}

void ring_unwatch(struct ring *r)
{
    if (!r->loop)
        return;
    loop_undefer(&r->more);
    loop_unwatch(r->loop, &r->watch);
    r->loop = NULL;
}
