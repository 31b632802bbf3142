/* SPDX-License-Identifier: BSD-3-Clause */
/* Intrusive binary heap: the items carry their index, so change and removal are O(log n). */
#ifndef ERSA_UTIL_HEAP_H
#define ERSA_UTIL_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
    size_t index; /* position + 1; 0 = in no heap */
};

typedef bool (*heap_less_fn)(const struct heap_node *a, const struct heap_node *b);

struct heap {
    struct heap_node **items; /* owned array of borrowed nodes */
    size_t n, cap;
    heap_less_fn less;
};

void heap_init(struct heap *h, heap_less_fn less);
void heap_fini(struct heap *h);
int heap_push(struct heap *h, struct heap_node *node);     /* 0 or ERSA_ENOMEM */
void heap_remove(struct heap *h, struct heap_node *node);  /* no-op when in no heap */
void heap_changed(struct heap *h, struct heap_node *node); /* after its key changed */

static inline struct heap_node *heap_top(const struct heap *h)
{
    return h->n ? h->items[0] : NULL;
}

#endif
