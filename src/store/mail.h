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
    MAIL_ASSIGNED,    /* a task went to an engine */
    MAIL_RESULT,      /* a reply: message; engine */
    MAIL_ENGINE_LOST, /* a mux request was closed because its engine is gone */
    MAIL_IOPUB,       /* output of a task: message */
    MAIL_QUERY,       /* a hub request that needs records: message behind `peer`; answered */
    MAIL_FILE,        /* content of a file, as the only frame; `peer`: its path */
    /* records -> router */
    MAIL_ANSWER,   /* for `peer`: msg_type, parent, content, buffers as frames */
    MAIL_RESUBMIT, /* a task for the scheduler: header, content, buffers as frames; msg_id */
};

struct mail {
    enum mail_type type;
    int64_t now_us;      /* when the router saw it */
    char queue;          /* 'm' mux, 't' task */
    struct held *msg;    /* owned: the frames from <IDS|MSG> on; of MAIL_ANSWER and
                            MAIL_RESUBMIT as said above */
    struct slice msg_id; /* in `text` */
    struct slice
        engine; /* uuid, in `text`; absent: none. Of a purge_request: the uuids of the engines
                   that it names, in their order, "-" for an unknown one, with spaces between */
    struct slice peer; /* identity on the query port, in `text` */
    char text[];
};

/* NULL when out of memory. Copies everything; takes `msg`. */
struct mail *mail_new(enum mail_type type, struct slice msg_id, struct slice engine,
                      struct slice peer, struct held *msg);
void mail_free(struct mail *m); /* accepts NULL */
/* What the ring is to be loaded with: its octets, 0 for what is light. */
size_t mail_weight(const struct mail *m);
#define MAIL_LIGHT 4096

#endif
