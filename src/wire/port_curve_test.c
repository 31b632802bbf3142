/* SPDX-License-Identifier: BSD-3-Clause */
/* CURVE between ports: both roles, large frames, take-over, who is turned away; and with
 * somebody in the middle who changes, repeats or cuts what goes through. */
#include "wire/port.h"

#include "wire/port_rig.h"

#include <fcntl.h>
#include <poll.h>

#include "wire/sealed.h"

static struct curve_config server_keys, client_keys;

static int set_up_keys(void **state)
{
    server_keys.is_server = true;
    curve_keys_make(&server_keys.own);
    curve_keys_make(&client_keys.own);
    memcpy(client_keys.server, server_keys.own.public_key, CURVE_KEY_SIZE);
    return set_up(state);
}

static void bind_curve(struct side *s, enum port_kind kind, struct port_config more)
{
    more.curve = &server_keys;
    open_port(s, kind, "server", more);
    assert_int_equal(port_bind(s->port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
}

static void connect_curve(struct side *s, enum port_kind kind, const char *identity)
{
    open_port(s, kind, identity,
              (struct port_config){
                  .reconnect_min_ms = 10, .reconnect_max_ms = 20, .curve = &client_keys});
    assert_int_equal(port_connect(s->port, endpoint, NULL), 0);
}

static void test_request_and_reply(void **state)
{
    struct side server, client;
    bind_curve(&server, PORT_ROUTER, (struct port_config){0});
    connect_curve(&client, PORT_DEALER, "me");
    server.echo = true;
    struct frame f[] = {FRAME_LIT("a"), FRAME_LIT(""), FRAME_LIT("ccc")};
    assert_int_equal(port_send(client.port, f, 3), 0);
    WAIT(client.messages == 1);
    assert_string_equal(client.last, "a||ccc");
    assert_true(slice_is(peer_identity(server.peer), "me"));
    assert_true(slice_is(peer_identity(client.peer), "server"));
    for (int i = 0; i < 5000; i++)
        port_send(client.port, f, 3);
    WAIT(client.messages == 5001);
    assert_int_equal(port_queued_bytes(client.port), 0);
    assert_int_equal(port_queued_bytes(server.port), 0);
    assert_true(wire_stats(wire)->writes < 2000);
    port_close(client.port, 0);
    WAIT(server.downs == 1);
    assert_int_equal(server.why, DOWN_EOF);
}

/* The server may be the one that connects. */
static void test_roles_the_other_way_round(void **state)
{
    struct side server, client;
    open_port(&client, PORT_ROUTER, NULL, (struct port_config){.curve = &client_keys});
    assert_int_equal(port_bind(client.port, "tcp://127.0.0.1:*", endpoint, NULL), 0);
    open_port(&server, PORT_DEALER, NULL, (struct port_config){.curve = &server_keys});
    assert_int_equal(port_connect(server.port, endpoint, NULL), 0);
    client.echo = true;
    port_send(server.port, &FRAME_LIT("hello"), 1);
    WAIT(server.messages == 1);
}

static void test_publish_and_subscribe(void **state)
{
    struct side pub, all, some;
    bind_curve(&pub, PORT_XPUB, (struct port_config){0});
    connect_curve(&all, PORT_SUB, NULL);
    connect_curve(&some, PORT_SUB, NULL);
    publish_to_two(&pub, &all, &some);
}

/* Around the borders: copied or in a block, sealed at once or in pieces. */
static void test_sizes(void **state)
{
    static const size_t sizes[] = {1,
                                   222,
                                   223,
                                   255,
                                   65535,
                                   65536,
                                   65537,
                                   SEAL_SIZE - 43,
                                   SEAL_SIZE - 42,
                                   SEAL_SIZE - 41,
                                   SEAL_SIZE,
                                   SEAL_SIZE + 1,
                                   5000000,
                                   20 << 20};
    struct side server, client;
    bind_curve(&server, PORT_ROUTER, (struct port_config){0});
    connect_curve(&client, PORT_DEALER, NULL);
    server.echo = true;
    WAIT(client.ups == 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct block *b = block_get(wire_pool(wire), sizes[i]);
        memset(b->data, 7, sizes[i]);
        b->data[sizes[i] - 1] = (uint8_t)i;
        struct frame f[] = {
            FRAME_LIT("head"), {b->data, sizes[i], b}, FRAME_LIT("x"), {b->data, sizes[i], b}};
        port_send(client.port, f, 4);
        block_unref(b);
        WAIT(client.messages == i + 1);
        assert_int_equal(client.last_len, sizes[i]);
        assert_int_equal(client.last_octet, i);
    }
    turns(3);
    assert_int_equal(block_pool_used(wire_pool(wire)), 0);
    assert_int_equal(port_queued_bytes(server.port), 0);
}

static void test_take_over_sends_the_rest_anew(void **state)
{
    struct side server, first, second;
    bind_curve(&server, PORT_ROUTER, (struct port_config){0});
    connect_curve(&first, PORT_DEALER, "same");
    WAIT(first.ups == 1 && server.ups == 1);
    peer_pause(first.peer);
    static uint8_t octets[300000];
    struct frame f[] = {{octets, 100, NULL}, {octets, sizeof(octets), NULL}};
    for (int i = 0; i < 100; i++) /* more than the sockets hold */
        peer_send(server.peer, f, 2);
    turns(10);
    size_t left = peer_queued_bytes(server.peer);
    assert_true(left > 1000000);
    connect_curve(&second, PORT_DEALER, "same");
    WAIT(server.taken_over == 1);
    WAIT(peer_queued_bytes(server.peer) == 0);
    peer_send(server.peer, &FRAME_LIT("end"), 1);
    WAIT(strcmp(second.last, "end") == 0);
    assert_true(second.messages > left / sizeof(octets) && second.messages < 100);
    assert_int_equal(server.downs, 0);
}

static void test_who_is_turned_away(void **state)
{
    struct side server, plain, wrong, curve, plain_server;
    bind_curve(&server, PORT_ROUTER, (struct port_config){0});
    connect_port(&plain, PORT_DEALER, NULL);
    struct curve_config stranger = client_keys;
    stranger.server[5] ^= 1;
    open_port(&wrong, PORT_DEALER, NULL,
              (struct port_config){.curve = &stranger, .reconnect_min_ms = 10});
    assert_int_equal(port_connect(wrong.port, endpoint, NULL), 0);
    WAIT(wire_stats(wire)->handshake_failed >= 6);
    bind_port(&plain_server, PORT_ROUTER);
    connect_curve(&curve, PORT_DEALER, NULL);
    uint64_t before = wire_stats(wire)->handshake_failed;
    WAIT(wire_stats(wire)->handshake_failed >= before + 4);
    assert_int_equal(server.ups + plain.ups + wrong.ups + curve.ups + plain_server.ups, 0);
}

/* In the middle: what the client sends, frame by frame, as the server gets it. */

struct middle {
    int listener, to_client, to_server;
    struct buf up; /* from the client, not yet passed on */
};

static void middle_open(struct middle *m)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    m->to_server = raw_connect();
    m->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(m->listener, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(m->listener, 1), 0);
    getsockname(m->listener, (struct sockaddr *)&in, &len);
    snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%d", ntohs(in.sin_port));
    buf_init(&m->up, 1 << 20);
}

static void middle_close(struct middle *m)
{
    close(m->listener);
    close(m->to_client);
    close(m->to_server);
    buf_fini(&m->up);
}

/* Lets the loop turn, and what the server says pass. */
static void pass_down(struct middle *m)
{
    uint8_t octets[65536];
    loop_turn(loop, 1);
    ssize_t n = recv(m->to_server, octets, sizeof(octets), MSG_DONTWAIT);
    if (n > 0)
        send(m->to_client, octets, (size_t)n, MSG_NOSIGNAL);
    n = recv(m->to_client, octets, sizeof(octets), MSG_DONTWAIT);
    if (n > 0)
        buf_append(&m->up, octets, (size_t)n);
}

/* Waits for the next `len` octets of the client, and takes them. */
static void take(struct middle *m, uint8_t *out, size_t len)
{
    int64_t end = clock_mono_ns() + DEADLINE_NS;
    while (m->up.len < len) {
        assert_true(clock_mono_ns() < end);
        pass_down(m);
    }
    memcpy(out, m->up.data, len);
    buf_consume(&m->up, len);
}

static size_t take_frame(struct middle *m, uint8_t *out)
{
    take(m, out, 2);
    size_t head = out[0] & ZMTP_LONG ? 9 : 2, len = out[1];
    if (head == 9) {
        take(m, out + 2, 7);
        len = 0;
        for (int i = 1; i < 9; i++)
            len = len << 8 | out[i];
    }
    take(m, out + head, len);
    return head + len;
}

static void give(struct middle *m, const uint8_t *octets, size_t len)
{
    assert_int_equal(send(m->to_server, octets, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Server, client, and the man between them, who has passed the greetings. */
static void between(struct middle *m, struct side *server, struct side *client)
{
    uint8_t greeting[ZMTP_GREETING_SIZE];
    bind_curve(server, PORT_ROUTER, (struct port_config){.handshake_ms = 5000});
    middle_open(m);
    connect_curve(client, PORT_DEALER, "me");
    m->to_client = accept(m->listener, NULL, NULL);
    assert_true(m->to_client >= 0);
    take(m, greeting, sizeof(greeting));
    give(m, greeting, sizeof(greeting));
}

/* Each octet of a command changed in turn: the connection ends. */
static void spoil(unsigned command, size_t octet, bool cut)
{
    struct middle m;
    struct side server, client;
    uint8_t frame[1000];
    between(&m, &server, &client);
    uint64_t failed = wire_stats(wire)->handshake_failed;
    for (unsigned i = 0; i <= command; i++) {
        size_t n = take_frame(&m, frame);
        size_t at = octet < n ? octet : n - 1;
        if (i == command && !cut)
            frame[at] ^= 0x11;
        give(&m, frame, i == command && cut ? at : n);
    }
    if (cut)
        shutdown(m.to_server, SHUT_WR);
    WAIT(wire_stats(wire)->handshake_failed > failed);
    assert_int_equal(server.ups, 0);
    middle_close(&m);
    port_close(server.port, 0);
    port_close(client.port, 0);
    turns(2);
}

static void test_changed_commands(void **state)
{
    /* HELLO: name, version, C', nonce, box. INITIATE: name, cookie, nonce, key, vouch, box. */
    static const size_t hello[] = {3, 8, 85, 118, 130, 199};
    static const size_t initiate[] = {4, 15, 110, 115, 130, 180, 250, 999};
    for (size_t i = 0; i < sizeof(hello) / sizeof(hello[0]); i++)
        spoil(0, hello[i], false);
    for (size_t i = 0; i < sizeof(initiate) / sizeof(initiate[0]); i++)
        spoil(1, initiate[i], false);
}

static void test_cut_handshakes(void **state)
{
    static const size_t at[] = {0, 1, 50, 199};
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        spoil(0, at[i], true);
        spoil(1, at[i], true);
    }
}

enum trick { HONEST, CHANGED, REPEATED, SWAPPED, PLAIN, FLAGGED, N_TRICKS };

/* After an honest handshake. */
static void play(enum trick trick)
{
    struct middle m;
    struct side server, client;
    uint8_t frame[1000], next[1000];
    between(&m, &server, &client);
    for (int i = 0; i < 2; i++) {
        size_t n = take_frame(&m, frame);
        give(&m, frame, n);
    }
    int64_t end = clock_mono_ns() + DEADLINE_NS;
    while (client.ups == 0) {
        assert_true(clock_mono_ns() < end);
        pass_down(&m);
    }
    assert_int_equal(server.ups, 1);
    port_send(client.port, &FRAME_LIT("one"), 1);
    port_send(client.port, &FRAME_LIT("two"), 1);
    size_t n = take_frame(&m, frame), n2 = take_frame(&m, next);
    if (trick == CHANGED)
        frame[n - 1] ^= 1;
    if (trick == FLAGGED)
        frame[0] |= ZMTP_MORE;
    if (trick == PLAIN)
        give(&m, (const uint8_t *)"\0\x05plain", 7);
    else if (trick == SWAPPED)
        give(&m, next, n2);
    give(&m, frame, n);
    if (trick == REPEATED)
        give(&m, frame, n);
    if (trick == HONEST)
        give(&m, next, n2);
    if (trick == HONEST) {
        WAIT(server.messages == 2);
        assert_int_equal(server.downs, 0);
    } else {
        WAIT(server.downs == 1);
        assert_int_equal(server.why, DOWN_PROTOCOL);
        assert_int_equal(server.messages, trick == REPEATED || trick == SWAPPED);
    }
    middle_close(&m);
    port_close(server.port, 0);
    port_close(client.port, 0);
    turns(2);
}

static void test_tricks(void **state)
{
    for (enum trick t = HONEST; t < N_TRICKS; t++)
        play(t);
}

/* A large frame is not delivered before all of it was checked. */
static void test_changed_large_frame(void **state)
{
    static const size_t at[] = {12, 20, 30, 41, 42, 100000, 499999};
    static uint8_t octets[500000], frame[600000];
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct middle m;
        struct side server, client;
        between(&m, &server, &client);
        for (int k = 0; k < 2; k++) {
            size_t n = take_frame(&m, frame);
            give(&m, frame, n);
        }
        port_send(client.port, &(struct frame){octets, sizeof(octets), NULL}, 1);
        size_t n = take_frame(&m, frame);
        assert_int_equal(n, sizeof(octets) + CURVE_OVERHEAD + ZMTP_HEAD_MAX);
        frame[at[i]] ^= 1;
        for (size_t sent = 0, k; sent < n && !server.downs; sent += k) {
            k = n - sent < 50000 ? n - sent : 50000;
            if (send(m.to_server, frame + sent, k, MSG_NOSIGNAL) < 0)
                break;
            loop_turn(loop, 1);
        }
        WAIT(server.downs == 1);
        assert_int_equal(server.why, DOWN_PROTOCOL);
        assert_int_equal(server.messages, 0);
        middle_close(&m);
        port_close(server.port, 0);
        port_close(client.port, 0);
        turns(2);
        assert_int_equal(block_pool_used(wire_pool(wire)), 0);
    }
}

static void test_bounds(void **state)
{
    struct side server, client;
    bind_curve(&server, PORT_ROUTER, (struct port_config){.msg_max_bytes = 100000});
    connect_curve(&client, PORT_DEALER, NULL);
    static uint8_t octets[99000];
    struct frame most = {octets, sizeof(octets), NULL};
    port_send(client.port, &most, 1);
    WAIT(server.messages == 1);
    struct frame two[] = {most, most};
    port_send(client.port, two, 2);
    WAIT(server.downs == 1);
    assert_int_equal(server.why, DOWN_PROTOCOL);
}

/* A reader that stops costs its sender a quarter MiB beside the queue. */
static void test_memory_of_a_slow_reader(void **state)
{
    struct side server, client;
    bind_curve(&server, PORT_ROUTER, (struct port_config){0});
    connect_curve(&client, PORT_DEALER, NULL);
    WAIT(client.ups == 1 && server.ups == 1);
    peer_pause(client.peer);
    struct block *b = block_get(wire_pool(wire), 40 << 20);
    memset(b->data, 1, 40 << 20);
    size_t used = block_pool_used(wire_pool(wire));
    peer_send(server.peer, &(struct frame){b->data, 40 << 20, b}, 1);
    peer_send(server.peer, &FRAME_LIT("behind"), 1);
    turns(100);
    assert_true(peer_queued_bytes(server.peer) > 20 << 20);
    assert_int_equal(block_pool_used(wire_pool(wire)), used);
    block_unref(b);
    peer_resume(client.peer);
    WAIT(client.messages == 2);
    assert_string_equal(client.last, "behind");
    turns(2);
    assert_int_equal(block_pool_used(wire_pool(wire)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up_keys, tear_down)
        T(test_request_and_reply),
        T(test_roles_the_other_way_round),
        T(test_publish_and_subscribe),
        T(test_sizes),
        T(test_take_over_sends_the_rest_anew),
        T(test_who_is_turned_away),
        T(test_changed_commands),
        T(test_cut_handshakes),
        T(test_tricks),
        T(test_changed_large_frame),
        T(test_bounds),
        T(test_memory_of_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
