/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports against each other and against raw sockets: kinds, identities, parts of frames,
 * take-over, flow control, reconnecting, ends. */
#include "wire/port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"
#include "wire/zmtp.h"

#define DEADLINE_NS MS_TO_NS(10000)

struct side {
    struct port *port;
    struct peer *peer; /* the last that came up */
    unsigned ups, downs, messages, subscriptions, drained, taken_over;
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
    .peer_taken_over = on_taken_over,
};

static int set_up(void **state)
{
    loop = loop_new();
    wire = wire_new(loop, NULL);
    return wire ? 0 : -1;
}

static int tear_down(void **state)
{
    wire_free(wire);
    loop_free(loop);
    return 0;
}

static void open_port(struct side *s, enum port_kind kind, const char *identity,
                      struct port_config more)
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

static void bind_port(struct side *s, enum port_kind kind)
{
    open_port(s, kind, "server", (struct port_config){.reconnect_min_ms = 10});
    assert_int_equal(port_bind(s->port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
}

static void connect_port(struct side *s, enum port_kind kind, const char *identity)
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

static void turns(int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(loop, 1);
}

static void test_request_and_reply(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, "me");
    server.echo = true;
    struct frame f[] = {FRAME_LIT("a"), FRAME_LIT(""), FRAME_LIT("ccc")};
    assert_int_equal(port_send(client.port, f, 3), 0); /* kept until it is connected */
    WAIT(client.messages == 1);
    assert_string_equal(client.last, "a||ccc");
    assert_true(slice_is(peer_identity(server.peer), "me"));
    assert_true(slice_is(peer_identity(client.peer), "server"));
    assert_ptr_equal(port_find(server.port, "me", 2), server.peer);
    assert_int_equal(port_queued_bytes(client.port), 0);
    assert_int_equal(port_queued_bytes(server.port), 0);
    for (int i = 0; i < 1000; i++)
        port_send(client.port, f, 3);
    WAIT(client.messages == 1001);
    port_close(client.port, 0);
    WAIT(server.downs == 1);
    assert_int_equal(server.why, DOWN_EOF);
    assert_null(port_find(server.port, "me", 2));
}

static void test_large_frames_are_not_copied(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, NULL);
    server.echo = true;
    struct block *b = block_get(wire_pool(wire), 20 << 20);
    memset(b->data, 7, b->cap);
    b->data[(20 << 20) - 1] = 99;
    struct frame f[] = {
        FRAME_LIT("head"), {b->data, 20 << 20, b}, FRAME_LIT("x"), {b->data, 20 << 20, b}};
    WAIT(client.ups == 1);
    port_send(client.port, f, 4);
    block_unref(b);
    WAIT(client.messages == 1);
    assert_int_equal(client.last_len, 20 << 20);
    assert_int_equal(client.last_octet, 99);
    turns(3);
    assert_int_equal(block_pool_used(wire_pool(wire)), 0);
}

static void test_publish_and_subscribe(void **state)
{
    struct side pub, all, some;
    bind_port(&pub, PORT_XPUB);
    connect_port(&all, PORT_SUB, NULL);
    connect_port(&some, PORT_SUB, NULL);
    port_subscribe(all.port, "", 0);
    WAIT(some.ups == 1 && pub.subscriptions == 1);
    port_subscribe(some.port, "b", 1);
    WAIT(pub.subscriptions == 2);
    struct frame a[] = {FRAME_LIT("a1"), FRAME_LIT("x")},
                 b[] = {FRAME_LIT("b1"), FRAME_LIT("y")};
    port_publish(pub.port, a, 2);
    port_publish(pub.port, b, 2);
    WAIT(all.messages == 2 && some.messages == 1);
    assert_string_equal(some.last, "b1|y");
}

