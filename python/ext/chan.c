/* SPDX-License-Identifier: BSD-3-Clause */
/* Life of a channel, and the growable octets that both directions use. */
#include "chan.h"

#include <stdlib.h>
#include <unistd.h>

#define KEEP_BYTES 262144u

/* Counts the forks between the first process and this one, whoever made them. */
static unsigned generation;

static void note_fork(void)
{
    generation++;
}

int octets_reserve(struct octets *o, size_t more)
{
    if (more <= o->cap - o->len)
        return 0;
    if (more > SIZE_MAX / 4 - o->len)
        return -1;
    size_t cap = o->cap ? o->cap : 4096;
    while (cap < o->len + more)
        cap *= 2;
    uint8_t *data = realloc(o->data, cap);
    if (!data)
        return -1;
    o->data = data;
    o->cap = cap;
    return 0;
}

void octets_shrink(struct octets *o)
{
    if (o->len || o->cap <= KEEP_BYTES)
        return;
    free(o->data);
    *o = (struct octets){0};
}

struct chan *chan_new(int fd)
{
    struct chan *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return NULL;
    }
    c->refs = 1;
    c->fd = fd;
    if (generation == 0 && pthread_atfork(NULL, NULL, note_fork) == 0)
        generation = 1;
    c->generation = generation;
    pthread_mutex_init(&c->tx.lock, NULL);
    pthread_mutex_init(&c->pool.lock, NULL);
    return c;
}

void chan_close(struct chan *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    for (unsigned i = 0; i < c->rx.n_fds; i++)
        close(c->rx.fds[i]);
    c->rx.n_fds = 0;
}

void chan_unref(struct chan *c)
{
    if (--c->refs)
        return;
    chan_close(c);
    borrow_fini(&c->borrowed);
    lend_fini(&c->pool);
    free(c->rx.in.data);
    free(c->tx.out.data);
    free(c);
}

void chan_after_fork(struct chan *c)
{
    chan_close(c);
    c->is_child = true;
    c->borrowed.n_returned = 0;
    pthread_mutex_init(&c->tx.lock, NULL);
    pthread_mutex_init(&c->pool.lock, NULL);
}

bool chan_is_child(struct chan *c)
{
    if (!c->is_child && generation != c->generation)
        chan_after_fork(c);
    return c->is_child;
}
