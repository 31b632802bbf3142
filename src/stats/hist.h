/* SPDX-License-Identifier: BSD-3-Clause */
/* A histogram of durations with fixed bounds, three to a power of ten. Adding is a few
 * comparisons, the fewer the shorter the duration; nothing is allocated and nobody is called.
 */
#ifndef ERSA_STATS_HIST_H
#define ERSA_STATS_HIST_H

#include <assert.h>
#include <stdint.h>

/* In units of 100 us, up to 10,000 s. */
/* clang-format off */
#define STATS_BOUNDS(X)                                                     \
    X(1) X(2.5) X(5) X(10) X(25) X(50) X(100) X(250) X(500)                 \
    X(1000) X(2500) X(5000) X(10000) X(25000) X(50000)                      \
    X(100000) X(250000) X(500000) X(1000000) X(2500000) X(5000000)          \
    X(10000000) X(25000000) X(50000000) X(100000000)
/* clang-format on */

enum { STATS_N_BOUNDS = 25 };

static const int64_t stats_bounds_ns[] = {
#define X(b) (int64_t)((b)*100000.0),
    STATS_BOUNDS(X)
#undef X
};
static_assert(sizeof(stats_bounds_ns) / sizeof(stats_bounds_ns[0]) == STATS_N_BOUNDS, "bounds");

struct stats_hist {
    uint64_t counts[STATS_N_BOUNDS + 1]; /* up to and with each bound, from the one before; the
                                            last: above them all */
    uint64_t sum_ns;
};

/* Negative counts as 0. */
static inline void stats_hist_add(struct stats_hist *h, int64_t ns)
{
    unsigned i = 0;
    if (ns > 0)
        h->sum_ns += (uint64_t)ns;
    while (i < STATS_N_BOUNDS && ns > stats_bounds_ns[i])
        i++;
    h->counts[i]++;
}

#endif
