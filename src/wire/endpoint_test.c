/* SPDX-License-Identifier: BSD-3-Clause */
/* What is an endpoint and what is not. */
#include "wire/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect(const char *text, bool to_bind, const char *out)
{
    struct endpoint e;
    struct ersa_error err = {0};
    char again[200];
    int rc = endpoint_parse(&e, text, to_bind, &err);
    if (!out) {
        assert_int_equal(rc, ERSA_EINVAL);
        assert_non_null(strstr(err.text, text));
        return;
    }
    assert_int_equal(rc, 0);
    endpoint_text(&e, again, sizeof(again));
    assert_string_equal(again, out);
}

static void test_texts(void **state)
{
    expect("tcp://127.0.0.1:4711", false, "tcp://127.0.0.1:4711");
    expect("tcp://*:*", true, "tcp://0.0.0.0:0");
    expect("tcp://0.0.0.0:80", true, "tcp://0.0.0.0:80");
    expect("ipc:///tmp/x:5", false, "ipc:///tmp/x:5");
    static const char *const bad[] = {
        "udp://1.2.3.4:5",  "tcp://127.0.0.1", "tcp://host:5",   "tcp://1.2.3.4:70000",
        "tcp://1.2.3.4:-1", "tcp://1.2.3.4:",  "ipc://relative", "",
        "tcp://*:5",        "tcp://1.2.3.4:*"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect(bad[i], false, NULL);
    char too_long[300] = "ipc:///";
    memset(too_long + 7, 'x', 200);
    struct endpoint e;
    assert_int_equal(endpoint_parse(&e, too_long, true, NULL), ERSA_EINVAL);
}

static void test_in_use(void **state)
{
    struct endpoint a, b;
    char text[200];
    assert_int_equal(endpoint_parse(&a, "tcp://127.0.0.1:*", true, NULL), 0);
    int fd = endpoint_listen(&a, "first", NULL);
    assert_true(fd >= 0);
    endpoint_text(&a, text, sizeof(text));
    assert_int_equal(endpoint_parse(&b, text, true, NULL), 0);
    assert_int_equal(endpoint_listen(&b, text, NULL), ERSA_EEXIST);
    close(fd);
}

static void test_socket_file_left_behind(void **state)
{
    char dir[] = "/tmp/ersa-ep-XXXXXX", text[100];
    struct endpoint e;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof(text), "ipc://%s/c", dir);
    assert_int_equal(endpoint_parse(&e, text, true, NULL), 0);
    int first = endpoint_listen(&e, text, NULL);
    assert_true(first >= 0);
    assert_int_equal(endpoint_listen(&e, text, NULL), ERSA_EEXIST);
    close(first); /* the file stays, as after kill -9 */
    int second = endpoint_listen(&e, text, NULL);
    assert_true(second >= 0);
    close(second);
    unlink(text + 6);
    rmdir(dir);
}

static void expect_plain_control(int fd)
{
    char name[16] = "";
    socklen_t len = sizeof(name);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    assert_string_equal(name, "reno");
}

/* Both ends of a connection inside this host do without the system's choice for networks. */
static void test_local_connection(void **state)
{
    struct endpoint e;
    assert_int_equal(endpoint_parse(&e, "tcp://127.0.0.1:*", true, NULL), 0);
    int listener = endpoint_listen(&e, "listener", NULL);
    assert_int_equal(endpoint_accept(listener), -1);
    assert_int_equal(errno, EAGAIN);
    int theirs = endpoint_connect(&e);
    assert_true(theirs >= 0);
    struct pollfd p = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    int ours = endpoint_accept(listener);
    assert_true(ours >= 0);
    expect_plain_control(theirs);
    expect_plain_control(ours);
    close(ours);
    close(theirs);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_socket_file_left_behind),
        cmocka_unit_test(test_local_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
