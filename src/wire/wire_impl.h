/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the wire layer, shared by its files (conn, handshake, reading, peer, port,
 * wire) and by nobody else.
 *
 *     wire  1 - n  port  1 - n  listener, connector
 *                  port  1 - n  peer  1 - 0..1  conn
 *
 * A `conn` is a socket and what was received on it; a `peer` is who is at its other end, with
 * what is to be sent. Nothing is freed while a callback may stand on it: what has ended is put
 * on a list of the wire and swept at the end of the turn. */
#ifndef ERSA_WIRE_WIRE_IMPL_H
#define ERSA_WIRE_WIRE_IMPL_H

#include "loop/complaints.h"
#include "util/list.h"
#include "util/map.h"
#include "wire/endpoint.h"
#include "wire/port.h"
#include "wire/sealed.h"
#include "wire/subs.h"
#include "wire/txq.h"
#include "wire/zmtp.h"

#define SCRATCH_SIZE (256u << 10)

/* Messages that are not all there yet (unfinished.c). */
struct unfinished {
    size_t bytes, roomy, bound;
    unsigned n; /* connections that have some */
    struct conn *first;
    struct list going_on, waiting; /* conns */
    struct timer look;             /* while somebody waits */
};

struct wire {
    struct loop *loop; /* borrowed */
    struct block_pool *pool;
    bool owns_pool;
    uint8_t *scratch;  /* SCRATCH_SIZE octets that were just received */
    uint8_t *seal;     /* SEAL_SIZE octets that are just written; NULL: nobody seals */
    struct frame *vec; /* the frames of the message that is read */
    unsigned vec_cap;
    struct chunk_pool chunks;
    struct list ports;
    struct list to_flush; /* peers */
    struct list again;    /* conns with octets that were left unread */
    struct list closing;  /* peers closed by us */
    struct list dead_peers, dead_conns, dead_ports;
    struct defer flush, read_again, sweep;
    uint32_t next_identity;
    size_t default_msg_max;
    struct unfinished unfinished;
    struct wire_stats stats;
    struct complaints complaints;
};

struct port {
    struct list link; /* wire's */
    struct wire *wire;
    struct port_config cfg; /* with defaults filled in; identity owned */
    const struct mechanism *mechanism;
    bool closed;
    struct list listeners, connectors, conns;
    struct peer **peers; /* those that are up */
    size_t n_peers, cap_peers, next_peer;
    struct map by_identity;
    struct subs wanted; /* SUB */
    struct txq unsent;  /* DEALER without a connection */
    size_t queued;      /* octets of all peers */
    struct timer linger;
};

struct mechanism;

struct listener {
    struct list link;
    struct port *port;
    struct watch watch;
    struct endpoint at;
    struct timer pause; /* no descriptors left */
    bool complained;    /* about that */
};

struct connector {
    struct list link;
    struct port *port;
    struct endpoint to;
    struct conn *conn; /* NULL: waits */
    struct timer retry;
    bool complained; /* about a handshake */
    unsigned wait_ms;
    struct txq unsent; /* ROUTER: for the peer that was at this address */
    size_t id_len;     /* whose identity was this */
    uint8_t id[ZMTP_IDENTITY_MAX];
};

/* A message of which not all is there yet, with its octets copied once. */
struct partial {
    struct frame *frames; /* `data` of small ones: offset in `data` */
    unsigned n, cap;
    uint8_t *data;
    size_t len, size;
    size_t bytes;      /* of the message so far, with its frames' own cost */
    struct block *big; /* the large frame that is being received */
    size_t big_len, big_got;
    bool big_more;
};

enum conn_state {
    CONN_CONNECTING,
    CONN_GREETING,
    CONN_HANDSHAKE,
    CONN_JOINING,
    CONN_UP,
    CONN_DEAD
};

struct conn {
    struct list link;       /* port's */
    struct list again;      /* wire's */
    struct list unfinished; /* going_on or waiting */
    struct port *port;
    struct peer *peer;           /* NULL until its READY */
    struct connector *connector; /* NULL: accepted */
    struct watch watch;
    struct timer handshake;
    enum conn_state state;
    uint8_t minor;
    bool draining; /* read to the end, paused or not */
    bool wants_write;
    bool is_broken;          /* writing failed: what was sent before is still read */
    bool is_reset;           /* to be closed by a reset */
    bool waits;              /* for room (unfinished.c) */
    struct curve_talk *talk; /* owned; in the middle of its handshake */
    struct sealed *sealed;   /* owned; NULL: frames travel as they are */
    struct partial *partial; /* owned */
    uint8_t *tail;           /* owned; octets not yet understood */
    size_t tail_len, tail_cap;
    size_t kept;     /* octets of an unfinished message */
    int64_t kept_at; /* when that changed */
};

