/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the backlog: sqlite_backlog.c (requests are set aside and come back),
 * sqlite_slots.c (their file), sqlite_settle.c (rows are made of what is left there). */
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
    uint32_t length; /* octets; this and the slot: once it is in the file */
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
    uint32_t making;      /* number of the batch that is made, 0: none */
    int64_t made_ms;      /* since when its oldest request waits */
    struct buf octets;    /* of it */
    const char *database; /* borrowed */
    char *path;           /* owned; of the file, NULL when there is none */
    int fd;
    int64_t retry_ms; /* after a failure */
    bool is_spoiled;  /* a batch is */
    bool is_damaged;  /* some of the file could not be read, and it was said */
};

/* NULL: there is none of this number, or none any more. */
struct batch *backlog_batch(struct backlog *b, uint32_t number);
/* Its octets, until others were loaded. */
int backlog_load(struct sqlite_store *s, uint32_t number, struct slice *ret,
                 struct ersa_error *err);
/* A request that has not been taken back; *ret NULL: there is none. What is read lives until
 * others are looked for. */
int backlog_find(struct sqlite_store *s, struct slice id, struct place **ret,
                 struct store_record *ret_rec, struct ersa_error *err);
/* `r`, which lies at `p`, waits in memory again. `ret` may be NULL. */
int backlog_bring_back(struct sqlite_store *s, struct place *p, const struct store_record *r,
                       struct pending_entry **ret, struct ersa_error *err);
/* All of it is rows, and they are committed. */
void backlog_end_batch(struct backlog *b, uint32_t number);
/* Room for one more than `n`. */
int backlog_make_room(uint32_t **numbers, size_t *cap, size_t n);

/* sqlite_slots.c */

int backlog_make_file(struct backlog *b);
/* All of it is gone, so the file is. */
void backlog_remove_file(struct backlog *b);
/* One that is free; it has to be written, or freed. */
int slot_take(struct backlog *b, uint32_t *ret);
int slot_write(struct backlog *b, uint32_t slot, const void *octets, size_t n);
void slot_free(struct backlog *b, uint32_t slot);
/* What is in it is rows. */
void slot_clear(struct backlog *b, uint32_t slot);

/* sqlite_settle.c: the batch that is made is none any more, its requests wait in memory. */
int backlog_unmake(struct sqlite_store *s, struct ersa_error *err);

#endif