static int raw_connect(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    inet_pton(AF_INET, "127.0.0.1", &in.sin_addr);
    in.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

static size_t handshake(uint8_t *out, const char *kind, const char *identity)
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

static void test_octet_by_octet(void **state)
{
    struct side server;
    uint8_t octets[400];
    bind_port(&server, PORT_ROUTER);
    int fd = raw_connect();
    size_t n = handshake(octets, "DEALER", "raw");
    memcpy(octets + n, "\x04\x07\x04PING\0\0\x01\x03one\0\x03two", 7 + 2 + 5 + 5);
    octets[n + 1] = 7;
    n += 19;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(send(fd, octets + i, 1, 0), 1);
        loop_turn(loop, 5);
    }
    WAIT(server.messages == 1);
    assert_string_equal(server.last, "one|two");
    shutdown(fd, SHUT_WR);
    uint8_t back[400];
    size_t got = 0;
    WAIT(server.downs == 1);
    for (ssize_t k; (k = recv(fd, back + got, sizeof(back) - got, 0)) > 0;)
        got += (size_t)k;
    assert_non_null(memmem(back, got, "\x04PONG", 5));
    close(fd);
}

static void expect_closed(struct side *server, const void *octets, size_t len)
{
    uint8_t all[500];
    unsigned before = server->downs;
    int fd = raw_connect();
    size_t n = handshake(all, "DEALER", "");
    assert_int_equal(send(fd, all, n, 0), (ssize_t)n);
    assert_int_equal(send(fd, octets, len, 0), (ssize_t)len);
    WAIT(server->downs == before + 1);
    assert_int_equal(server->why, DOWN_PROTOCOL);
    close(fd);
}

