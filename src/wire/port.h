/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports: bound or connecting endpoints of a ZeroMQ kind, whose peers come and go as events.
 *
 * ZMTP 3.1 (RFC 37; 3.0 accepted) over TCP and ipc on one loop, with CURVE (RFC 26) where the
 * configuration says so; wire.md 1 and 2, design.md 7.
 * Nothing outside src/wire knows the protocol. What is sent in one turn of the loop goes out in
 * one write per connection at its end.
 *
 * A peer is an identity, not a connection: when a second connection with the same identity
 * comes to a bound ROUTER, it takes over the peer, with what is queued for it.
 *
 * Flow control: each peer has a queue of octets to send. It is not refused above the cap: the
 * caller looks (peer_is_full) and holds back the source, most easily with peer_stall(). */
#ifndef ERSA_WIRE_PORT_H
#define ERSA_WIRE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ersa/error.h"
#include "loop/loop.h"
#include "util/block.h"
#include "util/str.h"
#include "wire/curve.h"
#include "wire/msg.h"

/* What the ports of one loop share: scratch buffers, block pool, list of peers to flush. */
struct wire;

/* `pool` (borrowed) receives large frames; NULL: a private pool is made. */
struct wire *wire_new(struct loop *l, struct block_pool *pool);
void wire_free(struct wire *w); /* all ports must be closed */
struct block_pool *wire_pool(struct wire *w);
/* Octets that messages which are not all there may take together, beside one that may be as
 * long as its port allows; not set: an eighth of RAM. At least 16 MiB. */
void wire_bound_unfinished(struct wire *w, size_t bytes);

enum port_kind { PORT_ROUTER, PORT_DEALER, PORT_PUB, PORT_XPUB, PORT_SUB, PORT_KIND_MAX };

enum peer_down {
    DOWN_EOF,      /* the peer closed: all that it sent was received */
    DOWN_BROKEN,   /* the connection broke: what was sent last may be lost, either way */
    DOWN_PROTOCOL, /* it broke ZMTP, or a bound */
    DOWN_TIMEOUT,  /* handshake, or a message that others waited for, not finished in time */
    DOWN_CLOSED,   /* by us, maybe for want of memory */
};

struct port;
struct peer;

/* All may be NULL. Called from the loop; peers may be closed and messages sent in them. */
struct port_ops {
    /* The handshake is done. */
    void (*peer_up)(void *ctx, struct peer *p);
    /* The last call about this peer. Messages it had sent before were delivered. */
    void (*peer_down)(void *ctx, struct peer *p, enum peer_down why);
    /* A new connection took over the peer (bound ROUTER). */
    void (*peer_taken_over)(void *ctx, struct peer *p);
    /* The frames as the peer sent them: no identity in front. */
    void (*message)(void *ctx, struct peer *p, const struct msg *m);
    /* PUB and XPUB: a subscription came or went (`on`). */
    void (*subscribed)(void *ctx, struct peer *p, struct slice prefix, bool on);
    /* The queue fell below half of the cap after having been full. */
    void (*drained)(void *ctx, struct peer *p);
    /* All is written, after a time when the socket did not take it. */
    void (*written)(void *ctx, struct peer *p);
};

struct port_config {
    enum port_kind kind;
    const char *name;     /* for logs; borrowed for the port's life */
    const void *identity; /* presented to peers; copied; may be NULL */
    size_t identity_len;
    const struct port_ops *ops; /* borrowed */
    void *ctx;
    enum loop_prio prio;
    size_t tx_cap_bytes;       /* per peer (PUB, XPUB: of all), 0: 64 MiB; see peer_is_full() */
    size_t msg_max_bytes;      /* a longer message closes the peer; 0: a quarter of RAM */
    unsigned handshake_ms;     /* 0: 30,000 */
    unsigned reconnect_min_ms; /* connecting: first wait, doubled up to the maximum; 0: 100 */
    unsigned reconnect_max_ms; /* 0: 5,000 */
    size_t unsent_max_bytes;   /* connecting: kept while there is no connection; 0: 64 MiB */
    const struct curve_config *curve; /* borrowed for the port's life; NULL: unencrypted */
};

/* NULL on ERSA_ENOMEM or ERSA_EINVAL. */
struct port *port_new(struct wire *w, const struct port_config *cfg, struct ersa_error *err);

#define PORT_ENDPOINT_MAX 256
/* `endpoint` is "tcp://ip:port" (ip "*": every interface, port "*" or 0: a free one) or
 * "ipc:///absolute/path". `ret_endpoint` (may be NULL) receives what was bound. Several binds
 * to one port are allowed. ERSA_EEXIST (in use), ERSA_EINVAL, ERSA_EIO. */
