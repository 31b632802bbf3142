/* SPDX-License-Identifier: BSD-3-Clause */
/* A record as octets, one behind the other in a batch: size, set of fields, values in their
 * order. Of this machine and this schema: a file that holds them is read by ours alone. */
#ifndef ERSA_STORE_PACK_H
#define ERSA_STORE_PACK_H

#include "store/store.h"
#include "util/buf.h"

/* Items of lists, used again by each reading. */
struct pack_items {
    struct slice *items; /* owned */
    size_t cap;
};

void pack_items_fini(struct pack_items *p);

/* All that is set but for streams, which are left out. ERSA_EFULL: too large, for the buffer or
 * at all. */
int pack_put(struct buf *b, const struct store_record *r);
/* What it takes. */
size_t pack_size(const struct store_record *r);
/* The record at the beginning of `octets`, pointing into them and into `items`; returns its
 * size, or ERSA_EPARSE, ERSA_ENOMEM. */
int64_t pack_get(struct slice octets, struct pack_items *items, struct store_record *ret);

#endif
