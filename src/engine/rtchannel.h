/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's end of the channel to its runtime (docs/protocol/runtime.md 1, 2): framing both
 * ways, shared blocks, bounds. What the messages mean is up to runtime.c.
 *
 * Large parts cross without a copy: a frame whose block is one of a shared pool is lent as it
 * is, and a part that comes in a block of the runtime is a frame with a block, to be referenced
 * by whoever keeps it. Small parts of a received message live as long as the callback. */
#ifndef ERSA_ENGINE_RTCHANNEL_H
#define ERSA_ENGINE_RTCHANNEL_H

#include <stdbool.h>

#include "engine/rtblocks.h"
#include "engine/rtmarks.h"
#include "engine/rtproto.h"
#include "loop/loop.h"
#include "util/buf.h"
#include "wire/msg.h"

struct rtchannel_ops {
    /* One message. The channel may be closed in it, not freed. BLOCK and RELEASE don't show. */
    void (*message)(void *ctx, uint32_t type, const struct frame *parts, unsigned n);
    /* The last call: the other side closed (`why` NULL), or broke the protocol. */
    void (*closed)(void *ctx, const char *why);
};

struct rtchannel {
    struct watch watch;
    struct loop *loop;       /* borrowed */
    struct block_pool *pool; /* borrowed, shared */
    const struct rtchannel_ops *ops;
    void *ctx;
    struct lender lender;
    struct borrower borrower;
    struct buf tx, rx;
    size_t tx_sent, rx_read; /* of what is in the buffers */
    size_t need;             /* octets in `rx` before it is worth looking again */
    struct rtmarks out;      /* borrowed from lent blocks */
    struct rtmarks in;       /* owned descriptors, in order of arrival */
    struct frame *parts;     /* owned: of the message being delivered */
    unsigned parts_cap;
    bool is_open, is_held, is_reading;
};

/* Takes `fd` (non-blocking from now on). 0, ERSA_ENOMEM or ERSA_EIO (and `fd` is closed). */
int rtchannel_open(struct rtchannel *c, struct loop *l, int fd, struct block_pool *pool,
                   const struct rtchannel_ops *ops, void *ctx);
/* Closes without a word to anybody; no-op when closed. Blocks in use stay as they are. */
void rtchannel_close(struct rtchannel *c);
/* Frees what is left of a closed channel. */
void rtchannel_fini(struct rtchannel *c);

/* Queues a message and writes what can be written. 0, ERSA_ECLOSED, ERSA_EFULL (it breaks a
 * bound of the protocol; nothing was sent), ERSA_ENOMEM (nothing was sent). */
int rtchannel_send(struct rtchannel *c, uint32_t type, const struct frame *parts, unsigned n);

/* Stops and goes on reading. */
void rtchannel_hold(struct rtchannel *c, bool on);
/* Delivers what the other side had written before it went; then it is closed. */
void rtchannel_read_out(struct rtchannel *c);

#endif
