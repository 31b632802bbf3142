/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks by size class: powers of two and the middle between two of them, so that at most a
 * third is waste. All memory is mapped, not from the heap: what is trimmed goes back to the
 * system. */
#include "util/block.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLASS_MIN_LOG 16 /* 64 KiB */
#define CLASS_MAX_LOG 46
#define N_CLASSES (2 * (CLASS_MAX_LOG - CLASS_MIN_LOG))

struct block_pool {
    pthread_t owner;
    size_t keep_bytes;
    bool shared;
    uint32_t next_id;
    _Atomic size_t used;
    size_t kept;
    struct block *free[N_CLASSES];
    _Atomic(struct block *) returned; /* by other threads */
};

static size_t class_bytes(unsigned c)
{
    size_t base = (size_t)1 << (CLASS_MIN_LOG + c / 2);
    return c % 2 ? base + base / 2 : base;
}

/* The smallest class that holds `len`; N_CLASSES when there is none. */
static unsigned class_of(size_t len)
{
    unsigned c = 0;
    if (len > (size_t)1 << CLASS_MAX_LOG)
        return N_CLASSES;
    if (len > (size_t)1 << CLASS_MIN_LOG)
        c = 2 * (63 - (unsigned)__builtin_clzl(len) - CLASS_MIN_LOG);
    while (c < N_CLASSES && class_bytes(c) < len)
        c++;
    return c;
}

/* Another process may still map a shared block: its memory goes back all the same. */
static void destroy(struct block *b)
{
    munmap(b->data, b->cap);
    if (b->fd >= 0) {
        fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)b->cap);
        close(b->fd);
    }
    free(b);
}

/* Shared memory as long as there are descriptors: private memory holds a message as well. */
static int make_memfd(size_t cap)
{
    int fd = memfd_create("ersa-block", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)cap) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static struct block *create(struct block_pool *p, size_t cap)
{
    struct block *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->fd = p->shared ? make_memfd(cap) : -1;
    int flags = b->fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    b->data = mmap(NULL, cap, PROT_READ | PROT_WRITE, flags, b->fd, 0);
    if (b->data == MAP_FAILED) {
        if (b->fd >= 0)
            close(b->fd);
        free(b);
        return NULL;
    }
    b->cap = cap;
    b->pool = p;
    b->id = ++p->next_id;
    return b;
}

/* The owner's thread: keeps the block for the next message, or gives it back. */
static void retire(struct block_pool *p, struct block *b)
{
    if (p->kept + b->cap > p->keep_bytes) {
        destroy(b);
        return;
    }
    unsigned c = class_of(b->cap);
    b->user = NULL;
    b->next_free = p->free[c];
    p->free[c] = b;
    p->kept += b->cap;
}

static void take_returned(struct block_pool *p)
{
    struct block *b = atomic_exchange_explicit(&p->returned, NULL, memory_order_acquire);
    while (b) {
        struct block *next = b->next_free;
        retire(p, b);
        b = next;
    }
}

struct block_pool *block_pool_new(size_t keep_bytes, bool shared)
{
    struct block_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->owner = pthread_self();
    p->keep_bytes = keep_bytes;
    p->shared = shared;
    return p;
}

void block_pool_free(struct block_pool *p)
{
    if (!p)
        return;
    block_pool_trim(p, 0);
    free(p);
}

struct block *block_get(struct block_pool *p, size_t len)
{
    if (atomic_load_explicit(&p->returned, memory_order_relaxed))
        take_returned(p);
    unsigned c = class_of(len);
    if (c == N_CLASSES)
        return NULL;
    struct block *b = p->free[c];
    if (b) {
        p->free[c] = b->next_free;
        p->kept -= b->cap;
    } else {
        b = create(p, class_bytes(c));
        if (!b)
            return NULL;
    }
    b->next_free = NULL;
    atomic_store_explicit(&b->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->used, b->cap, memory_order_relaxed);
    return b;
}

void block_unref(struct block *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (b->release) {
        b->release(b);
        return;
    }
    struct block_pool *p = b->pool;
    atomic_fetch_sub_explicit(&p->used, b->cap, memory_order_relaxed);
    if (pthread_equal(pthread_self(), p->owner)) {
        retire(p, b);
        return;
    }
    struct block *head = atomic_load_explicit(&p->returned, memory_order_relaxed);
    do
        b->next_free = head;
    while (!atomic_compare_exchange_weak_explicit(&p->returned, &head, b, memory_order_release,
                                                  memory_order_relaxed));
}

void block_wrap(struct block *b, void *data, size_t cap, void (*release)(struct block *b))
{
    *b = (struct block){.data = data, .cap = cap, .fd = -1, .release = release};
    atomic_init(&b->refs, 1);
}

size_t block_pool_used(const struct block_pool *p)
{
    return atomic_load_explicit(&((struct block_pool *)p)->used, memory_order_relaxed);
}

size_t block_pool_kept(const struct block_pool *p)
{
    return p->kept;
}

void block_pool_trim(struct block_pool *p, size_t keep)
{
    take_returned(p);
    for (unsigned c = N_CLASSES; c-- > 0 && p->kept > keep;) {
        while (p->free[c] && p->kept > keep) {
            struct block *b = p->free[c];
            p->free[c] = b->next_free;
            p->kept -= b->cap;
            destroy(b);
        }
    }
}
