/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the store in memory: memory_entry.c (what a record holds), memory_bounds.c
 * (what goes for want of room), store_memory.c (the seam). */
#ifndef ERSA_STORE_MEMORY_IMPL_H
#define ERSA_STORE_MEMORY_IMPL_H

#include "store/store.h"
#include "util/buf.h"
#include "util/list.h"
#include "util/map.h"

#define MEMORY_STREAM_SHARE 16 /* of the limit for text: so much one stream may fill */

/* What can be dropped of a record that stays. */
enum memory_load { LOAD_BUFFERS, LOAD_TEXT, N_LOADS };

struct entry {
    struct list all;            /* by creation */
    struct list age;            /* in `done` or `open` */
    struct list loads[N_LOADS]; /* in the store's, while it has such a load */
    int64_t created_us;
    struct store_record rec;
    void *piece[F_MAX];   /* owned; at the first field of a group */
    size_t weight[F_MAX]; /* of the piece, without buffers */
    struct buf streams[2];
    uint64_t buffer_bytes, text_bytes; /* as counted in the store */
    bool is_stripped;
    size_t id_len;
    char id[];
};

/* Of the entries that are open (0) or done (1), each in the order in which it goes. */
struct memory_queue {
    struct list age, loads[N_LOADS];
};

struct memory {
    struct store base;
    struct store_limits limits;
    uint64_t text_limit;
    struct map by_id;
    struct list all;
    struct memory_queue queues[2];
    struct entry *last; /* found last: an assignment follows its request */
    uint64_t buffer_bytes, text_bytes;
};

static inline bool entry_is_done(const struct entry *e)
{
    return e->rec.set & STORE_FIELD(F_completed);
}

/* memory_entry.c */

struct entry *entry_new(struct slice id);
void entry_free(struct entry *e);
/* Copies what is set. 0, ERSA_ENOMEM, ERSA_EFULL: a stream is too long. */
int entry_write(struct entry *e, const struct store_record *r, uint64_t stream_max);
/* Adds to a stream. */
int entry_append(struct entry *e, enum store_field f, struct slice text, uint64_t stream_max);
/* Unsets the fields of `without`. */
int entry_unset(struct entry *e, uint32_t without);
/* What it weighs: sets both counts. */
void entry_weigh(struct entry *e);
/* Fields whose text could be dropped to some effect. */
uint32_t entry_heavy_texts(const struct entry *e);
size_t store_binary_bytes(const struct store_binary *b);

/* memory_bounds.c */

void memory_drop(struct memory *m, struct entry *e);
/* After a change; `moves`: it is the last of its kind now. */
void memory_changed(struct memory *m, struct entry *e, bool moves);
/* Drops what is past the limits, but never `keep`, the record just written. */
void memory_cull(struct memory *m, struct entry *keep);

#endif
