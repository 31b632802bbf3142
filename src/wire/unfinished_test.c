/* SPDX-License-Identifier: BSD-3-Clause */
/* Many messages that are not all there: who goes on, who waits, who is closed. */
#include "wire/port_rig.h"

#include "wire/wire_impl.h"

#define KB ((size_t)1024)
#define Q ((size_t)256) /* few enough that what is sent at once is received at once */
#define ROOM (64 * Q)
#define BOUND (200 * Q)
#define LARGE (300 * Q)
#define LARGEST (300 * KB)

static struct side server;
static uint8_t octets[LARGEST + 16];

static int set_up_server(void **state)
{
    if (set_up(state) < 0)
        return -1;
    wire->unfinished.roomy = ROOM;
    wire->unfinished.bound = BOUND;
    bind_port(&server, PORT_ROUTER);
    return 0;
}

/* One frame of `len` octets, the last of them `mark`. Length with its head. */
static size_t message(size_t len, uint8_t mark)
{
    octets[0] = ZMTP_LONG;
    for (int i = 0; i < 8; i++)
        octets[1 + i] = (uint8_t)(len >> (56 - 8 * i));
    memset(octets + 9, 0, len);
    octets[8 + len] = mark;
    return 9 + len;
}

static void send_part(int fd, size_t from, size_t to)
{
    while (from < to) {
        ssize_t n = send(fd, octets + from, to - from, MSG_DONTWAIT);
        if (n > 0)
            from += (size_t)n;
        else
            loop_turn(loop, 1);
    }
}

/* Begins a large message, and has `n` octets of it received. */
static struct conn *begin(int fd, uint8_t mark, size_t n)
{
    const size_t before = wire->unfinished.bytes;
    message(LARGE, mark);
    send_part(fd, 0, n);
    WAIT(wire->unfinished.bytes >= before + n - 32);
    return server.peer->conn;
}

static void finish(int fd, uint8_t mark, size_t from)
{
    send_part(fd, from, message(LARGE, mark));
}

static void assert_nothing_left(void)
{
    const struct unfinished *u = &wire->unfinished;
    assert_int_equal(u->bytes, 0);
    assert_int_equal(u->n, 0);
    assert_null(u->first);
    assert_true(list_is_empty(&u->going_on));
    assert_true(list_is_empty(&u->waiting));
}

static void test_one_large_message_after_the_other(void **state)
{
    int a = raw_peer(&server, "DEALER", "a"), b, c;
    begin(a, 'A', 40 * Q);
    b = raw_peer(&server, "DEALER", "b");
    struct conn *of_b = begin(b, 'B', 40 * Q);
    message(LARGE, 'A');
    send_part(a, 40 * Q, 60 * Q); /* it goes on: the first that has more */
    WAIT(wire->unfinished.bytes >= 100 * Q - 32);
    assert_int_equal(wire->stats.held_up, 0);
    message(LARGE, 'B');
    send_part(b, 40 * Q, 60 * Q);
    WAIT(of_b->waits);
    assert_true(peer_is_paused(of_b->peer)); /* its heart is not heard either */
    assert_true(wire->unfinished.bytes < 101 * Q);

    c = raw_peer(&server, "DEALER", "c"); /* a small one does not wait */
    size_t n = message(10 * Q, 'C');
    send_part(c, 0, 5 * Q);
    WAIT(wire->unfinished.n == 3);
    send_part(c, 5 * Q, n);
    WAIT(server.messages == 1);
    assert_string_equal(server.all, "C");

    finish(a, 'A', 60 * Q);
    WAIT(server.messages == 2);
    finish(b, 'B', 60 * Q);
    WAIT(server.messages == 3);
    assert_string_equal(server.all, "CAB");
    assert_int_equal(wire->stats.held_up, 1);
    assert_nothing_left();
    close(a), close(b), close(c);
    WAIT(server.downs == 3);
}

static void later(int ms)
{
    loop_set_clock(loop, loop_now_ns(loop) + MS_TO_NS(ms));
    turns(2);
}

/* Who is first and sends no more is passed over; its message comes in all the same. */
static void test_quiet_one_is_passed_over(void **state)
{
    int a = raw_peer(&server, "DEALER", "a"), b;
    struct conn *of_a = begin(a, 'A', 80 * Q);
    message(LARGE, 'A');
    send_part(a, 80 * Q, 90 * Q);
    WAIT(wire->unfinished.first == of_a);
    b = raw_peer(&server, "DEALER", "b");
    struct conn *of_b = begin(b, 'B', 80 * Q);
    message(LARGE, 'B');
    send_part(b, 80 * Q, 90 * Q);
    WAIT(of_b->waits);
    later(200);
    WAIT(wire->unfinished.first == of_b);
    finish(b, 'B', 90 * Q);
    WAIT(server.messages == 1);
    finish(a, 'A', 90 * Q);
    WAIT(server.messages == 2);
    assert_string_equal(server.all, "BA");
    assert_nothing_left();
    close(a), close(b);
}

