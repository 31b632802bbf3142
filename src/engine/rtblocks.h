/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared blocks of the runtime protocol (docs/protocol/runtime.md 2), both ways.
 *
 * What we lend: a block of our pool goes under a small number of ours. A number whose block
 * came back stands for that block until the number is needed for another one, which then is
 * announced again; so the runtime never maps more than are lent at once, or LEND_KEEP.
 *
 * What we borrow: each block that the runtime announces is mapped once and shown as a
 * `struct block`, whose last reference gives it back. It stays mapped as long as somebody holds
 * it, also when the runtime is gone. */
#ifndef ERSA_ENGINE_RTBLOCKS_H
#define ERSA_ENGINE_RTBLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/block.h"
#include "util/list.h"
#include "util/map.h"

#define LEND_KEEP 64u
#define BORROW_MAX 32768u /* blocks of the runtime: as many as one process may well map */

struct lent;
struct borrowed;

struct lender {
    struct map by_block; /* struct lent by the id of the pool's block */
    struct lent **slots; /* owned; number - 1 is the index */
    uint32_t n, cap;
    struct list free; /* not lent at present, longest unused first */
};

void lender_init(struct lender *l);
void lender_fini(struct lender *l); /* takes back what is lent */
/* Lends a shared block: takes a reference until lender_back(). *ret_announce: the runtime has
 * to be told about it first. Returns its number; 0: out of memory, or lent already. */
uint32_t lender_lend(struct lender *l, struct block *b, bool *ret_announce);
/* It was given back. ERSA_EPROTO: it was not lent. */
int lender_back(struct lender *l, uint32_t number);
/* Takes a lending back that the runtime was never told about. */
void lender_undo(struct lender *l, uint32_t number, bool was_announced);

typedef void (*borrower_release_fn)(void *ctx, uint32_t id);

struct borrower {
    struct map by_id; /* struct borrowed */
    borrower_release_fn release;
    void *ctx;
};

void borrower_init(struct borrower *b, borrower_release_fn release, void *ctx);
void borrower_fini(struct borrower *b);
/* Maps what is announced; closes `fd` in any case. ERSA_EPROTO: too many, in use, or the
 * descriptor does not hold `cap` octets; ERSA_ENOMEM. */
int borrower_announce(struct borrower *b, uint32_t id, uint64_t cap, int fd);
/* The block for one use of `len` octets, with one reference; NULL: unknown, too small, or in
 * use. */
struct block *borrower_use(struct borrower *b, uint32_t id, uint64_t len);

#endif
