/* SPDX-License-Identifier: BSD-3-Clause */
/* Octets that a database store has given out, kept until its next change. */
#ifndef ERSA_STORE_KEEP_H
#define ERSA_STORE_KEEP_H

#include <stddef.h>

struct keep; /* a list; NULL: empty */

/* Room for `n` octets, aligned for anything; NULL when out of memory. */
void *keep_octets(struct keep **k, size_t n);
void keep_free(struct keep **k);

#endif
