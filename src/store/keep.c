/* SPDX-License-Identifier: BSD-3-Clause */
/* A list of allocations. */
#include "store/keep.h"

#include <stdlib.h>

struct keep {
    struct keep *next;
    max_align_t data[];
};

void *keep_octets(struct keep **k, size_t n)
{
    struct keep *one = malloc(sizeof(*one) + n + 1);
    if (!one)
        return NULL;
    one->next = *k;
    *k = one;
    return one->data;
}

void keep_free(struct keep **k)
{
    while (*k) {
        struct keep *next = (*k)->next;
        free(*k);
        *k = next;
    }
}
