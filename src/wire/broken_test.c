/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections that break, and that we reset: what was sent before is received, and who writes
 * knows whether it is written. */
#include "wire/port_rig.h"

#include <errno.h>

static void close_by_reset(int fd)
{
    struct linger none = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close(fd);
}

/* We write to it before we look. */
static void test_what_came_before_a_reset_is_read(void **state)
{
    struct side server;
    bind_port(&server, PORT_ROUTER);
    int fd = raw_peer(&server, "DEALER", "a");
    assert_int_equal(send(fd, "\0\x04last", 6, 0), 6);
    close_by_reset(fd);
    assert_int_equal(peer_send(server.peer, &FRAME_LIT("hello"), 1), 0);
    assert_int_equal(peer_write_out(server.peer), ERSA_ECLOSED);
    assert_int_equal(server.downs, 0);
    WAIT(server.downs == 1);
    assert_string_equal(server.last, "last");
    assert_int_equal(server.why, DOWN_BROKEN);
}

static void test_end_and_break_are_told_apart(void **state)
{
    struct side server;
    bind_port(&server, PORT_ROUTER);
    for (unsigned i = 1; i <= 2; i++) {
        int fd = raw_peer(&server, "DEALER", "a");
        if (i == 1)
            close_by_reset(fd);
        else
            shutdown(fd, SHUT_WR);
        WAIT(server.downs == i);
        assert_int_equal(server.why, i == 1 ? DOWN_BROKEN : DOWN_EOF);
        if (i == 2)
            close(fd);
    }
}

static void test_nothing_can_be_written_to_who_has_reset(void **state)
{
    struct side server;
    uint8_t octets[400];
    bind_port(&server, PORT_ROUTER);
    int fd = raw_peer(&server, "DEALER", "a");
    assert_int_equal(send(fd, "\0\x04last", 6, 0), 6);
    peer_reset(server.peer);
    assert_string_equal(server.last, "last");
    assert_int_equal(send(fd, "\0\x04late", 6, MSG_NOSIGNAL), -1);
    assert_true(errno == ECONNRESET || errno == EPIPE);
    while (recv(fd, octets, sizeof(octets), 0) > 0)
        ;
    WAIT(server.downs == 1);
    assert_int_equal(server.why, DOWN_CLOSED);
    assert_int_equal(server.messages, 1);
    close(fd);
}

static void test_written_is_told(void **state)
{
    static uint8_t data[1 << 20], in[1 << 20];
    struct side server;
    bind_port(&server, PORT_ROUTER);
    int fd = raw_peer(&server, "DEALER", "a");
    assert_int_equal(peer_write_out(server.peer), 0); /* nothing to write */
    int rc;
    do {
        peer_send(server.peer, &(struct frame){data, sizeof(data), NULL}, 1);
        rc = peer_write_out(server.peer);
    } while (rc == 0);
    assert_int_equal(rc, ERSA_EAGAIN);
    turns(3);
    assert_int_equal(server.written, 0);
    int64_t deadline = clock_mono_ns() + DEADLINE_NS;
    while (!server.written && clock_mono_ns() < deadline) {
        recv(fd, in, sizeof(in), MSG_DONTWAIT);
        loop_turn(loop, 1);
    }
    assert_int_equal(server.written, 1);
    assert_int_equal(peer_write_out(server.peer), 0);
    close(fd);
    WAIT(server.downs == 1);
}

static void test_unacknowledged(void **state)
{
    static uint8_t data[1 << 20];
    struct side server;
    bind_port(&server, PORT_ROUTER);
    int fd = raw_peer(&server, "DEALER", "a");
    struct peer *p = server.peer;
    WAIT(peer_unacknowledged(p) == 0);
    for (int i = 0; i < 32; i++)
        peer_send(p, &(struct frame){data, sizeof(data), NULL}, 1);
    peer_write_out(p);
    assert_true(peer_unacknowledged(p) > 0); /* its socket is full */
    close(fd);
    WAIT(server.downs == 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_what_came_before_a_reset_is_read),
        T(test_end_and_break_are_told_apart),
        T(test_nothing_can_be_written_to_who_has_reset),
        T(test_written_is_told),
        T(test_unacknowledged),
    };
    return cmocka_run_group_tests_name("wire/broken", tests, NULL, NULL);
}
