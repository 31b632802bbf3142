/* SPDX-License-Identifier: BSD-3-Clause */
/* One PUB without topics. Stock clients raise on types that they don't know: there are three.
 */
#include "router/notify.h"

#include <stdlib.h>

#include "router/core.h"
#include "util/log.h"
#include "wire/json.h"

/* To one client, or with `to` NULL to all. */
static void send_note(struct router *r, struct link *to, const char *msg_type,
                      struct slice parent, json_t *content)
{
    struct frame frames[SESSION_FRAMES];
    char *text = json_text(content);
    json_decref(content);
    if (!text) {
        log_error("notification::%s was not sent: out of memory", msg_type);
        return;
    }
    struct outgoing o = {
        .msg_type = msg_type,
        .parent = parent,
        .content = {text, strlen(text)},
    };
    if (router_compose(r, &o, frames) < 0)
        ; /* it has said so */
    else if (to)
        link_send(to, frames, SESSION_FRAMES, NULL);
    else
        port_publish(ports_get(&r->ports, RT_NOTIFY), frames, SESSION_FRAMES);
    free(text);
}

void notify(struct router *r, const char *msg_type, struct slice parent, json_t *content)
{
    send_note(r, NULL, msg_type, parent, content);
}

void notify_one(struct link *to, const char *msg_type, json_t *content)
{
    send_note(to->router, to, msg_type, (struct slice){NULL, 0}, content);
}
