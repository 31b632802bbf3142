/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam for security mechanisms (RFC 23): what is said between the greeting and the first
 * message. NULL is there now. One that also seals frames (CURVE) gets two more operations, with
 * their places in read_frame() (reading.c), before a frame joins its message, and in
 * peer_flush() (peer.c), before octets reach the socket: queues hold frames unsealed, as after
 * a take-over they go out on another connection. */
#ifndef ERSA_WIRE_MECHANISM_H
#define ERSA_WIRE_MECHANISM_H

#include "util/buf.h"
#include "wire/zmtp.h"

struct handshake {
    const char *socket_type; /* ours */
    struct slice identity;   /* ours; `data` NULL: not told */
};

struct mechanism {
    const char *name; /* in the greeting */
    /* Both greetings are there. Appends what is to be sent; 0 or an error. */
    int (*start)(const struct handshake *h, struct buf *out);
    /* A command of the peer. 1: done, *ret_ready (views into `cmd`) says who it is; 0: more are
     * to come; or an error that ends the connection. */
    int (*command)(const struct handshake *h, const struct zmtp_command *cmd, struct buf *out,
                   struct zmtp_ready *ret_ready);
};

extern const struct mechanism mechanism_null;

#endif
