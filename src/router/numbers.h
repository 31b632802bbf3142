/* SPDX-License-Identifier: BSD-3-Clause */
/* Which number a port gets (controller.md 4): the side's pool, then the common pool, then any
 * free one. A number of a pool that somebody else has is passed over, and tried again when
 * there is no other; one of an earlier run, which peers know, is waited for. */
#ifndef ERSA_ROUTER_NUMBERS_H
#define ERSA_ROUTER_NUMBERS_H

#include "router/ports.h"
#include "router/router.h"

struct number_pool {
    const struct router_ports *ports; /* borrowed */
    size_t next;                      /* the first that was not tried yet */
    int *lent;                        /* owned; those that somebody else had */
    size_t n_lent;
    bool warned;
    const char *name;
};

struct numbers {
    struct number_pool side[2], common;
    struct number_pool *last; /* where the number on trial is from; NULL: any free one */
    bool must_keep;
    uint8_t tried[65536 / 8]; /* a bit a number: pools may overlap */
    int next_ipc;
    size_t n_tries;      /* before the next wait, or the end of it */
    int64_t patience_ns; /* until then; 0: none was needed yet */
};

/* Borrows the pools of `cfg`. ERSA_ENOMEM. */
int numbers_init(struct numbers *n, const struct router_config *cfg);
void numbers_fini(struct numbers *n);

/* The next port's first number; 0: let the system choose. */
int numbers_first(struct numbers *n, enum side side, bool is_ipc);
/* `*number` is in use: another one for the same port, perhaps after a wait. False: there is
 * none. */
bool numbers_other(struct numbers *n, enum side side, bool is_ipc, int *number);

#endif
