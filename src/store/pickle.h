/* SPDX-License-Identifier: BSD-3-Clause */
/* A list of octet strings as Python pickles it: the form of buffers in an SQLite cell (db.md
 * 5.3). Reads protocols 3 to 5 as far as such lists go, writes protocol 3 (4 for strings of 4
 * GiB and more). */
#ifndef ERSA_STORE_PICKLE_H
#define ERSA_STORE_PICKLE_H

#include "store/store.h"
#include "util/buf.h"

/* Appends. 0, ERSA_ENOMEM or ERSA_EFULL. */
int pickle_put(struct buf *b, const struct store_binary *list);
/* The list's items point into `text`; the list itself is the caller's (free()), NULL when
 * empty. ERSA_EPARSE: something else than such a list; ERSA_ENOMEM. */
int pickle_get(struct slice text, struct slice **ret_items, unsigned *ret_n);

#endif
