/* SPDX-License-Identifier: BSD-3-Clause */
/* The wire layer without sockets, for targets that feed a whole router or engine: fake_port.c
 * has the functions of wire/port.h that they call, and the linker takes them in place of the
 * library's. What a peer says is handed to the port at once, in memory that is gone afterwards;
 * what is sent to it is shown to `heard`. */
#ifndef ERSA_TESTS_FUZZ_FAKE_PORT_H
#define ERSA_TESTS_FUZZ_FAKE_PORT_H

#include "wire/port.h"

#define FAKE_PEERS_MAX 16 /* of a port */

struct fake_hooks {
    void (*heard)(struct peer *to, const struct frame *frames, unsigned n);
    void (*gone)(struct peer *p); /* the pointer means nothing any more */
    void (*connects)(struct port *p, const char *endpoint); /* it waits for fake_connect() */
    void (*opened)(struct loop *l);                         /* its wire layer is there */
};
extern struct fake_hooks fake_hooks;

/* A peer that is up; one that is there already is taken over. Without an identity it gets one.
 * NULL: there are FAKE_PEERS_MAX. */
struct peer *fake_connect(struct port *p, struct slice identity);
void fake_say(struct peer *p, const struct frame *frames, unsigned n); /* unless it is paused */
void fake_hang_up(struct peer *p);
void fake_subscribe(struct peer *p);
/* Reads nothing from now on, or everything again. */
void fake_set_deaf(struct peer *p, bool on);
/* Everything that is deaf or paused ever was let go: no pause is left over. */
unsigned fake_pauses(const struct peer *p);

#endif
