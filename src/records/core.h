/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the records thread, shared by the files of this folder and by nobody else. */
#ifndef ERSA_RECORDS_CORE_H
#define ERSA_RECORDS_CORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "records/records.h"
#include "util/buf.h"
#include "util/rand.h"
#include "wire/jscan.h"
#include "wire/seen.h"
#include "wire/session.h"

#define ID_MAX 512 /* octets of ids, types and dates in a header */

/* A file that could not be written (file.c). */
struct unwritten {
    char *path; /* owned; NULL: there is none */
    uint8_t *data;
    size_t len;
    struct timer again;
};

struct records {
    pthread_t thread;
    struct loop *loop;             /* owned */
    struct store *st;              /* owned */
    struct ring *in, *aside, *out; /* borrowed */
    bool keeps;                    /* the store does keep something */
    atomic_bool is_ending;         /* answers have no reader any more */
    bool stopping;                 /* what is left in the ring is read, and that is all */
    bool is_held;          /* the store is full: the ring is not read until it has room */
    size_t n_looked;       /* while held: mails in the ring that were looked through */
    struct ersa_error why; /* what the store said last when it could not write */
    int stop_fd;           /* owned; an eventfd */
    struct watch stop;
    struct seen
        seen; /* what this life has heard of: status is told from here, not from the store */
    struct timer tick;                         /* the store's */
    char own_session[RAND_SESSION_ID_LEN + 1]; /* in front of ids that are made here */
    uint64_t n_resubmitted;
    void (*on_mail)(void *ctx, void *item); /* reads `in` (answers.c) */
    struct timer retry;
    struct mail **stuck; /* owned array of owned answers that `out` had no room for */
    size_t n_stuck, cap_stuck;
    struct slice *slices; /* owned; slices_of() */
    size_t cap_slices;
    struct buf text;     /* scratch: decoded strings, texts made here */
    bool has_complained; /* that something could not be stored: once, then it is counted */
    uint64_t unstored;
    struct unwritten unwritten;
    struct stats_desk *stats; /* borrowed; NULL: none */
    uint64_t n_heard;
};

/* Events (tasks.c, output.c, file.c); one function a type of mail. */
void tasks_on_request(struct records *r, const struct mail *m);
void tasks_on_assigned(struct records *r, const struct mail *m);
void tasks_on_result(struct records *r, const struct mail *m);
void tasks_on_engine_lost(struct records *r, const struct mail *m);
void output_on_iopub(struct records *r, const struct mail *m);
void file_on_mail(struct records *r, const struct mail *m);
/* The last try. */
void file_stop(struct records *r);

/* report.c: fills a sheet. */
void report_fill(void *ctx, struct stats_sheet *s);

/* Shared by all of them (core.c). */

/* The frames as slices, valid until the next call; NULL when out of memory. */
struct slice *slices_of(struct records *r, const struct frame *frames, unsigned n);
/* A string field's text, decoded in r->text (reset) where it has escapes; false when it is
 * none. */
bool records_text(struct records *r, const struct jfield *f, struct slice *ret);
/* Writes to the store; a failure is logged once. An update of what isn't there (it was dropped
 * for room, or purged) does nothing. */
void records_put(struct records *r, const struct store_record *rec);
void records_update(struct records *r, const struct store_record *rec);
bool records_has(struct records *r, struct slice msg_id);
void records_complain(struct records *r, const struct ersa_error *err);

static inline void set_text(struct store_record *rec, enum store_field f, struct slice text)
{
    if (!text.data)
        return;
    rec->set |= (uint32_t)1 << f;
    rec->v[f].text = text;
}

static inline void set_date(struct store_record *rec, enum store_field f, int64_t date)
{
    rec->set |= (uint32_t)1 << f;
    rec->v[f].date = date;
}

static inline void set_binary(struct store_record *rec, enum store_field f,
                              const struct slice *items, unsigned n)
{
    rec->set |= (uint32_t)1 << f;
    rec->v[f].binary = (struct store_binary){items, n};
}

#endif
