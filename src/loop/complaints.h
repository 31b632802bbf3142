/* SPDX-License-Identifier: BSD-3-Clause */
/* Complaints that strangers can cause as often as they like (port scanners, wrong keys): of
 * each kind the first lines of a minute are written, and how many more there were at its end.
 */
#ifndef ERSA_LOOP_COMPLAINTS_H
#define ERSA_LOOP_COMPLAINTS_H

#include <stdint.h>

#include "loop/loop.h"

/* X(NAME, what the others are called) */
#define COMPLAINTS(X)                         \
    X(CONNECTION, "connections were closed")  \
    X(MESSAGE, "peers sent what was dropped") \
    X(READER, "peers that do not read were dropped")

enum complaint {
#define X(name, text) COMPLAINT_##name,
    COMPLAINTS(X)
#undef X
        COMPLAINT_MAX,
};

#define COMPLAINTS_A_MINUTE 20 /* lines of each kind */

struct complaints {
    struct loop *loop; /* borrowed */
    struct timer minute;
    struct {
        unsigned told;
        uint64_t held;
    } kinds[COMPLAINT_MAX];
};

void complaints_init(struct complaints *c, struct loop *l);
/* Says what was held back. */
void complaints_fini(struct complaints *c);
/* A warning. */
void complain(struct complaints *c, enum complaint kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
