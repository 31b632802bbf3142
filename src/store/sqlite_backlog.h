/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the backlog: sqlite_backlog.c (requests are set aside and come back),
 * sqlite_settle.c (rows are made of what is left there). */
#ifndef ERSA_STORE_SQLITE_BACKLOG_H
#define ERSA_STORE_SQLITE_BACKLOG_H

#include "store/backlog_index.h"
#include "store/pack.h"
#include "store/sqlite_impl.h"

#define SLOT_BYTES ((size_t)64 << 10)
#define BATCH_MAX (SLOT_BYTES - sizeof(struct slot_head))
#define BATCHES_CACHED 16

/* A slot of the file: this, and the packed requests of a batch. */
struct slot_head {
    char magic[8]; /* SLOT_MAGIC, or zeros: free */
    uint64_t length;
};
#define SLOT_MAGIC "ersa-bl1"

struct batch {
    unsigned open;  /* requests that are no rows yet; 0: the batch is gone */
    unsigned wrote; /* of them, by the transaction at hand */
    uint32_t slot;
    uint32_t length; /* octets */
    bool is_touched; /* by the transaction at hand */
    bool is_spoiled; /* a record of it is to be dropped */
};

struct batch_copy {
    uint32_t number; /* 0: of none */
    char octets[BATCH_MAX];
};

struct backlog {
    struct batch *batches; /* owned; number `first` (from 1 on) and the following ones */
    uint32_t first;
    size_t n, cap;
    size_t n_open;     /* of all batches */
    uint32_t *touched; /* owned; by the transaction at hand */
    size_t n_touched, cap_touched;
    uint32_t *free_slots; /* owned, with room for all of them */
    size_t n_free, n_slots, cap_free;
    struct backlog_index index;
    struct batch_copy *copies; /* owned; NULL until the first batch */
    unsigned next_copy;
    struct pack_items items;
    struct buf octets;    /* scratch: the batch that is made */
    const char *database; /* borrowed */
    char *path;           /* owned; of the file, NULL when there is none */
    int fd;
    int64_t retry_ms; /* after a failure */
    bool is_spoiled;  /* a batch is */
};

/* NULL: there is none of this number, or none any more. */
struct batch *backlog_batch(struct backlog *b, uint32_t number);
/* Its octets, until others were loaded. */
int backlog_load(struct sqlite_store *s, uint32_t number, struct slice *ret,
                 struct ersa_error *err);
/* `r`, which lies at `p`, waits in memory again. `ret` may be NULL. */
int backlog_bring_back(struct sqlite_store *s, struct place *p, const struct store_record *r,
                       struct pending_entry **ret, struct ersa_error *err);
/* All of it is rows, and they are committed. */
void backlog_end_batch(struct backlog *b, uint32_t number);
/* All of it is gone, so the file is. */
void backlog_remove_file(struct backlog *b);

#endif
