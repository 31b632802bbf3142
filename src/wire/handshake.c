/* SPDX-License-Identifier: BSD-3-Clause */
/* From the first octet to the moment when both sides know each other: greeting, then the
 * mechanism's commands. What is sent here are a few octets into an empty socket buffer. */
#include <string.h>
#include <sys/socket.h>

#include "wire/mechanism.h"
#include "wire/wire_impl.h"

#define COMMAND_MAX \
    4096 /* octets of a command's body: a peer that nobody knows yet gets no more */

static int send_now(struct conn *c, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    ssize_t n = send(c->watch.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n == (ssize_t)len ? 0 : ERSA_EIO;
}

int conn_greet(struct conn *c)
{
    uint8_t greeting[ZMTP_GREETING_SIZE];
    zmtp_put_greeting(greeting, c->port->mechanism->name);
    return send_now(c, greeting, sizeof(greeting));
}

static struct handshake our_side(struct conn *c, struct buf *room)
{
    const struct port_config *cfg = &c->port->cfg;
    const struct kind *k = &kinds[cfg->kind];
    struct handshake h = {
        .socket_type = k->name, .curve = cfg->curve, .talk = &c->talk, .room = room};
    if (k->tells_identity)
        h.identity = (struct slice){cfg->identity, cfg->identity_len};
    return h;
}

/* [p, p + n) are the octets received so far; the result is how many were taken, 0: more are
 * needed, or an error. */
ssize_t handshake_read_greeting(struct conn *c, const uint8_t *p, size_t n)
{
    struct zmtp_greeting g;
    if (!zmtp_may_be_greeting(p, n))
        return ERSA_EPROTO;
    if (n < ZMTP_GREETING_SIZE)
        return 0;
    if (zmtp_parse_greeting(p, &g) < 0)
        return ERSA_EPROTO;
    if (strcmp(g.mechanism, c->port->mechanism->name) != 0) {
        conn_complain(c, c->port->cfg.curve ? "it does not encrypt (CURVE)"
                                            : "it wants another mechanism than NULL");
        conn_fail(c, DOWN_PROTOCOL);
        return ERSA_EPROTO;
    }
    c->minor = g.minor;
    c->state = CONN_HANDSHAKE;
    struct handshake h = our_side(c, NULL);
    struct buf out;
    buf_init(&out, COMMAND_MAX);
    int rc = c->port->mechanism->start(&h, &out);
    if (rc == 0)
        rc = send_now(c, out.data, out.len);
    buf_fini(&out);
    return rc < 0 ? rc : ZMTP_GREETING_SIZE;
}

static bool accepts(const struct port *p, struct slice socket_type)
{
    for (int i = 0; i < 3 && kinds[p->cfg.kind].accepts[i]; i++)
        if (slice_is(socket_type, kinds[p->cfg.kind].accepts[i]))
            return true;
    return false;
}

/* What follows is sealed. */
static int begin_sealing(struct conn *c)
{
    c->sealed = sealed_new(curve_talk_link(c->talk));
    curve_talk_free(c->talk);
    c->talk = NULL;
    return c->sealed ? wire_need_seal(c->port->wire) : ERSA_ENOMEM;
}

static int on_known(struct conn *c, const struct zmtp_ready *ready)
{
    if (!accepts(c->port, ready->socket_type))
        return ERSA_EPROTO;
    int rc = c->talk ? begin_sealing(c) : 0;
    if (rc < 0)
        return rc;
    c->peer = peer_new(c->port, ready->identity);
    if (!c->peer)
        return ERSA_ENOMEM;
    c->state = CONN_JOINING;
    return 0;
}

static int on_command(struct conn *c, const struct zmtp_command *cmd)
{
    struct zmtp_ready ready;
    struct buf out, room;
    struct handshake h = our_side(c, &room);
    buf_init(&out, COMMAND_MAX);
    buf_init(&room, COMMAND_MAX);
    int rc = c->port->mechanism->command(&h, cmd, &out, &ready);
    if (rc >= 0 && send_now(c, out.data, out.len) < 0)
        rc = ERSA_EIO;
    if (rc > 0)
        rc = on_known(c, &ready);
    buf_fini(&out);
    buf_fini(&room);
    return rc;
}

ssize_t handshake_read(struct conn *c, const uint8_t *p, size_t n)
{
    struct zmtp_head head;
    struct zmtp_command cmd;
    int size = zmtp_parse_head(p, n, &head);
    if (size <= 0)
        return size;
    if (!(head.flags & ZMTP_COMMAND) || head.len > COMMAND_MAX)
        return ERSA_EPROTO;
    if (n - head.size < head.len)
        return 0;
    if (zmtp_parse_command((struct slice){(const char *)p + head.size, head.len}, &cmd) < 0)
        return ERSA_EPROTO;
    int rc = on_command(c, &cmd);
    return rc < 0 ? rc : (ssize_t)(head.size + head.len);
}
