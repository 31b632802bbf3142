/* SPDX-License-Identifier: BSD-3-Clause */
/* Every message id that a part has ever accepted, and what became of it: 2 bits an id.
 *
 * Ids of the usual form (wire.md 5: "<session>_<process>_<n>") are bitmaps of 224 neighbours in
 * one cache line, so ten million of them take 4 MB; ids of any other form are fingerprints of 8
 * octets. Hashes are seeded: nobody can aim at a collision, and by chance one new id in 10^12
 * is taken for an old one when ten million are known. */
#ifndef ERSA_WIRE_SEEN_H
#define ERSA_WIRE_SEEN_H

#include <stddef.h>
#include <stdint.h>

#include "util/str.h"

enum seen_state { SEEN_NEVER, SEEN_OPEN, SEEN_OK, SEEN_FAILED };

struct seen_run; /* neighbours */

struct seen {
    struct seen_run *runs; /* owned; open addressing, power of two or NULL */
    size_t n_runs, run_slots;
    uint64_t *others; /* owned; fingerprint and state in its two low bits, 0: free */
    size_t n_others, other_slots;
};

void seen_init(struct seen *s);
void seen_fini(struct seen *s);

enum seen_state seen_get(const struct seen *s, struct slice id);
/* Returns 0, or ERSA_ENOMEM and nothing changed. An id that is known needs no memory. */
int seen_set(struct seen *s, struct slice id, enum seen_state state);

/* A hash for tables of others: 2^bits neighbours differ in the lowest bits alone, so that they
 * lie side by side. */
uint64_t seen_hash(struct slice id, unsigned bits);

/* Every id that is not open becomes SEEN_NEVER. Memory is kept. */
void seen_forget_closed(struct seen *s);

/* Octets in use. */
size_t seen_bytes(const struct seen *s);

#endif
