/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of ports share: a loop, sides that note what happens to them, raw sockets.
 * Only tests include it, one each. */
#ifndef ERSA_WIRE_PORT_RIG_H
#define ERSA_WIRE_PORT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"
#include "wire/port.h"
#include "wire/zmtp.h"

#define DEADLINE_NS MS_TO_NS(10000)

struct side {
    struct port *port;
    struct peer *peer; /* the last that came up */
    unsigned ups, downs, messages, subscriptions, drained, written, taken_over;
    enum peer_down why;
    char last[200];  /* the last message, frames joined by '|' */
    size_t last_len; /* of its last frame */
    uint8_t last_octet;
    bool echo, close_it;
    struct peer *victim; /* closed by the next message */
    struct port *doomed; /* likewise */
    char all[400];       /* last octets of all messages */
};

static struct loop *loop;
static struct wire *wire;
static char endpoint[PORT_ENDPOINT_MAX];

static void on_up(void *ctx, struct peer *p)
{
    struct side *s = ctx;
    s->ups++;
    s->peer = p;
}

static void on_down(void *ctx, struct peer *p, enum peer_down why)
{
    struct side *s = ctx;
    s->downs++;
    s->why = why;
    if (s->peer == p)
        s->peer = NULL;
}

static void on_message(void *ctx, struct peer *p, const struct msg *m)
{
    struct side *s = ctx;
    size_t n = 0;
    s->messages++;
    for (unsigned i = 0; i < m->n; i++) {
        size_t room = sizeof(s->last) - 2 - n;
        size_t len = m->frames[i].len < room ? m->frames[i].len : room;
        if (i && room) {
            s->last[n++] = '|';
            len -= len == room;
        }
        memcpy(s->last + n, m->frames[i].data, len);
        n += len;
    }
    s->last[n] = '\0';
    s->last_len = m->frames[m->n - 1].len;
    if (s->last_len)
        s->last_octet = m->frames[m->n - 1].data[s->last_len - 1];
    if (s->messages < sizeof(s->all))
        s->all[s->messages - 1] = (char)s->last_octet;
    if (s->echo)
        peer_send(p, m->frames, m->n);
    if (s->victim)
        peer_close(s->victim);
    s->victim = NULL;
    if (s->doomed)
        port_close(s->doomed, 0);
    s->doomed = NULL;
    if (s->close_it)
        peer_close(p);
}

static void on_subscribed(void *ctx, struct peer *p, struct slice prefix, bool on)
{
    struct side *s = ctx;
    s->subscriptions += on ? 1 : 100;
}

static void on_drained(void *ctx, struct peer *p)
{
    ((struct side *)ctx)->drained++;
}

static void on_written(void *ctx, struct peer *p)
{
    ((struct side *)ctx)->written++;
}

static void on_taken_over(void *ctx, struct peer *p)
{
    ((struct side *)ctx)->taken_over++;
}

static const struct port_ops ops = {
    .peer_up = on_up,
    .peer_down = on_down,
    .message = on_message,
    .subscribed = on_subscribed,
    .drained = on_drained,
    .written = on_written,
    .peer_taken_over = on_taken_over,
};

static __attribute__((unused)) int set_up(void **state)
{
    loop = loop_new();
    wire = wire_new(loop, NULL);
    return wire ? 0 : -1;
}

static __attribute__((unused)) int tear_down(void **state)
{
    wire_free(wire);
    loop_free(loop);
    return 0;
}

static __attribute__((unused)) void open_port(struct side *s, enum port_kind kind,
                                              const char *identity, struct port_config more)
{
    more.kind = kind;
    more.name = "test";
    more.ops = &ops;
    more.ctx = s;
    more.prio = LOOP_NORMAL;
    more.identity = identity;
    more.identity_len = identity ? strlen(identity) : 0;
    *s = (struct side){.port = port_new(wire, &more, NULL)};
    assert_non_null(s->port);
}

static __attribute__((unused)) void bind_port(struct side *s, enum port_kind kind)
{
    open_port(s, kind, "server", (struct port_config){.reconnect_min_ms = 10});
    assert_int_equal(port_bind(s->port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
}

static __attribute__((unused)) void connect_port(struct side *s, enum port_kind kind,
                                                 const char *identity)
{
    open_port(s, kind, identity,
              (struct port_config){.reconnect_min_ms = 10, .reconnect_max_ms = 20});
    assert_int_equal(port_connect(s->port, endpoint, NULL), 0);
}

#define WAIT(condition)                               \
    do {                                              \
        int64_t end_ = clock_mono_ns() + DEADLINE_NS; \
        while (!(condition)) {                        \
            assert_true(clock_mono_ns() < end_);      \
            loop_turn(loop, 10);                      \
        }                                             \
    } while (0)

static __attribute__((unused)) void turns(int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(loop, 1);
}

static __attribute__((unused)) int raw_connect(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    inet_pton(AF_INET, "127.0.0.1", &in.sin_addr);
    in.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

static __attribute__((unused)) size_t handshake(uint8_t *out, const char *kind,
                                                const char *identity)
{
    struct buf b;
    buf_init(&b, 1000);
    zmtp_put_greeting(out, "NULL");
    zmtp_put_ready(&b, kind, (struct slice){identity, strlen(identity)});
    memcpy(out + ZMTP_GREETING_SIZE, b.data, b.len);
    size_t n = ZMTP_GREETING_SIZE + b.len;
    buf_fini(&b);
    return n;
}

/* A raw peer that is up: what it sends next comes as one piece. */
static __attribute__((unused)) int raw_peer(struct side *server, const char *kind,
                                            const char *identity)
{
    uint8_t octets[400];
    unsigned ups = server->ups;
    int fd = raw_connect();
    size_t n = handshake(octets, kind, identity);
    assert_int_equal(send(fd, octets, n, 0), (ssize_t)n);
    WAIT(server->ups == ups + 1);
    return fd;
}

/* One subscriber takes everything, one some of it. */
static inline void publish_to_two(struct side *pub, struct side *all, struct side *some)
{
    port_subscribe(all->port, "", 0);
    WAIT(some->ups == 1 && pub->subscriptions == 1);
    port_subscribe(some->port, "b", 1);
    WAIT(pub->subscriptions == 2);
    struct frame a[] = {FRAME_LIT("a1"), FRAME_LIT("x")},
                 b[] = {FRAME_LIT("b1"), FRAME_LIT("y")};
    port_publish(pub->port, a, 2);
    port_publish(pub->port, b, 2);
    WAIT(all->messages == 2 && some->messages == 1);
    assert_string_equal(some->last, "b1|y");
}

#endif