/* Where the bound is reached, who is silent is closed when its room is wanted, and only then; a
 * small one may take its time. */
static void test_silent_ones_give_their_room(void **state)
{
    int a = raw_peer(&server, "DEALER", "a"), b, c;
    struct conn *of_a = begin(a, 'A', 30 * Q);
    b = raw_peer(&server, "DEALER", "b");
    begin(b, 'B', 10 * Q);
    c = raw_peer(&server, "DEALER", "c");
    struct conn *of_c = begin(c, 'C', 60 * Q);
    message(LARGE, 'A');
    send_part(a, 30 * Q, 150 * Q);
    WAIT(wire->unfinished.bytes >= BOUND && wire->unfinished.first == of_a);
    later(100000);
    assert_int_equal(server.downs, 0);

    message(LARGE, 'A');
    send_part(a, 150 * Q, 151 * Q);
    message(LARGE, 'C');
    send_part(c, 60 * Q, 120 * Q);
    WAIT(of_c->waits);
    for (int s = 0; s < 9; s++)
        later(1000);
    assert_int_equal(server.downs, 0);
    later(2000);
    WAIT(server.downs == 1);
    assert_int_equal(server.why, DOWN_TIMEOUT);
    assert_int_equal(wire->stats.stalled, 1);
    finish(c, 'C', 120 * Q);
    WAIT(server.messages == 1);
    finish(b, 'B', 10 * Q);
    WAIT(server.messages == 2);
    assert_string_equal(server.all, "CB");
    assert_nothing_left();
    close(a), close(b), close(c);
}

/* A paused one does not keep others from going on, nor is it closed for its silence. */
static void test_paused_one_stands_aside(void **state)
{
    int a = raw_peer(&server, "DEALER", "a"), b;
    struct peer *of_a = server.peer;
    begin(a, 'A', 80 * Q);
    message(LARGE, 'A');
    send_part(a, 80 * Q, 90 * Q);
    WAIT(wire->unfinished.first == of_a->conn);
    peer_pause(of_a);
    b = raw_peer(&server, "DEALER", "b");
    begin(b, 'B', 80 * Q);
    finish(b, 'B', 80 * Q);
    WAIT(server.messages == 1);
    loop_set_clock(loop, loop_now_ns(loop) + MS_TO_NS(100000));
    turns(3);
    peer_resume(of_a);
    finish(a, 'A', 90 * Q);
    WAIT(server.messages == 2);
    assert_string_equal(server.all, "BA");
    assert_nothing_left();
    close(a), close(b);
}

#define CROWD 40

/* Messages of all lengths, of many at once, in pieces; some stop in the middle and go. */
static void test_crowd(void **state)
{
    int fd[CROWD];
    size_t at[CROWD] = {0}, len[CROWD];
    bool ended[CROWD] = {0};
    unsigned whole = 0, open = CROWD, seed = 7;
    for (int i = 0; i < CROWD; i++) {
        fd[i] = raw_peer(&server, "DEALER", (char[]){(char)('0' + i), 0});
        len[i] = (size_t)100 << i % 12;
    }
    while (open) {
        int i = (int)((unsigned)rand_r(&seed) % CROWD);
        if (ended[i])
            continue;
        const size_t end = message(len[i], 'x');
        const size_t stop = i % 5 == 4 ? end / 2 : end;
        const size_t most = at[i] + 1 + (unsigned)rand_r(&seed) % (32 * KB);
        ssize_t n =
            send(fd[i], octets + at[i], (most < stop ? most : stop) - at[i], MSG_DONTWAIT);
        at[i] += n > 0 ? (size_t)n : 0;
        if (at[i] == stop) {
            shutdown(fd[i], SHUT_WR); /* to close resets: it has not read the greeting */
            ended[i] = true;
            open--;
            whole += stop == end;
        }
        loop_turn(loop, 0);
        assert_true(wire->unfinished.bytes < BOUND + ROOM + LARGEST);
    }
    WAIT(server.downs == CROWD);
    for (int i = 0; i < CROWD; i++)
        close(fd[i]);
    assert_int_equal(server.messages, whole);
    assert_int_equal(wire->stats.stalled, 0);
    assert_true(wire->stats.held_up > 0);
    assert_nothing_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up_server, tear_down)
        T(test_one_large_message_after_the_other),
        T(test_quiet_one_is_passed_over),
        T(test_silent_ones_give_their_room),
        T(test_paused_one_stands_aside),
        T(test_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
