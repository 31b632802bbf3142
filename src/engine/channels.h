/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's connections, two sets of them behind one interface: `attach`, one connection
 * with the channel's name in front of each message (extensions.md 2), and the stock sockets
 * (engine.md 8). Pings are answered here, so nothing that the engine does elsewhere delays a
 * heartbeat.
 *
 * A message has one frame in front that says where it came from, its *route*, and a reply
 * begins with the route of its request. In what is sent elsewhere the first frame is left free.
 */
#ifndef ERSA_ENGINE_CHANNELS_H
#define ERSA_ENGINE_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/connection_file.h"
#include "wire/port.h"

enum channel { CHAN_QUERY, CHAN_SHELL, CHAN_CONTROL };

struct channels_ops {
    /* The hub can be asked. Comes again after a connection was lost. */
    void (*up)(void *ctx);
    /* Stock sockets: all that channels_serve() began to connect is connected. */
    void (*served)(void *ctx);
    /* The hub's connection is lost and being made again. With one connection the controller has
     * given the engine up; with the stock sockets it may be there as before, or be another one,
     * which is asked (not of the reference's, where what runs goes on without the hub). */
    void (*down)(void *ctx);
    void (*message)(void *ctx, enum channel ch, const struct frame *frames, unsigned n);
    /* There is room again. */
    void (*drained)(void *ctx);
    /* What channels_write_out() could not write, or had nowhere to write to, can be tried
     * again. */
    void (*written)(void *ctx);
};

enum stock_port { SP_QUERY, SP_SHELL, SP_CONTROL, SP_IOPUB, SP_PING, SP_PONG, SP_MAX };

struct channel_set;

struct channels {
    const struct channel_set *set;
    struct wire *wire;                  /* borrowed */
    const struct connection_info *conn; /* borrowed */
    const char *interface;              /* borrowed, resolved */
    const struct curve_config *curve;   /* borrowed; NULL: unencrypted */
    const char *uuid;                   /* borrowed */
    const struct channels_ops *ops;
    void *ctx;
    struct port *ports[SP_MAX]; /* `attach` uses the first one only */
    struct peer *attached;      /* `attach`: the connection while it is up */
    struct peer *asked;         /* stock: the query connection while it is up */
    unsigned n_up, n_wanted;    /* stock: connections, once channels_serve() was called */
    struct frame *vec;          /* owned: a message with its route in front */
    unsigned vec_cap;
    int64_t last_ping_ns; /* 0: none yet */
    struct loop *loop;    /* borrowed */
};

/* Connects what is needed to register. `use_attach` where the connection file has it. `conn`,
 * `interface`, `uuid` and `ops` are borrowed. ERSA_EINVAL names the address; ERSA_ENOMEM. */
int channels_open(struct channels *c, struct loop *l, struct wire *w,
                  const struct connection_info *conn, const char *interface,
                  const struct curve_config *curve, const char *uuid, bool use_attach,
                  const struct channels_ops *ops, void *ctx, struct ersa_error *err);
/* Connects the rest, once the id is known; later calls do nothing. */
int channels_serve(struct channels *c, int64_t id, struct ersa_error *err);
void channels_close(struct channels *c);

/* `attach`: its end is the engine's end for the controller. */
bool channels_is_one(const struct channels *c);
/* Our end of the connection that we register by, which is up; valid until the next call. */
const char *channels_own_end(const struct channels *c);
/* The same of the connection for tasks, where that is another one; else NULL. */
const char *channels_task_end(const struct channels *c);
bool channels_is_served(const struct channels *c); /* likewise ops.served */

/* These fill in or use frames[0]. What can't be sent is dropped: its receiver is gone. */
void channels_query(struct channels *c, struct frame *frames, unsigned n);
void channels_reply(struct channels *c, enum channel ch, struct frame *frames, unsigned n);
void channels_publish(struct channels *c, struct frame *frames, unsigned n);

/* Writes at once what is queued for the way that replies take to this route. 0: the
 * controller's kernel gets it, whatever becomes of us, and had not closed the connection by
 * then. ERSA_EAGAIN: ops.written comes; ERSA_ECLOSED: there is no connection, ops.down or
 * ops.written comes. */
int channels_write_out(struct channels *c, enum channel ch, const struct frame *route);

/* More is queued than is good: hold back what makes output. */
bool channels_is_full(const struct channels *c);
/* Octets not yet handed to the kernel. */
size_t channels_queued_bytes(const struct channels *c);
/* Does a request with this route come from the task scheduler? */
bool channels_is_task(const struct channels *c, const struct frame *route);
/* Where the engine registers, for logs; owned. */
char *channels_address(const struct channels *c);

#endif
