/* SPDX-License-Identifier: BSD-3-Clause */
/* What a set of connections has to do; channels.h says what for. Only for channels*.c. */
#ifndef ERSA_ENGINE_CHANNELS_SET_H
#define ERSA_ENGINE_CHANNELS_SET_H

#include "engine/channels.h"

#define CHANNELS_TX_CAP \
    ((size_t)16 << 20) /* queued for the controller before output is held back */

struct channel_set {
    bool is_one; /* channels_is_one() */
    int (*open)(struct channels *c, struct ersa_error *err);
    int (*serve)(struct channels *c, int64_t id, struct ersa_error *err);
    bool (*is_served)(const struct channels *c);
    void (*query)(struct channels *c, struct frame *frames, unsigned n);
    void (*reply)(struct channels *c, enum channel ch, struct frame *frames, unsigned n);
    void (*publish)(struct channels *c, struct frame *frames, unsigned n);
    int (*write_out)(struct channels *c, enum channel ch, const struct frame *route);
    bool (*is_full)(const struct channels *c);
    bool (*is_task)(const struct frame *route);
    const char *(*task_end)(const struct channels *c); /* may be NULL */
    int (*query_port)(const struct connection_info *conn);
};

extern const struct channel_set channels_attach, channels_stock;

/* Opens c->ports[which] of that kind. */
int channels_port(struct channels *c, enum stock_port which, enum port_kind kind,
                  enum loop_prio prio, const struct port_ops *ops, struct ersa_error *err);
int channels_connect(struct channels *c, enum stock_port which, int number,
                     struct ersa_error *err);
/* The message with the route in front; NULL when out of memory. */
const struct frame *channels_with_route(struct channels *c, struct slice route,
                                        const struct msg *m);
void channels_note_ping(struct channels *c);

#endif
