/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines with one connection for all channels (extensions.md 2): each message has its
 * channel's name in front. */
#ifndef ERSA_ROUTER_ATTACH_H
#define ERSA_ROUTER_ATTACH_H

#include "router/link.h"

void attach_on_up(struct link *l);
void attach_on_message(struct link *l, const struct msg *m);

#endif
