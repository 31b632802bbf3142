/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam for security mechanisms (RFC 23): what is said between the greeting and the first
 * message. NULL believes the other side; CURVE also seals every frame that follows (sealed.h).
 * Queues hold frames unsealed, as after a take-over they go out on another connection. */
#ifndef ERSA_WIRE_MECHANISM_H
#define ERSA_WIRE_MECHANISM_H

#include "util/buf.h"
#include "wire/curve_box.h"
#include "wire/zmtp.h"

struct curve_talk;

struct handshake {
    const char *socket_type;          /* ours */
    struct slice identity;            /* ours; `data` NULL: not told */
    const struct curve_config *curve; /* CURVE: keys */
    struct curve_talk **talk;         /* CURVE: how far it is, owned by the connection */
    struct buf *room;                 /* for what *ret_ready points to, where that was sealed */
};

struct mechanism {
    const char *name; /* in the greeting */
    /* Both greetings are there. Appends what is to be sent; 0 or an error. */
    int (*start)(const struct handshake *h, struct buf *out);
    /* A command of the peer. 1: done, *ret_ready (views into `cmd` or `room`) says who it is;
     * 0: more are to come; or an error that ends the connection. */
    int (*command)(const struct handshake *h, const struct zmtp_command *cmd, struct buf *out,
                   struct zmtp_ready *ret_ready);
};

extern const struct mechanism mechanism_null, mechanism_curve_server, mechanism_curve_client;

/* After the last command: what the connection seals and opens with. */
const struct curve_link *curve_talk_link(const struct curve_talk *t);
void curve_talk_free(struct curve_talk *t); /* wiped; accepts NULL */

#endif
