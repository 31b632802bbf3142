/* SPDX-License-Identifier: BSD-3-Clause */
/* Shell patterns as `$glob` has them (db.md 2): "*", "?", "[seq]", "[!seq]"; the whole text
 * must match, case counts, no character is special but these. */
#ifndef ERSA_STORE_GLOB_H
#define ERSA_STORE_GLOB_H

#include <stdbool.h>

#include "util/str.h"

/* Time is at worst the product of both lengths. */
bool glob_match(struct slice pattern, struct slice text);

#endif
