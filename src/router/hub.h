/* SPDX-License-Identifier: BSD-3-Clause */
/* The hub: answers what comes to the query port (controller.md 14). One row a message type, in
 * hub.c. What needs task records is mailed to the records thread and answered when that does.
 */
#ifndef ERSA_ROUTER_HUB_H
#define ERSA_ROUTER_HUB_H

#include <jansson.h>

#include "router/link.h"
#include "store/mail.h"

struct hub {
    struct replay *replay; /* owned; NULL: no history */
    struct timer shutdown;
};

/* A verified query. */
struct query {
    struct router *r;
    struct link *link;
    struct parts parts;
    struct slice msg_id, msg_type;
    struct slice
        parent;      /* its header with date and version filled in: the parent of the reply */
    json_t *content; /* an object */
};

int hub_start(struct router *r, struct ersa_error *err);
void hub_stop(struct router *r);

void hub_on_message(struct link *l, const struct msg *m);
/* A struct mail from the records thread; takes it. */
void hub_on_answer(void *ctx, void *item);

/* Replies to the query; take the reference to `content`. */
void hub_reply(const struct query *q, const char *msg_type, json_t *content);
/* The same with content that is JSON text. */
void hub_reply_text(const struct query *q, const char *msg_type, struct slice content);
/* The same with {} as parent (registration, controller.md 7). */
void hub_reply_orphan(const struct query *q, const char *msg_type, json_t *content);
void hub_error(const struct query *q, const char *ename, const char *evalue);
void hub_error_key(const struct query *q, const char *message);

/* hub_queue.c */
void hub_queue_request(struct query *q);
void hub_load_request(struct query *q);

#endif