int port_bind(struct port *p, const char *endpoint, char ret_endpoint[PORT_ENDPOINT_MAX],
              struct ersa_error *err);
/* Connects, and again with back-off whenever the connection goes, until the port is closed.
 * Several endpoints to one port are allowed. ERSA_EINVAL. */
int port_connect(struct port *p, const char *endpoint, struct ersa_error *err);
/* Writes for at most `linger_ms` what is queued, then closes; the port frees itself. No
 * callback comes any more, peer_down neither. */
void port_close(struct port *p, unsigned linger_ms);
/* Octets queued for all peers: 0 means everything was handed to the kernel. */
size_t port_queued_bytes(const struct port *p);

/* The peer of that identity, NULL when there is none. */
struct peer *port_find(const struct port *p, const void *identity, size_t len);
/* Iteration over the peers that are up; start with *pos = 0, NULL at the end. Sending is
 * allowed while iterating, closing peers is not. */
struct peer *port_next_peer(const struct port *p, size_t *pos);
size_t port_peers(const struct port *p);

/* Queues a message for the peer. Small frames are copied, large ones referenced.
 * 0, ERSA_ECLOSED, or ERSA_ENOMEM (the peer is closed then). */
int peer_send(struct peer *p, const struct frame *frames, unsigned n);
/* Writes what is queued now, not at the end of the turn. 0: the kernel has all of it, and the
 * other side had not reset the connection by then. ERSA_EAGAIN: `written` tells when it has.
 * ERSA_ECLOSED: the connection is gone, or broke right now (peer_down comes when what the peer
 * had sent is read). */
int peer_write_out(struct peer *p);
/* DEALER: next connected peer in turn that has room; kept (to unsent_max_bytes) while there is
 * none. ERSA_EFULL. */
int port_send(struct port *p, const struct frame *frames, unsigned n);
/* ROUTER: to the peer of that identity, or, where one of that identity was at an address that
 * we connect to, to it when it is there again (kept to unsent_max_bytes). ERSA_ENOENT;
 * ERSA_EFULL; as peer_send(). */
int port_send_to(struct port *p, struct slice id, const struct frame *frames, unsigned n);
/* PUB, XPUB: to every peer with a subscription that is a prefix of the first frame. A peer with
 * more than its share of the cap waiting misses the message; returns how many did. */
unsigned port_publish(struct port *p, const struct frame *frames, unsigned n);
/* SUB: one more prefix, for present and future peers. */
int port_subscribe(struct port *p, const void *prefix, size_t len);

struct slice peer_identity(const struct peer *p);
void peer_set_user(struct peer *p, void *user);
void *peer_user(const struct peer *p);
size_t peer_queued_bytes(const struct peer *p);
/* Grows while something large is under way: octets of large frames that came from the peer, and
 * octets that it took while more waited. */
uint64_t peer_moved(const struct peer *p);
/* From the moment when the queue reaches the cap until it has `drained`. Where two caps or more
 * are queued at the port, a sixteenth of the cap makes a peer full. */
bool peer_is_full(const struct peer *p);
/* "tcp://127.0.0.1:4711", for logs. */
const char *peer_address(const struct peer *p);
/* Our end of the connection, in the same form and just as short-lived. Where both sides name
 * the same two, there is nobody in between. */
const char *peer_own_address(const struct peer *p);

/* Stops and goes on reading from the peer; calls nest. */
void peer_pause(struct peer *p);
void peer_resume(struct peer *p);
bool peer_is_paused(const struct peer *p);
/* Pauses `source` until `sink`, which is full, has drained or is gone. No-op when it is not
 * full. */
void peer_stall(struct peer *source, struct peer *sink);

/* Drops the connection at once; peer_down(DOWN_CLOSED) comes at the end of the turn. */
void peer_close(struct peer *p);
/* Delivers what has come from the peer, and resets the connection: nothing that it writes from
 * then on looks written to it. */
void peer_reset(struct peer *p);
/* Octets handed to the kernel that the other side's has not acknowledged; 0 where nobody can
 * tell. */
size_t peer_unacknowledged(const struct peer *p);

/* Counters for tests and metrics, since wire_new(). */
struct wire_stats {
    uint64_t accepted, connected, handshake_failed, protocol_errors, msgs_in, msgs_out,
        bytes_in, bytes_out, reads, writes, dropped_pub, takeovers,
        held_up, /* connections that had to wait with an unfinished message */
        stalled; /* and those that were closed over one */
};
const struct wire_stats *wire_stats(const struct wire *w);

#endif
