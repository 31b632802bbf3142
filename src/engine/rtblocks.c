/* SPDX-License-Identifier: BSD-3-Clause */
/* Lending and borrowing; the protocol around it is in rtchannel.c. */
#include "engine/rtblocks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ersa/error.h"

/* Lending */

struct lent {
    struct list link; /* in lender.free while not lent */
    uint32_t number;
    uint32_t block_id;   /* of the block that the runtime knows under this number */
    struct block *block; /* a reference while lent, else NULL */
};

void lender_init(struct lender *l)
{
    *l = (struct lender){0};
    map_init(&l->by_block);
    list_init(&l->free);
}

void lender_fini(struct lender *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        block_unref(l->slots[i]->block);
        free(l->slots[i]);
    }
    free(l->slots);
    map_fini(&l->by_block);
}

static struct lent *add_slot(struct lender *l)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? 2 * l->cap : 16;
        struct lent **slots = reallocarray(l->slots, cap, sizeof(struct lent *));
        if (!slots)
            return NULL;
        l->slots = slots;
        l->cap = cap;
    }
    struct lent *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    list_init(&s->link);
    l->slots[l->n++] = s;
    s->number = l->n;
    return s;
}

/* A number for a block that the runtime does not know. */
static struct lent *take_slot(struct lender *l, const struct block *b)
{
    struct lent *s;
    if (l->n < LEND_KEEP || list_is_empty(&l->free)) {
        s = add_slot(l);
        if (!s)
            return NULL;
    } else {
        s = container_of(list_pop_front(&l->free), struct lent, link);
        map_remove(&l->by_block, &s->block_id, sizeof(s->block_id));
    }
    s->block_id = b->id;
    if (map_put(&l->by_block, &s->block_id, sizeof(s->block_id), s) == 0)
        return s;
    s->block_id = 0; /* no block of a pool: the number waits for a better day */
    list_push_front(&l->free, &s->link);
    return NULL;
}

uint32_t lender_lend(struct lender *l, struct block *b, bool *ret_announce)
{
    struct lent *s = map_get(&l->by_block, &b->id, sizeof(b->id));
    if (s && s->block)
        return 0;
    *ret_announce = !s;
    if (s)
        list_remove(&s->link);
    else if (!(s = take_slot(l, b)))
        return 0;
    s->block = block_ref(b);
    return s->number;
}

int lender_back(struct lender *l, uint32_t number)
{
    if (number == 0 || number > l->n || !l->slots[number - 1]->block)
        return ERSA_EPROTO;
    struct lent *s = l->slots[number - 1];
    block_unref(s->block);
    s->block = NULL;
    list_push_back(&l->free, &s->link);
    return 0;
}

void lender_undo(struct lender *l, uint32_t number, bool was_announced)
{
    struct lent *s = l->slots[number - 1];
    lender_back(l, number);
    if (was_announced)
        return;
    list_remove(&s->link);
    list_push_front(&l->free, &s->link);
    map_remove(&l->by_block, &s->block_id, sizeof(s->block_id));
    s->block_id = 0;
}

/* Borrowing */

struct borrowed {
    struct block block;
    uint32_t id;
    bool is_used;
    struct borrower *owner; /* borrowed; NULL: it is gone, the last reference frees */
};

static void free_borrowed(struct borrowed *x)
{
    munmap(x->block.data, x->block.cap);
    free(x);
}

static void on_release(struct block *b)
{
    struct borrowed *x = container_of(b, struct borrowed, block);
    x->is_used = false;
    if (!x->owner)
        free_borrowed(x);
    else
        x->owner->release(x->owner->ctx, x->id);
}

void borrower_init(struct borrower *b, borrower_release_fn release, void *ctx)
{
    *b = (struct borrower){.release = release, .ctx = ctx};
    map_init(&b->by_id);
}

static void let_go(struct borrowed *x)
{
    x->owner = NULL;
    if (!x->is_used)
        free_borrowed(x);
}

void borrower_fini(struct borrower *b)
{
    size_t pos = 0;
    struct borrowed *x;
    while ((x = map_next(&b->by_id, &pos))) {
        map_remove(&b->by_id, &x->id, sizeof(x->id));
        let_go(x);
    }
    map_fini(&b->by_id);
}

/* A file that can shrink under a mapping would be a SIGBUS in somebody else's hands. */
static void *map_sealed(int fd, uint64_t cap)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || cap == 0 || (uint64_t)st.st_size < cap)
        return MAP_FAILED;
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    return mmap(NULL, cap, PROT_READ, MAP_SHARED, fd, 0);
}

int borrower_announce(struct borrower *b, uint32_t id, uint64_t cap, int fd)
{
    struct borrowed *old = map_get(&b->by_id, &id, sizeof(id));
    bool is_allowed = id && cap <= SIZE_MAX / 2 && !(old && old->is_used) &&
                      (old || map_size(&b->by_id) < BORROW_MAX);
    void *data = is_allowed ? map_sealed(fd, cap) : MAP_FAILED;
    close(fd);
    if (data == MAP_FAILED)
        return ERSA_EPROTO;
    if (old) {
        map_remove(&b->by_id, &old->id, sizeof(old->id));
        let_go(old);
    }
    struct borrowed *x = calloc(1, sizeof(*x));
    if (x) {
        block_wrap(&x->block, data, cap, on_release);
        x->id = id;
        x->owner = b;
        if (map_put(&b->by_id, &x->id, sizeof(x->id), x) == 0)
            return 0;
        free(x);
    }
    munmap(data, cap);
    return ERSA_ENOMEM;
}

struct block *borrower_use(struct borrower *b, uint32_t id, uint64_t len)
{
    struct borrowed *x = map_get(&b->by_id, &id, sizeof(id));
    if (!x || x->is_used || len > x->block.cap)
        return NULL;
    x->is_used = true;
    atomic_store_explicit(&x->block.refs, 1, memory_order_relaxed);
    return &x->block;
}
