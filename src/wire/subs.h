/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of prefixes: what a subscriber wants (wire.md 1.5). Few per connection; "" is told
 * apart, as most want everything. */
#ifndef ERSA_WIRE_SUBS_H
#define ERSA_WIRE_SUBS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/str.h"

#define SUBS_MAX 10000                    /* prefixes of one peer */
#define SUBS_OCTETS_MAX ((size_t)4 << 20) /* and all their octets */

struct subs {
    struct slice *items; /* owned, sorted, each with owned octets */
    unsigned n, cap;
    size_t octets;
    bool all; /* "" is in it */
};

void subs_fini(struct subs *s);
/* 1: added, 0: was there, ERSA_ENOMEM, ERSA_EFULL. */
int subs_add(struct subs *s, struct slice prefix);
/* Whether it was there. */
bool subs_remove(struct subs *s, struct slice prefix);
bool subs_match(const struct subs *s, struct slice topic);

#endif
