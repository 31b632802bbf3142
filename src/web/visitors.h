/* SPDX-License-Identifier: BSD-3-Clause */
/* The connections of the HTTP server, and who of them has to go: with more than `kept` the one
 * that has been idle or slow for longest, and whoever has been so for longer than
 * `patience_ms`. */
#ifndef ERSA_WEB_VISITORS_H
#define ERSA_WEB_VISITORS_H

#include <stdint.h>

#include "loop/loop.h"
#include "util/list.h"

struct visitors {
    struct loop *loop; /* borrowed */
    unsigned kept, patience_ms;
    struct list all; /* the one that was served longest ago first */
    unsigned n;
    struct timer sweep;
    uint64_t n_evicted;
};

struct visitor;

void visitors_init(struct visitors *vs, struct loop *l, unsigned kept, unsigned patience_ms);
/* Nobody is there any more. */
void visitors_fini(struct visitors *vs);

/* The connection `fd` is there; NULL: out of memory. It is shut down when it has to go, and
 * closed by whom it belongs to, who then calls visitor_left(). */
struct visitor *visitor_came(struct visitors *vs, int fd);
void visitor_left(struct visitors *vs, struct visitor *v);
/* Its time begins anew. */
void visitor_served(struct visitors *vs, struct visitor *v);

#endif
