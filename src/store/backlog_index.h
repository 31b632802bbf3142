/* SPDX-License-Identifier: BSD-3-Clause */
/* Where requests lie that were set aside (sqlite_backlog.c): 12 octets each, by a hash of the
 * id. What the hash finds is to be compared with the id that lies there. */
#ifndef ERSA_STORE_BACKLOG_INDEX_H
#define ERSA_STORE_BACKLOG_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/str.h"

struct place {
    uint32_t hash; /* 0: free */
    uint32_t batch;
    uint32_t at; /* octets from the batch's beginning; PLACE_TAKEN: it came back from there */
};

#define PLACE_TAKEN ((uint32_t)1 << 31)

struct backlog_index {
    struct place *places; /* owned; open addressing, power of two or NULL */
    size_t n_places, n_used;
};

void backlog_index_fini(struct backlog_index *x);
/* ERSA_ENOMEM: nothing changed. When it is full, places of batches that `is_alive` does not
 * know any more go. */
int backlog_index_add(struct backlog_index *x, struct slice id, uint32_t batch, uint32_t at,
                      bool (*is_alive)(void *ctx, uint32_t batch), void *ctx);
/* The first place that the id may be at, or the next behind `last`; NULL: none. */
struct place *backlog_index_find(const struct backlog_index *x, struct slice id,
                                 struct place *last);

#endif
