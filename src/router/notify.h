/* SPDX-License-Identifier: BSD-3-Clause */
/* Notifications to all clients (controller.md 10). */
#ifndef ERSA_ROUTER_NOTIFY_H
#define ERSA_ROUTER_NOTIFY_H

#include <jansson.h>

#include "util/str.h"

struct router;
struct link;

/* Publishes; takes the reference to `content`. `parent` with data NULL means "{}". */
void notify(struct router *r, const char *msg_type, struct slice parent, json_t *content);
/* The same to one client only. */
void notify_one(struct link *to, const char *msg_type, json_t *content);

#endif
