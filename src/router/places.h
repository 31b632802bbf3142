/* SPDX-License-Identifier: BSD-3-Clause */
/* On which engine a finished task ran: what `follow` asks (schedulers.md 5.1). The newest
 * PLACES_KEPT are remembered at least, in at most 4 MB: two generations of a hash table, the
 * older one dropped when the younger is full. */
#ifndef ERSA_ROUTER_PLACES_H
#define ERSA_ROUTER_PLACES_H

#include <stddef.h>
#include <stdint.h>

#include "util/str.h"

#define PLACES_KEPT ((size_t)1 << 17)

struct places {
    struct generation {
        uint64_t *slots; /* owned; fingerprint above, number of the engine below; 0: free */
        size_t n, n_slots;
    } young, old;
};

void places_init(struct places *p);
void places_fini(struct places *p);
/* Forgets where there is no memory, or no room for such a number. */
void places_put(struct places *p, struct slice id, uint32_t number);
/* The engine's number; 0: nowhere, or forgotten. */
uint32_t places_get(const struct places *p, struct slice id);

#endif
