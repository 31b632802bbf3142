/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of the engine: mapped once each, used by one part of a message at a time. A use ends
 * in the thread that drops the last reference to it; its id waits in a list until the next
 * message. */
#include "chan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct mapping *borrow_find(const struct borrowed *b, uint32_t id)
{
    struct mapping *m = b->buckets[id % BUCKETS];
    while (m && m->id != id)
        m = m->next;
    return m;
}

/* A file that can shrink under its mapping would end us with SIGBUS. */
static void *map_sealed(int fd, uint64_t cap)
{
    struct stat st;
    if (cap == 0 || cap > SIZE_MAX / 4 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size < cap)
        return MAP_FAILED;
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    return mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

const char *borrow_announce(struct borrowed *b, uint32_t id, uint64_t cap, int fd)
{
    struct mapping *m = borrow_find(b, id);
    if (id == 0 || (m && m->is_used) || (!m && b->n == MAPPINGS_MAX)) {
        close(fd);
        return "a BLOCK that is in use, or one too many";
    }
    void *data = map_sealed(fd, cap);
    close(fd);
    if (data == MAP_FAILED)
        return "a BLOCK that can't be mapped";
    if (m) {
        munmap(m->data, m->cap);
    } else {
        m = calloc(1, sizeof(*m));
        if (!m) {
            munmap(data, cap);
            return "out of memory";
        }
        m->id = id;
        m->next = b->buckets[id % BUCKETS];
        b->buckets[id % BUCKETS] = m;
        b->n++;
    }
    m->data = data;
    m->cap = cap;
    return NULL;
}

void borrow_use(struct borrowed *b, struct mapping *m, size_t len, struct use *u)
{
    m->is_used = true;
    *u = (struct use){.map = m, .data = m->data, .len = len, .next = b->live};
    if (b->live)
        b->live->prev = u;
    b->live = u;
}

static void unlink_use(struct borrowed *b, struct use *u)
{
    if (u->prev)
        u->prev->next = u->next;
    else
        b->live = u->next;
    if (u->next)
        u->next->prev = u->prev;
    u->prev = u->next = NULL;
}

/* Without memory for the list the block stays with us: lost, but nobody writes into it. */
static void note_returned(struct borrowed *b, uint32_t id)
{
    if (b->n_returned == b->cap_returned) {
        size_t cap = b->cap_returned ? 2 * b->cap_returned : 64;
        uint32_t *ids = reallocarray(b->returned, cap, sizeof(*ids));
        if (!ids)
            return;
        b->returned = ids;
        b->cap_returned = cap;
    }
    b->returned[b->n_returned++] = id;
}

void borrow_return(struct chan *c, struct use *u)
{
    if (!u->map) {
        if (u->own_cap)
            munmap(u->data, u->own_cap);
        return;
    }
    unlink_use(&c->borrowed, u);
    u->map->is_used = false;
    if (!c->is_child && c->fd >= 0)
        note_returned(&c->borrowed, u->map->id);
    u->map = NULL;
}

/* The block gets a second address, then its first one gets memory of our own. */
static bool make_own(struct use *u)
{
    struct mapping *m = u->map;
    void *own = mmap(NULL, m->cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (own == MAP_FAILED)
        return false;
    void *shared = mremap(m->data, 0, m->cap, MREMAP_MAYMOVE);
    if (shared == MAP_FAILED) {
        munmap(own, m->cap);
        return false;
    }
    memcpy(own, m->data, u->len);
    if (mremap(own, m->cap, m->cap, MREMAP_MAYMOVE | MREMAP_FIXED, m->data) == MAP_FAILED) {
        munmap(own, m->cap);
        munmap(shared, m->cap);
        return false;
    }
    u->own_cap = m->cap;
    m->data = shared;
    return true;
}

void borrow_make_own(struct borrowed *b)
{
    struct use *next;
    for (struct use *u = b->live; u; u = next) {
        next = u->next;
        if (!make_own(u))
            continue;
        unlink_use(b, u);
        u->map->is_used = false;
        note_returned(b, u->map->id);
        u->map = NULL;
    }
}

void borrow_fini(struct borrowed *b)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (b->buckets[i]) {
            struct mapping *m = b->buckets[i];
            b->buckets[i] = m->next;
            munmap(m->data, m->cap);
            free(m);
        }
    }
    free(b->returned);
    b->returned = NULL;
}
