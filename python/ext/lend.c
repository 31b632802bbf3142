/* SPDX-License-Identifier: BSD-3-Clause */
/* Our blocks: memfds that are filled by one message at a time and used again when the engine
 * has given them back. Their pages stay warm up to a bound, as page faults are what large
 * messages cost; beyond it the pages go and only the addresses stay. */
#include "chan.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCKS_MAX 32768u /* as many as the engine takes */
#define WARM_MAX (64u << 20)

/* Up to an eighth more than needed, so that sizes that vary a little share blocks. */
static size_t capacity_for(size_t len)
{
    size_t step = RT_SHM_MIN;
    while (step < len / 8)
        step *= 2;
    return (len + step - 1) / step * step;
}

static int make(struct lent *x, size_t len)
{
    size_t cap = capacity_for(len ? len : 1);
    int fd = memfd_create("ersa-result", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    void *data = MAP_FAILED;
    if (ftruncate(fd, (off_t)cap) == 0)
        data = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
        close(fd);
        return -1;
    }
    if (x->data)
        munmap(x->data, x->cap);
    *x = (struct lent){.data = data, .cap = cap};
    return fd;
}

static struct lent *add(struct pool *p)
{
    if (p->n == BLOCKS_MAX)
        return NULL;
    if (p->n == p->cap) {
        uint32_t cap = p->cap ? 2 * p->cap : 16;
        struct lent *blocks = reallocarray(p->blocks, cap, sizeof(*blocks));
        if (!blocks)
            return NULL;
        p->blocks = blocks;
        p->cap = cap;
    }
    p->blocks[p->n] = (struct lent){0};
    return &p->blocks[p->n++];
}

/* The smallest free block that is large enough, else the largest free one (to be replaced). */
static struct lent *pick(struct pool *p, size_t len)
{
    struct lent *best = NULL;
    for (uint32_t i = 0; i < p->n; i++) {
        struct lent *x = &p->blocks[i];
        if (x->is_used)
            continue;
        bool is_fit = x->cap >= len, has_fit = best && best->cap >= len;
        if (!best || (is_fit ? !has_fit || x->cap < best->cap : !has_fit && x->cap > best->cap))
            best = x;
    }
    return best;
}

uint32_t lend_take(struct pool *p, size_t len, uint8_t **ret_data, size_t *ret_cap, int *ret_fd)
{
    *ret_fd = -1;
    if (len > SIZE_MAX / 4)
        return 0;
    pthread_mutex_lock(&p->lock);
    uint32_t id = 0;
    struct lent *x = pick(p, len);
    if (!x)
        x = add(p);
    if (x && !x->is_cold && x->data)
        p->warm_free -= x->cap;
    if (x && (!x->data || x->cap < len))
        *ret_fd = make(x, len);
    if (x && x->data && x->cap >= len) {
        x->is_used = true;
        x->is_cold = false;
        *ret_data = x->data;
        *ret_cap = x->cap;
        id = (uint32_t)(x - p->blocks) + 1;
    } else if (x && x->data && !x->is_cold) {
        p->warm_free += x->cap;
    }
    pthread_mutex_unlock(&p->lock);
    return id;
}

int lend_back(struct pool *p, uint32_t id)
{
    int rc = -1;
    pthread_mutex_lock(&p->lock);
    if (id && id <= p->n && p->blocks[id - 1].is_used) {
        struct lent *x = &p->blocks[id - 1];
        x->is_used = false;
        if (p->warm_free + x->cap > WARM_MAX && madvise(x->data, x->cap, MADV_REMOVE) == 0)
            x->is_cold = true;
        else
            p->warm_free += x->cap;
        rc = 0;
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

void lend_fini(struct pool *p)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (p->blocks[i].data)
            munmap(p->blocks[i].data, p->blocks[i].cap);
    free(p->blocks);
    p->blocks = NULL;
    p->n = p->cap = 0;
}
