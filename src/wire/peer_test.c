/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers: take-over, reconnecting, what is kept for whom, flow control, ends inside callbacks.
 */
#include "wire/port.h"

#include "wire/port_rig.h"

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

static void test_reply_to_a_peer_that_is_away(void **state)
{
    struct side server, client;
    bind_port(&server, PORT_ROUTER);
    connect_port(&client, PORT_ROUTER, "engine");
    WAIT(server.ups == 1 && client.ups == 1);
    char at[PORT_ENDPOINT_MAX];
    snprintf(at, sizeof(at), "%s", endpoint);
    port_close(server.port, 0);
    WAIT(client.downs == 1);
    const struct slice id = SLICE_LIT("server");
    assert_int_equal(port_send_to(client.port, id, &FRAME_LIT("kept"), 1), 0);
    assert_int_equal(port_send_to(client.port, SLICE_LIT("nobody"), &FRAME_LIT("x"), 1),
                     ERSA_ENOENT);
    open_port(&server, PORT_ROUTER, "server", (struct port_config){0});
    assert_int_equal(port_bind(server.port, at, NULL, NULL), 0);
    WAIT(server.messages == 1);
    assert_int_equal(port_send_to(client.port, id, &FRAME_LIT("sent"), 1), 0);
    WAIT(server.messages == 2 && port_queued_bytes(client.port) == 0);
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

/* Several share the cap; who reads misses nothing. */
static void test_slow_subscribers_share(void **state)
{
    enum { SLOW = 7, CAP = 8 << 20 };
    static uint8_t data[6000];
    struct side pub, slow[SLOW], fast;
    open_port(&pub, PORT_PUB, NULL, (struct port_config){.tx_cap_bytes = CAP});
    assert_int_equal(port_bind(pub.port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
    connect_port(&fast, PORT_SUB, NULL);
    port_subscribe(fast.port, "", 0);
    for (int i = 0; i < SLOW; i++) {
        connect_port(&slow[i], PORT_SUB, NULL);
        port_subscribe(slow[i].port, "", 0);
    }
    WAIT(pub.subscriptions == 1 + SLOW);
    for (int i = 0; i < SLOW; i++)
        peer_pause(slow[i].peer);
    unsigned missed = 0, sent = 0;
    for (; missed < 10000; sent++) {
        missed += port_publish(pub.port, &(struct frame){data, sizeof(data), NULL}, 1);
        assert_true(port_queued_bytes(pub.port) < CAP + (SLOW + 1) * sizeof(data));
        if (sent % 10 == 0) /* it reads as they come, however busy the machine is */
            WAIT(fast.messages == sent + 1);
    }
    assert_true(port_queued_bytes(pub.port) > CAP * 3 / 4);
    WAIT(fast.messages == sent);
    size_t pos = 0, most = 0, least = SIZE_MAX;
    for (struct peer *p; (p = port_next_peer(pub.port, &pos));) {
        size_t n = peer_queued_bytes(p);
        most = n > most ? n : most;
        least = n && n < least ? n : least;
    }
    assert_true(most < 2 * least);
    for (int i = 0; i < SLOW; i++)
        peer_resume(slow[i].peer);
    WAIT(port_queued_bytes(pub.port) == 0);
    unsigned got = 0;
    turns(20);
    for (int i = 0; i < SLOW; i++)
        got += slow[i].messages;
    assert_int_equal(got + missed, SLOW * sent);
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
        T(test_take_over),
        T(test_take_over_of_a_paused_peer),
        T(test_closing_another_peer_while_reading),
        T(test_closing_the_port_inside_a_callback),
        T(test_connecting_router_keeps_replies_for_its_peer),
        T(test_reply_to_a_peer_that_is_away),
        T(test_queue_survives_a_broken_connection),
        T(test_server_that_comes_later_and_again),
        T(test_flow_control),
        T(test_paused_peer_keeps_what_it_had_received),
        T(test_slow_subscriber_misses),
        T(test_slow_subscribers_share),
        T(test_closing_inside_a_callback),
        T(test_linger),
        T(test_linger_waits_for_a_connection),
        T(test_dealer_takes_turns),
        T(test_dealer_turns_to_another),
        T(test_unsent_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
