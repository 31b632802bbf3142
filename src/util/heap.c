/* SPDX-License-Identifier: BSD-3-Clause */
/* Binary heap of embedded nodes; items[i] knows that it is at i (index i + 1). */
#include "util/heap.h"

#include <stdlib.h>

#include "ersa/error.h"

static void place(struct heap *h, size_t i, struct heap_node *node)
{
    h->items[i] = node;
    node->index = i + 1;
}

static void sift_up(struct heap *h, size_t i, struct heap_node *node)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!h->less(node, h->items[parent]))
            break;
        place(h, i, h->items[parent]);
        i = parent;
    }
    place(h, i, node);
}

static void sift_down(struct heap *h, size_t i, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->less(h->items[child + 1], h->items[child]))
            child++;
        if (!h->less(h->items[child], node))
            break;
        place(h, i, h->items[child]);
        i = child;
    }
    place(h, i, node);
}

static void settle(struct heap *h, size_t i, struct heap_node *node)
{
    if (i > 0 && h->less(node, h->items[(i - 1) / 2]))
        sift_up(h, i, node);
    else
        sift_down(h, i, node);
}

void heap_init(struct heap *h, heap_less_fn less)
{
    *h = (struct heap){.less = less};
}

void heap_fini(struct heap *h)
{
    for (size_t i = 0; i < h->n; i++)
        h->items[i]->index = 0;
    free(h->items);
    h->items = NULL;
    h->n = h->cap = 0;
}

int heap_push(struct heap *h, struct heap_node *node)
{
    if (h->n == h->cap) {
        size_t cap = h->cap ? 2 * h->cap : 16;
        struct heap_node **items = reallocarray(h->items, cap, sizeof(struct heap_node *));
        if (!items)
            return ERSA_ENOMEM;
        h->items = items;
        h->cap = cap;
    }
    sift_up(h, h->n++, node);
    return 0;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (node->index == 0)
        return;
    size_t i = node->index - 1;
    struct heap_node *last = h->items[--h->n];
    node->index = 0;
    if (last != node)
        settle(h, i, last);
}

void heap_changed(struct heap *h, struct heap_node *node)
{
    if (node->index)
        settle(h, node->index - 1, node);
}
