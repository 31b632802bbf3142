/* SPDX-License-Identifier: BSD-3-Clause */
/* An array with a front that moves: it is empty most of the time, and then starts over. */
#include "engine/rtmarks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ersa/error.h"

int rtmarks_push(struct rtmarks *m, size_t at, int fd)
{
    if (m->n == m->cap && m->first) {
        memmove(m->items, m->items + m->first, (m->n - m->first) * sizeof(*m->items));
        m->n -= m->first;
        m->first = 0;
    }
    if (m->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 8;
        struct rtmark *items = reallocarray(m->items, cap, sizeof(*items));
        if (!items)
            return ERSA_ENOMEM;
        m->items = items;
        m->cap = cap;
    }
    m->items[m->n++] = (struct rtmark){at, fd};
    return 0;
}

const struct rtmark *rtmarks_front(const struct rtmarks *m)
{
    return m->first < m->n ? &m->items[m->first] : NULL;
}

void rtmarks_pop(struct rtmarks *m)
{
    if (++m->first == m->n)
        m->first = m->n = 0;
}

void rtmarks_fini(struct rtmarks *m, bool is_owner)
{
    for (size_t i = m->first; is_owner && i < m->n; i++)
        close(m->items[i].fd);
    free(m->items);
    *m = (struct rtmarks){0};
}