struct peer {
    struct list flush;
    struct list ended; /* closing, dead_peers */
    struct port *port;
    struct conn *conn;           /* NULL: gone */
    struct connector *connector; /* borrowed; NULL: accepted, or port closed */
    void *user;
    struct txq tx;
    struct subs subs;
    uint64_t moved; /* see peer_moved() */
    size_t index;   /* in port's array, + 1; 0: not up */
    unsigned paused;
    bool is_up;          /* peer_up was called */
    bool is_full;        /* reached the cap, and is not yet below half of it */
    struct list sources; /* struct stall: peers paused for this one */
    struct list sinks;   /* struct stall: peers this one is paused for */
    size_t id_len;
    uint8_t id[];
};

struct kind {
    const char *name;
    const char *accepts[3];
    bool tells_identity;
    bool is_publisher;
};
extern const struct kind kinds[PORT_KIND_MAX];

/* conn.c */
struct conn *conn_new(struct port *p, int fd, struct connector *from); /* takes fd */
/* Ends it; its peer, if it was up, is told off with `why`. */
void conn_fail(struct conn *c, enum peer_down why);
/* The same with an ERSA_E* and a line in the log. */
void conn_error(struct conn *c, ssize_t rc);
/* A write failed, by errno. */
void conn_write_failed(struct conn *c);
/* Says in the log why. */
void conn_complain(const struct conn *c, const char *text);
/* Ends it without a word. */
void conn_drop(struct conn *c);
void conn_update_events(struct conn *c);
/* It was held up, and is read again. */
void conn_go_on(struct conn *c);
/* Reads what it has received until now, paused or not. */
void conn_drain(struct conn *c);
const char *conn_address(const struct conn *c);
const char *conn_own_address(const struct conn *c);
void conn_free(struct conn *c);
void partial_free(struct partial *p);

/* handshake.c */
int conn_greet(struct conn *c);
ssize_t handshake_read_greeting(struct conn *c, const uint8_t *p, size_t n);
ssize_t handshake_read(struct conn *c, const uint8_t *p, size_t n);

/* reading.c */
/* Reads [p, p + n), which is in scratch, as far as possible, and keeps the rest. */
void conn_read_octets(struct conn *c, uint8_t *p, size_t n);
/* Goes on with what was kept. */
void conn_read_tail(struct conn *c);
/* More of the large frame under way is there. 0 or an error. */
int conn_big_grew(struct conn *c);
/* The large frame under way is complete; behind it came [rest, rest + n). */
void conn_big_is_there(struct conn *c, uint8_t *rest, size_t n);
bool conn_is_held_up(const struct conn *c);

/* peer.c */
struct peer *peer_new(struct port *p, struct slice identity);
/* The handshake of `c` is done: c->peer comes up, or takes over. */
void peer_join(struct conn *c);
void peer_gone(struct peer *p, enum peer_down why);
/* Writes what the socket takes. */
void peer_flush(struct peer *p);
int peer_send_raw(struct peer *p, const void *data, size_t len);
void peer_free(struct peer *p);

/* unfinished.c */
void unfinished_init(struct wire *w);
/* It has that many octets of a message that is not all there. */
void unfinished_changed(struct conn *c, size_t bytes);
static inline void unfinished_set(struct conn *c, size_t bytes)
{
    if (bytes | c->kept)
        unfinished_changed(c, bytes);
}
/* It has some, and more has come, which may be read now; or it waits until it may. */
bool unfinished_must_wait(struct conn *c);
bool unfinished_has_room(const struct conn *c);
/* How much of a large frame may be read now: the system may have much more of it. */
size_t unfinished_room(const struct conn *c);
/* Its peer is paused, and is no more. */
void unfinished_step_aside(struct conn *c);
void unfinished_step_back(struct conn *c);

/* flow.c */
/* Those that are paused for `sink` are read again. */
void peer_release_sources(struct peer *sink);
/* The other way round: nobody has `source` paused any more. */
void peer_leave_sinks(struct peer *source);

/* port.c */
void port_connection_lost(struct port *p, struct connector *k);
/* A connection of a closed port has written everything. */
void port_wind_up(struct port *p, struct conn *c);
/* Drops what was unsent. */
void connector_forget(struct connector *k);
void port_free_when_done(struct port *p);
void port_free(struct port *p);
/* DEALER: the peer that is sent the next message; there must be one. */
struct peer *port_next_in_turn(struct port *p);
int port_send_subscription(struct port *p, struct peer *to, struct slice prefix);

/* wire.c */
/* Calls peer_down for peers that were closed by us. */
void wire_tell_closed(struct wire *w);
void wire_sweep_later(struct wire *w);
/* w->seal is there. */
int wire_need_seal(struct wire *w);
/* Room for n frames in w->vec. */
int wire_grow_vec(struct wire *w, unsigned n);

#endif
