/* SPDX-License-Identifier: BSD-3-Clause */
/* One allocation: the mail and behind it the three texts. */
#include "store/mail.h"

#include <stdlib.h>
#include <string.h>

/* Copies `s` to *at and moves that on; absent stays absent. */
static struct slice put_text(char **at, struct slice s)
{
    if (!s.data)
        return s;
    struct slice copy = {*at, s.len};
    memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

struct mail *mail_new(enum mail_type type, struct slice msg_id, struct slice engine,
                      struct slice peer, struct held *msg)
{
    struct mail *m = malloc(sizeof(*m) + msg_id.len + engine.len + peer.len);
    if (!m)
        return NULL;
    char *at = m->text;
    *m = (struct mail){.type = type, .msg = msg};
    m->msg_id = put_text(&at, msg_id);
    m->engine = put_text(&at, engine);
    m->peer = put_text(&at, peer);
    return m;
}

void mail_free(struct mail *m)
{
    if (!m)
        return;
    held_free(m->msg);
    free(m);
}

size_t mail_weight(const struct mail *m)
{
    return m->msg && m->msg->bytes > MAIL_LIGHT ? m->msg->bytes : 0;
}
