/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of memory of equal sizes side by side: no head in front of each, and no holes from
 * what else is allocated meanwhile. For things that exist by the million, all of them in one
 * thread. Sizes are rounded up to SLAB_STEP.
 *
 * A slab with nothing in it serves any size again, and its memory goes back to the system by
 * slabs_trim(). */
#ifndef ERSA_UTIL_SLAB_H
#define ERSA_UTIL_SLAB_H

#include <stddef.h>

#include "util/list.h"

#define SLAB_STEP 16
#define SLAB_PIECE_MAX 4096
#define SLAB_CLASSES (SLAB_PIECE_MAX / SLAB_STEP + 1)

struct slabs {
    struct list partial[SLAB_CLASSES]; /* slabs with room, by size */
    struct list roomy, full;           /* regions, owned: with free slabs, and without */
    size_t n_used;                     /* pieces */
};

void slabs_init(struct slabs *s);
/* All pieces go. */
void slabs_fini(struct slabs *s);

/* At least `size` octets (1 to SLAB_PIECE_MAX), aligned for SLAB_STEP, contents undefined; NULL
 * when out of memory. */
void *slabs_get(struct slabs *s, size_t size);
/* Accepts NULL. */
void slabs_put(struct slabs *s, void *piece);

/* Gives back the memory of slabs that hold nothing. */
void slabs_trim(struct slabs *s);

static inline size_t slabs_used(const struct slabs *s)
{
    return s->n_used;
}

#endif
