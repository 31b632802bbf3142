/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports against each other and against raw sockets: kinds, parts of frames, handshakes, what
 * breaks the protocol, descriptors. */
#include "wire/port.h"

#include "wire/port_rig.h"

#include <sys/resource.h>

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
    publish_to_two(&pub, &all, &some);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(test_request_and_reply),        T(test_large_frames_are_not_copied),
        T(test_publish_and_subscribe),    T(test_octet_by_octet),
        T(test_what_breaks_the_protocol), T(test_handshakes_that_fail),
        T(test_pings_without_end),        T(test_a_publisher_reads_subscriptions_only),
        T(test_no_descriptors_left),      T(test_ipc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
