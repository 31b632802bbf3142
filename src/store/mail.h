/* SPDX-License-Identifier: BSD-3-Clause */
/* What router and records say to each other: one header, since the parts do not include each
 * other's. A mail is one allocation with the message it carries, owned by the receiver. */
#ifndef ERSA_STORE_MAIL_H
#define ERSA_STORE_MAIL_H

#include <stdint.h>

#include "util/str.h"
#include "wire/msg.h"

enum mail_type {
    /* router -> records */
    MAIL_REQUEST, /* a request was accepted: message, queue ("mux" or "task"), engine for mux */
    MAIL_ASSIGNED,    /* a task is at an engine, and not for a moment */
    MAIL_RESULT,      /* a reply: message; engine */
    MAIL_ENGINE_LOST, /* a mux request was closed because its engine is gone; `peer`: its number
                       */
    MAIL_IOPUB,       /* output of a task: message */
    MAIL_QUERY,       /* a hub request that needs records: message behind `peer`; answered */
    MAIL_FILE,        /* content of a file, as the only frame; `peer`: its path */
    MAIL_DONE,        /* a query that was answered before its turn (records/hold.c) */
    /* records -> router */
    MAIL_ANSWER,   /* for `peer`: msg_type, parent, content, buffers as frames */
    MAIL_RESUBMIT, /* a task for the scheduler: header, content, buffers as frames; msg_id */
};

/* What a mail is made of; everything is copied, blocks are referenced. */
struct letter {
    enum mail_type type;
    char queue; /* 'm' mux, 't' task */
    struct slice msg_id;
    struct slice
        engine;        /* uuid; absent: none. Of a purge_request: the uuids of the engines that
                          it names, in their order, "-" for an unknown one, with spaces between */
    struct slice peer; /* identity on the query port */
    const struct frame
        *frames; /* from <IDS|MSG> on; of MAIL_ANSWER and MAIL_RESUBMIT as above */
    unsigned n;
};

struct mail_page;

struct mail {
    enum mail_type type;
    char queue;
    int64_t now_us;   /* when the router saw it */
    struct held *msg; /* NULL: without frames */
    struct slice msg_id, engine, peer;
    struct mail_page *page; /* where it lies, NULL: in memory of its own */
    char rest[];            /* the texts and the message */
};

/* Of a sender who has a lot to tell: mails lie one behind the other in pages, which go when
 * their last mail is freed, in whatever thread. Memory from malloc() that another thread frees
 * costs more than all the rest of a mail. */
struct mail_pages {
    struct mail_page *open; /* owned */
    unsigned given;         /* mails in it */
};

void mail_pages_fini(struct mail_pages *p);

/* `pages` NULL: in memory of its own. NULL when out of memory. */
struct mail *mail_new(struct mail_pages *pages, const struct letter *l);
void mail_free(struct mail *m); /* accepts NULL */
/* What the ring is to be loaded with: its octets, 0 for what is light. */
size_t mail_weight(const struct mail *m);
#define MAIL_LIGHT 4096

#endif
