/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole router on fake ports (fake_port.h), and the steps that inputs are made of. Records
 * are played: the mail to them is read, and its queries are answered, when a step says so. */
#ifndef ERSA_TESTS_FUZZ_ROUTER_SEAT_H
#define ERSA_TESTS_FUZZ_ROUTER_SEAT_H

#include "fuzz.h"
#include "router/core.h"

/* Makes a router; mode 1: with a key, 2: without our capabilities, 4: restored engines. */
void seat_open(uint8_t mode);
/* A peer of that port, in the next free slot. */
void seat_connect(enum route rt, const char *identity);
/* The peer of the slot says `msg_type` with that content; on an attached connection it goes to
 * the channel of queries. */
void seat_say(unsigned slot, const char *msg_type, const char *content);
/* One step of the input; what was said to peers and the tables of engines are checked. */
void seat_step(struct input *in);
void seat_close(void);

#endif
