/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime's end of the channel to ipengine (docs/protocol/runtime.md), without Python: rx.c
 * reads, tx.c writes, lend.c has the blocks that we send in, borrow.c the blocks of the engine.
 *
 * Who may touch what: `rx` and `borrowed` belong to whoever holds the GIL (reading waits
 * without it, one reader at a time); `tx` has a lock of its own that is never held while
 * somebody waits for the GIL; so has the pool of lent blocks, which both directions need. */
#ifndef ERSA_EXT_CHAN_H
#define ERSA_EXT_CHAN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/rtproto.h"

/* borrow.c: what the engine lends */

struct mapping {
    struct mapping *next; /* in its bucket */
    uint32_t id;
    bool is_used;
    uint8_t *data;
    size_t cap;
};

/* One use of a mapping, from the message that names it until it is given back. */
struct use {
    struct use *prev, *next; /* in borrowed.live, while the memory is the engine's */
    struct mapping *map;     /* NULL: the memory is our own (after a fork), or none */
    uint8_t *data;
    size_t len, own_cap; /* own_cap: octets to unmap when `map` is NULL */
};

#define BUCKETS 256u
#define MAPPINGS_MAX 32768u

struct borrowed {
    struct mapping *buckets[BUCKETS];
    size_t n;
    struct use *live;
    uint32_t *returned; /* owned: ids to send in RELEASE */
    size_t n_returned, cap_returned;
};

/* lend.c: what we lend */

struct lent {
    uint8_t *data;
    size_t cap;
    bool is_used;
    bool is_cold; /* its pages were given back */
};

struct pool {
    pthread_mutex_t lock;
    struct lent *blocks; /* owned; id - 1 is the index */
    uint32_t n, cap;
    size_t warm_free; /* octets of blocks that wait with their pages */
};

/* rx.c, tx.c */

struct octets {
    uint8_t *data; /* owned */
    size_t len, cap;
};

#define RX_FDS_MAX 256

struct rx {
    struct octets in;
    size_t at;           /* read so far */
    size_t need;         /* octets from `at` on before it is worth looking again */
    int fds[RX_FDS_MAX]; /* owned: of BLOCK messages, in order */
    unsigned n_fds;
    const char *why; /* what broke the protocol */
};

struct rx_part {
    const uint8_t *data; /* inline: valid until the next rx_*() */
    size_t len;
    struct mapping *map; /* NULL: inline */
};

struct rx_message {
    uint32_t type;
    uint32_t n;
    const uint8_t *table; /* n times struct rt_part, unaligned */
    const uint8_t *octets;
};

struct tx {
    pthread_mutex_t lock;
    struct octets out;
};

struct tx_part {
    const void *data;
    size_t len;
};

struct chan {
    int refs;            /* GIL */
    int fd;              /* -1: closed */
    unsigned generation; /* of the process that made it */
    bool is_child;       /* of a fork: nothing of this is ours any more; see chan_is_child() */
    struct rx rx;
    struct borrowed borrowed;
    struct pool pool;
    struct tx tx;
};

struct chan *chan_new(int fd); /* takes `fd`, also when it returns NULL: out of memory */
void chan_unref(struct chan *c);
void chan_close(struct chan *c);
/* In the child of a fork: closes, forgets what is under way, makes locks anew. */
void chan_after_fork(struct chan *c);
/* Are we such a child? C code may fork without telling Python: this makes up for it. */
bool chan_is_child(struct chan *c);

/* Reads what there is, or waits for it. Octets read, 0 at the end, -1 with errno. */
ssize_t rx_read(struct chan *c, bool is_waiting);
/* The next message; BLOCK and RELEASE are dealt with. 1: there is one, 0: more octets are
 * needed, -1: the protocol is broken, see rx.why. */
int rx_next(struct chan *c, struct rx_message *m);
/* Its part `i`, to be called for each in order, once; *at (0 first) is the place in m->octets.
 * 0, or -1: broken. */
int rx_part(struct chan *c, const struct rx_message *m, uint32_t i, size_t *at,
            struct rx_part *ret_part);
/* Done with the message. */
void rx_done(struct chan *c);

/* Sends a message, in front of it RELEASE for `returned`. 0, or an errno. Any thread, without
 * the GIL. */
int tx_send(struct chan *c, uint32_t type, const struct tx_part *parts, size_t n,
            const uint32_t *returned, size_t n_returned);

int octets_reserve(struct octets *o, size_t more); /* 0 or -1 */
void octets_shrink(struct octets *o);              /* lets a large one go when it is empty */

/* Maps what is announced; closes `fd` in any case. NULL, or what is wrong. */
const char *borrow_announce(struct borrowed *b, uint32_t id, uint64_t cap, int fd);
struct mapping *borrow_find(const struct borrowed *b, uint32_t id);
void borrow_use(struct borrowed *b, struct mapping *m, size_t len, struct use *u);
/* The end of a use: its id goes on the list of what is to be returned. */
void borrow_return(struct chan *c, struct use *u);
/* Before a fork: what is in use becomes memory of our own at the same address, as a child and
 * we would see each other's changes, and the engine's next ones, in a shared block. */
void borrow_make_own(struct borrowed *b);
void borrow_fini(struct borrowed *b);

/* Makes a block of at least `len` octets ours to fill. Its id, or 0: out of memory. *ret_fd is
 * the descriptor to announce, owned by the caller, or -1: the engine knows it. */
uint32_t lend_take(struct pool *p, size_t len, uint8_t **ret_data, size_t *ret_cap,
                   int *ret_fd);
int lend_back(struct pool *p, uint32_t id); /* 0, or -1: it was not lent */
void lend_fini(struct pool *p);

#endif