static void test_what_breaks_the_protocol(void **state)
{
    struct side server;
    open_port(&server, PORT_ROUTER, NULL, (struct port_config){.msg_max_bytes = 100000});
    assert_int_equal(port_bind(server.port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
    expect_closed(&server, "\x08\x01x", 3);
    expect_closed(&server, "\x05\x05\x04PING", 7);
    expect_closed(&server, "\x04\x05\x09PING", 7);
    expect_closed(&server, "\x02\0\0\0\0\0\x02\0\0", 9); /* 131,072 octets */
    expect_closed(&server, "\x02\x7f\xff\xff\xff\xff\xff\xff\xff", 9);
    expect_closed(&server, "\x02\xff\xff\xff\xff\xff\xff\xff\xff", 9);
    static uint8_t frames[2 * 5000];
    memset(frames, 0, sizeof(frames));
    for (size_t i = 0; i < sizeof(frames); i += 2)
        frames[i] = 1;
    expect_closed(&server, frames, sizeof(frames)); /* empty frames have a cost, too */
    assert_int_equal(server.messages, 0);
    assert_true(wire_stats(wire)->protocol_errors >= 7);
}

static void test_handshakes_that_fail(void **state)
{
    struct side server;
    uint8_t octets[400];
    open_port(&server, PORT_ROUTER, NULL, (struct port_config){.handshake_ms = 50});
    assert_int_equal(port_bind(server.port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
    int silent = raw_connect(), http = raw_connect(), wrong = raw_connect();
    assert_int_equal(send(http, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    size_t n = handshake(octets, "SUB", "");
    assert_int_equal(send(wrong, octets, n, 0), (ssize_t)n);
    WAIT(wire_stats(wire)->handshake_failed == 3);
    assert_int_equal(server.ups, 0);
    close(silent);
    close(http);
    close(wrong);
}

static void test_take_over(void **state)
{
    struct side server;
    uint8_t octets[400];
    bind_port(&server, PORT_ROUTER);
    int first = raw_connect();
    size_t n = handshake(octets, "DEALER", "same");
    assert_int_equal(send(first, octets, n, 0), (ssize_t)n);
    WAIT(server.ups == 1);
    struct peer *p = server.peer;
    assert_int_equal(send(first, "\0\x04last", 6, 0),
                     6); /* not yet read when the second one comes */
    int second = raw_connect();
    assert_int_equal(send(second, octets, n, 0), (ssize_t)n);
    WAIT(server.taken_over == 1);
    assert_int_equal(server.messages, 1);
    assert_string_equal(server.last, "last");
    assert_int_equal(server.ups, 1);
    assert_int_equal(server.downs, 0);
    assert_ptr_equal(port_find(server.port, "same", 4), p);
    peer_send(p, &FRAME_LIT("hello"), 1);
    turns(3);
    uint8_t in[300];
    ssize_t got = recv(second, in, sizeof(in), MSG_DONTWAIT);
    assert_true(got > 7 && memcmp(in + got - 7, "\0\x05hello", 7) == 0);
    assert_int_equal(port_peers(server.port), 1);
    close(first);
    close(second);
    WAIT(server.downs == 1);
}

/* A raw peer that is up: what it sends next comes as one piece. */
static int raw_peer(struct side *server, const char *kind, const char *identity)
{
    uint8_t octets[400];
    unsigned ups = server->ups;
    int fd = raw_connect();
    size_t n = handshake(octets, kind, identity);
    assert_int_equal(send(fd, octets, n, 0), (ssize_t)n);
    WAIT(server->ups == ups + 1);
    return fd;
}

static void test_take_over_of_a_paused_peer(void **state)
{
    struct side server;
    uint8_t octets[400];
    bind_port(&server, PORT_ROUTER);
    int first = raw_peer(&server, "DEALER", "same");
    struct peer *p = server.peer;
    peer_pause(p);
    assert_int_equal(send(first,
                          "\0\x01"
                          "a\0\x01"
                          "b\0\x09part",
                          12, 0),
                     12);
    turns(3);
    peer_resume(p); /* some of it is received, none read */
    peer_pause(p);
    peer_send(p, &FRAME_LIT("queued"), 1);
    shutdown(first, SHUT_WR);
    int second = raw_connect();
    size_t n = handshake(octets, "DEALER", "same");
    memcpy(octets + n,
           "\0\x01"
           "c",
           3);
    assert_int_equal(send(second, octets, n + 3, 0), (ssize_t)n + 3);
    WAIT(server.taken_over == 1);
    assert_int_equal(server.messages, 2); /* the pause does not hold for the former */
    turns(5);
    assert_int_equal(server.messages, 2);
    peer_resume(p);
    WAIT(server.messages == 3);
    assert_memory_equal(server.all, "abc", 3);
    assert_int_equal(server.downs, 0);
    close(first);
    close(second);
    WAIT(server.downs == 1);
}

static void test_closing_another_peer_while_reading(void **state)
{
    struct side server;
    bind_port(&server, PORT_ROUTER);
    int quiet = raw_peer(&server, "DEALER", "quiet");
    server.victim = server.peer;
    peer_pause(server.peer);
    static char noise[100000];
    memset(noise, 'Z', sizeof(noise));
    assert_true(send(quiet, noise, sizeof(noise), 0) > 50000);
    int talker = raw_peer(&server, "DEALER", "talker");
    assert_int_equal(send(talker, "\0\x02xa\0\x02xb\0\x02xc", 12, 0), 12);
    WAIT(server.messages == 3);
    assert_memory_equal(server.all, "abc", 3);
    WAIT(server.downs == 1);
    assert_int_equal(server.why, DOWN_CLOSED);
    close(quiet);
    close(talker);
}

static void test_closing_the_port_inside_a_callback(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, "c");
    server.doomed = server.port;
    for (int i = 0; i < 50; i++)
        port_send(client.port, &FRAME_LIT("x"), 1);
    WAIT(server.messages == 1 && client.downs == 1);
    turns(3);
    assert_int_equal(server.messages, 1);
    assert_int_equal(server.downs, 0);
}

static void test_pings_without_end(void **state)
{
    struct side server;
    open_port(&server, PORT_ROUTER, NULL, (struct port_config){.tx_cap_bytes = 10000});
    assert_int_equal(port_bind(server.port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
    int fd = raw_peer(&server, "DEALER", "p");
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    char pings[900];
    for (size_t i = 0; i < sizeof(pings); i += 9)
        memcpy(pings + i, "\x04\x07\x04PING\0\0", 9);
    for (int i = 0; i < 20000; i++) {
        if (send(fd, pings, sizeof(pings), MSG_DONTWAIT) != (ssize_t)sizeof(pings))
            break;
        loop_turn(loop, 0);
    }
    assert_true(peer_queued_bytes(server.peer) <= 10100);
    close(fd);
    WAIT(server.downs == 1);
}

static void test_a_publisher_reads_subscriptions_only(void **state)
{
    struct side pub;
    bind_port(&pub, PORT_PUB);
    int fd = raw_peer(&pub, "SUB", "");
    static const char forms[] = "\0\x02\x01"
                                "a" /* message */
                                "\x04\x0b\x09SUBSCRIBE"
                                "a" /* there already */
                                "\x04\x0b\x09SUBSCRIBE"
                                "b" /* command */
                                "\0\x03ignored, as it is no subscription";
    assert_int_equal(send(fd, forms, 4 + 13 + 13 + 5, 0), 4 + 13 + 13 + 5);
    WAIT(pub.subscriptions == 2);
    assert_int_equal(send(fd,
                          "\x04\x08\x06"
                          "CANCEL"
                          "a",
                          10, 0),
                     10);
    WAIT(pub.subscriptions == 102);
    port_publish(pub.port, &FRAME_LIT("a1"), 1);
    port_publish(pub.port, &FRAME_LIT("b1"), 1);
    assert_int_equal(peer_queued_bytes(pub.peer), 4);
    assert_int_equal(send(fd, "\x02\0\0\0\0\0\x02\0\0", 9, 0), 9);
    WAIT(pub.downs == 1);
    assert_int_equal(pub.why, DOWN_PROTOCOL);
    assert_int_equal(pub.messages, 0);
    close(fd);
}

static void test_connecting_router_keeps_replies_for_its_peer(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_ROUTER, "engine");
    WAIT(server.ups == 1 && client.ups == 1);
    assert_true(slice_is(peer_identity(client.peer), "server"));
    struct peer *to = client.peer;
    assert_ptr_equal(port_find(client.port, "server", 6), to);
    peer_close(server.peer);
    loop_turn(loop, 0); /* closed at that side, unknown at this one or known only just now */
    if (client.peer)
        assert_int_equal(peer_send(to, &FRAME_LIT("lost or kept"), 1), 0);
    WAIT(client.ups == 2 && server.ups == 2);
    /* Queued behind a connection that takes no more, and broken then. */
    peer_pause(server.peer);
    static uint8_t data[60000];
    unsigned before = server.messages, sent = 0;
    while (peer_queued_bytes(client.peer) < 500000) {
        peer_send(client.peer, &(struct frame){data, sizeof(data), NULL}, 1);
        sent++;
        if (peer_queued_bytes(client.peer) > 300000)
            turns(1);
    }
    size_t queued = peer_queued_bytes(client.peer);
    assert_int_equal(port_queued_bytes(client.port), queued);
    peer_close(server.peer);
    WAIT(client.downs == 2);
    assert_true(port_queued_bytes(client.port) >= queued);
    WAIT(client.ups == 3 && port_queued_bytes(client.port) == 0);
    WAIT(server.messages >= before + queued / sizeof(data));
    assert_true(server.messages < before + sent);
}

static void test_queue_survives_a_broken_connection(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, "c");
    WAIT(server.ups == 1 && client.ups == 1);
    peer_close(server.peer);
    WAIT(client.downs == 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(port_send(client.port, &FRAME_LIT("kept"), 1), 0);
    WAIT(server.messages == 10);
    assert_int_equal(server.ups, 2);
    assert_int_equal(server.downs, 1);
}

static void test_server_that_comes_later_and_again(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    char at[PORT_ENDPOINT_MAX];
    snprintf(at, sizeof(at), "%s", endpoint);
    port_close(server.port, 0);
    turns(1);
    connect_port(&client, PORT_DEALER, NULL);
    port_send(client.port, &FRAME_LIT("x"), 1);
    turns(5);
    for (int round = 0; round < 2; round++) {
        open_port(&server, PORT_ROUTER, NULL, (struct port_config){0});
        assert_int_equal(port_bind(server.port, at, NULL, NULL), 0);
        WAIT(server.ups == 1 && client.ups == (unsigned)round + 1);
        WAIT(server.messages == (round == 0));
        port_close(server.port, 0);
        WAIT(client.downs == (unsigned)round + 1);
    }
}

static void test_flow_control(void **state)
{
    struct side server, source, sink;
    open_port(&server, PORT_ROUTER, NULL, (struct port_config){.tx_cap_bytes = 100000});
    assert_int_equal(port_bind(server.port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
    connect_port(&source, PORT_DEALER, "source");
    connect_port(&sink, PORT_DEALER, "sink");
    WAIT(server.ups == 2 && sink.ups == 1 && source.ups == 1);
    struct peer *from = port_find(server.port, "source", 6),
                *to = port_find(server.port, "sink", 4);
    static uint8_t zeros[50000];
    peer_pause(sink.peer); /* does not read */
    peer_stall(from, to);
    assert_false(peer_is_paused(from));
    while (!peer_is_full(to)) {
        assert_int_equal(peer_send(to, &(struct frame){zeros, sizeof(zeros), NULL}, 1), 0);
        if (!peer_is_full(to))
            turns(1);
    }
    peer_stall(from, to);
    peer_stall(from, to);
    assert_true(peer_is_paused(from));
    port_send(source.port, &FRAME_LIT("waits"), 1);
    turns(20);
    if (peer_is_full(to)) {
        assert_int_equal(server.messages, 0);
        assert_int_equal(server.drained, 0);
    }
    peer_resume(sink.peer);
    WAIT(server.messages == 1);
    assert_string_equal(server.last, "waits");
    assert_int_equal(server.drained, 1);
    assert_false(peer_is_paused(from));
    /* Also when the sink goes. */
    peer_pause(sink.peer);
    while (!peer_is_full(to))
        peer_send(to, &(struct frame){zeros, sizeof(zeros), NULL}, 1);
    peer_stall(from, to);
    peer_close(to);
    assert_false(peer_is_paused(from));
    port_send(source.port, &FRAME_LIT("again"), 1);
    WAIT(server.messages == 2);
}

static void test_paused_peer_keeps_what_it_had_received(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, "c");
    WAIT(server.ups == 1);
    peer_pause(server.peer);
    peer_pause(server.peer);
    for (int i = 0; i < 500; i++)
        port_send(client.port, &FRAME_LIT("x"), 1);
    turns(5);
    assert_int_equal(server.messages, 0);
    peer_resume(server.peer);
    turns(5);
    assert_int_equal(server.messages, 0);
    peer_resume(server.peer);
    WAIT(server.messages == 500);
}

static void test_slow_subscriber_misses(void **state)
{
    struct side pub, sub;
    open_port(&pub, PORT_PUB, NULL, (struct port_config){.tx_cap_bytes = 1 << 20});
    assert_int_equal(port_bind(pub.port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
    connect_port(&sub, PORT_SUB, NULL);
    port_subscribe(sub.port, "", 0);
    WAIT(pub.subscriptions == 1);
    peer_pause(sub.peer);
    static uint8_t data[60000];
    unsigned missed = 0, sent = 0;
    while (!missed) {
        missed += port_publish(pub.port, &(struct frame){data, sizeof(data), NULL}, 1);
        sent++;
        if (sent % 10 == 0)
            turns(1);
    }
    assert_true(peer_queued_bytes(pub.peer) < (2 << 20));
    peer_resume(sub.peer);
    WAIT(sub.messages == sent - missed);
    assert_int_equal(wire_stats(wire)->dropped_pub, missed);
}

static void test_closing_inside_a_callback(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, "c");
    server.close_it = true;
    for (int i = 0; i < 50; i++)
        port_send(client.port, &FRAME_LIT("x"), 1);
    WAIT(server.downs >= 1);
    assert_int_equal(server.messages, 1);
    assert_int_equal(server.why, DOWN_CLOSED);
    server.close_it = false;
    port_send(client.port, &FRAME_LIT("y"), 1);
    WAIT(server.messages >= 2);
}

static void test_linger(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, "c");
    WAIT(server.ups == 1 && client.ups == 1);
    static uint8_t data[60000];
    for (int i = 0; i < 200; i++)
        port_send(client.port, &(struct frame){data, sizeof(data), NULL}, 1);
    port_close(client.port, 5000);
    WAIT(server.messages == 200);
    WAIT(server.downs == 1);
}

static void test_linger_waits_for_a_connection(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, "c");
    port_send(client.port, &FRAME_LIT("a"), 1);
    port_send(client.port, &FRAME_LIT("b"), 1);
    port_close(client.port, 5000);
    WAIT(server.messages == 2 && server.downs == 1);
    connect_port(&client, PORT_DEALER, "d"); /* and wire_free() doesn't wait for it */
    port_send(client.port, &FRAME_LIT("a"), 1);
    port_close(client.port, 5000);
}

static void test_no_descriptors_left(void **state)
{
    struct side server, client;
    struct rlimit old, few = {0};
    bind_port(&server, PORT_ROUTER);
    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    connect_port(&client, PORT_DEALER, NULL); /* connected by the kernel */
    int last = dup(0);
    few.rlim_cur = (rlim_t)last;
    close(last);
    setrlimit(RLIMIT_NOFILE, &few);
    uint64_t turned = 0;
    for (int64_t end = clock_mono_ns() + MS_TO_NS(60); clock_mono_ns() < end; turned++)
        loop_turn(loop, 10);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_true(turned < 30); /* no spinning */
    assert_int_equal(server.ups, 0);
    WAIT(server.ups == 1);
}

static void test_ipc(void **state)
{
    struct side server, client;
    char dir[] = "/tmp/ersa-ipc-XXXXXX";
    assert_non_null(mkdtemp(dir));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/c:1", dir);
    open_port(&server, PORT_ROUTER, NULL, (struct port_config){0});
    assert_int_equal(port_bind(server.port, endpoint, NULL, NULL), 0);
    connect_port(&client, PORT_DEALER, NULL);
    server.echo = true;
    port_send(client.port, &FRAME_LIT("over a file"), 1);
    WAIT(client.messages == 1);
    port_close(server.port, 0);
    assert_int_equal(rmdir(dir), 0); /* the socket file is gone */
}

static void test_dealer_takes_turns(void **state)
{
    struct side a, b, client;
    bind_port(&a, PORT_ROUTER);
    char first[PORT_ENDPOINT_MAX];
    snprintf(first, sizeof(first), "%s", endpoint);
    bind_port(&b, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, NULL);
    port_connect(client.port, first, NULL);
    WAIT(client.ups == 2);
    for (int i = 0; i < 10; i++)
        port_send(client.port, &FRAME_LIT("x"), 1);
    WAIT(a.messages == 5 && b.messages == 5);
}

static void test_dealer_turns_to_another(void **state)
{
    struct side a, b, client;
    static uint8_t data[60000];
    bind_port(&a, PORT_ROUTER);
    char first[PORT_ENDPOINT_MAX];
    snprintf(first, sizeof(first), "%s", endpoint);
    bind_port(&b, PORT_ROUTER);
    connect_port(&client, PORT_DEALER, NULL);
    port_connect(client.port, first, NULL);
    WAIT(client.ups == 2 && a.ups == 1 && b.ups == 1);
    peer_pause(a.peer);
    unsigned sent = 0;
    while (port_queued_bytes(client.port) < 1000000) {
        port_send(client.port, &(struct frame){data, sizeof(data), NULL}, 1);
        if (++sent % 10 == 0)
            turns(2);
    }
    WAIT(b.messages == sent / 2);
    unsigned waiting = (unsigned)(port_queued_bytes(client.port) / sizeof(data));
    port_close(a.port, 0);
    WAIT(client.downs == 1);
    WAIT(b.messages >= sent / 2 + waiting && port_queued_bytes(client.port) == 0);
}

static void test_unsent_is_bounded(void **state)
{
    struct side client;
    open_port(&client, PORT_DEALER, NULL, (struct port_config){.unsent_max_bytes = 1000});
    int sent = 0;
    while (port_send(client.port, &FRAME_LIT("0123456789"), 1) == 0)
        sent++;
    assert_true(sent > 40 && sent < 100);
    assert_true(port_queued_bytes(client.port) <= 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(test_request_and_reply),
        T(test_large_frames_are_not_copied),
        T(test_publish_and_subscribe),
        T(test_octet_by_octet),
        T(test_what_breaks_the_protocol),
        T(test_handshakes_that_fail),
        T(test_take_over),
        T(test_take_over_of_a_paused_peer),
        T(test_closing_another_peer_while_reading),
        T(test_closing_the_port_inside_a_callback),
        T(test_pings_without_end),
        T(test_a_publisher_reads_subscriptions_only),
        T(test_connecting_router_keeps_replies_for_its_peer),
        T(test_queue_survives_a_broken_connection),
        T(test_server_that_comes_later_and_again),
        T(test_flow_control),
        T(test_paused_peer_keeps_what_it_had_received),
        T(test_slow_subscriber_misses),
        T(test_closing_inside_a_callback),
        T(test_linger),
        T(test_linger_waits_for_a_connection),
        T(test_no_descriptors_left),
        T(test_ipc),
        T(test_dealer_takes_turns),
        T(test_dealer_turns_to_another),
        T(test_unsent_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
