/* SPDX-License-Identifier: BSD-3-Clause */
/* The server with threads that answer and one that doesn't, and clients that misbehave. */
#include "web/web.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "util/clock.h"

#define PATIENCE_MS 1500
#define ANSWER_MAX 65536
#define CROWD 300

struct teller {
    pthread_t thread;
    struct loop *loop;
    struct stats_desk *desk;
    struct watch stop;
    int stop_fds[2];
    double n;
};

static void fill(void *ctx, struct stats_sheet *s)
{
    struct teller *t = ctx;
    stats_put(s, STATS_TASKS_SUBMITTED, ++t->n);
}

static void on_stop(struct watch *w, unsigned events)
{
    loop_stop(container_of(w, struct teller, stop)->loop);
}

static void *tell(void *arg)
{
    struct teller *t = arg;
    loop_run(t->loop);
    return NULL;
}

struct fixture {
    struct teller teller;
    struct stats_desk *desks[2];
    struct web *web;
};

static int start(struct fixture *f, unsigned n_desks)
{
    struct teller *t = &f->teller;
    *f = (struct fixture){.desks = {desk_new("busy"), desk_new("stuck")}};
    t->loop = loop_new();
    t->desk = f->desks[0];
    t->stop.fn = on_stop;
    if (pipe(t->stop_fds) < 0 || desk_serve(t->desk, t->loop, fill, t) < 0)
        return -1;
    loop_watch(t->loop, &t->stop, t->stop_fds[0], LOOP_READ, LOOP_NORMAL);
    pthread_create(&t->thread, NULL, tell, t);
    struct web_config cfg = {
        .ip = "127.0.0.1", .desks = f->desks, .n_desks = n_desks, .patience_ms = PATIENCE_MS};
    return web_start(&f->web, &cfg, NULL);
}

static int setup(void **state)
{
    static struct fixture f;
    *state = &f;
    return start(&f, 1);
}

static int setup_stuck(void **state)
{
    static struct fixture f;
    *state = &f;
    return start(&f, 2);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct teller *t = &f->teller;
    web_stop(f->web);
    if (write(t->stop_fds[1], "x", 1) != 1)
        return -1;
    pthread_join(t->thread, NULL);
    desk_leave(t->desk);
    desk_free(f->desks[0]);
    desk_free(f->desks[1]);
    loop_free(t->loop);
    close(t->stop_fds[0]);
    close(t->stop_fds[1]);
    return 0;
}

static int dial(const struct fixture *f)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)web_port(f->web)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL);
    (void)n; /* the other side may have closed */
}

/* All that comes until the other side closes; "timeout" when it does not. */
static const char *hear(int fd)
{
    static char text[ANSWER_MAX];
    size_t len = 0;
    ssize_t n;
    while ((n = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0)
        len += (size_t)n;
    text[len] = 0;
    close(fd);
    return n == 0 || len ? text : "timeout";
}

static const char *get(const struct fixture *f, const char *request)
{
    int fd = dial(f);
    say(fd, request);
    return hear(fd);
}

#define CLOSE " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void test_metrics_are_fresh(void **state)
{
    const struct fixture *f = *state;
    for (int i = 1; i <= 3; i++) {
        char line[64];
        snprintf(line, sizeof(line), "\nersa_tasks_submitted_total %d\n", i);
        const char *text = get(f, "GET /metrics" CLOSE);
        assert_memory_equal(text, "HTTP/1.1 200 ", 13);
        assert_non_null(
            strstr(text, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert_non_null(strstr(text, line));
        assert_non_null(strstr(text, "\nersa_build_info{version=\"" ERSA_VERSION "\"} 1\n"));
    }
    assert_non_null(strstr(get(f, "GET /metrics?x=1" CLOSE), "HTTP/1.1 200 "));
    assert_non_null(strstr(get(f, "GET /healthz" CLOSE), "\r\n\r\nok\n"));
    const char *head = get(f, "HEAD /metrics" CLOSE);
    assert_non_null(strstr(head, "HTTP/1.1 200 "));
    assert_null(strstr(head, "ersa_"));
    assert_non_null(
        strstr(get(f, "GET /metrics" CLOSE), "\nersa_http_requests_total{code=\"200\"} 6\n"));
}

static void test_two_requests_by_one_connection(void **state)
{
    const struct fixture *f = *state;
    const char *text = get(f, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics" CLOSE);
    assert_non_null(strstr(text, "ok\nHTTP/1.1 200 "));
    assert_non_null(strstr(text, "ersa_tasks_submitted_total"));
}

static void test_bad_requests(void **state)
{
    static const struct {
        const char *request, *status;
    } rows[] = {
        {"GET /" CLOSE, " 404 "},
        {"GET /metrics/" CLOSE, " 404 "},
        {"GET /../../etc/passwd" CLOSE, " 404 "},
        {"DELETE /metrics" CLOSE, " 405 "},
        {"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n", " 405 "},
        {"GET /metrics HTTP/1.1\r\n\r\n", " 200 "}, /* no host: strict enough for nobody */
        {"\r\n\r\n\r\nmumble\r\n\r\n", ""},
        {"GET /metrics HTTP/9.9\r\n\r\n", ""},
    };
    const struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = get(f, rows[i].request);
        assert_string_not_equal(text, "timeout");
        if (!strstr(text, rows[i].status))
            fail_msg("%s: %.80s", rows[i].request, text);
    }
    static char huge[1 << 18];
    memset(huge, 'a', sizeof(huge) - 1);
    memcpy(huge, "GET /", 5);
    assert_null(strstr(get(f, huge), " 200 "));
    memcpy(huge, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", 35);
    assert_null(strstr(get(f, huge), " 200 "));
    assert_non_null(strstr(get(f, "GET /healthz" CLOSE), "ok\n"));
}

static void test_a_body_is_not_read(void **state)
{
    const struct fixture *f = *state;
    const char *text = get(f, "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                              "Connection: close\r\n\r\nhello");
    assert_non_null(strstr(text, "ok\n"));
}

/* An octet now and then keeps nobody connected. */
static void test_slow_clients_are_cut(void **state)
{
    const struct fixture *f = *state;
    int64_t start = clock_mono_ms();
    int fd = dial(f), silent = dial(f);
    struct timeval patience = {.tv_usec = 20000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    char c;
    say(fd, "GET /metrics HTTP/1.1\r\nHost: ");
    while (recv(fd, &c, 1, 0) < 0 && clock_mono_ms() < start + 15000)
        say(fd, "x");
    int64_t took = clock_mono_ms() - start;
    assert_true(took >= PATIENCE_MS && took < 15000);
    close(fd);
    assert_string_equal(hear(silent), "");
    assert_null(strstr(get(f, "GET /metrics" CLOSE), "\nersa_http_evicted_total 0\n"));
}

/* The crowd pushes itself out; who wants something is served. */
static void test_a_crowd(void **state)
{
    const struct fixture *f = *state;
    static int fds[CROWD];
    int64_t start = clock_mono_ms();
    for (int i = 0; i < CROWD; i++)
        fds[i] = dial(f);
    assert_non_null(strstr(get(f, "GET /healthz" CLOSE), "ok\n"));
    assert_true(clock_mono_ms() - start < 15000);
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
    assert_non_null(strstr(get(f, "GET /metrics" CLOSE), "\nersa_tasks_submitted_total "));
}

static void test_many_at_once_share_an_answer(void **state)
{
    struct fixture *f = *state;
    int fds[40];
    for (int i = 0; i < 40; i++)
        fds[i] = dial(f);
    for (int i = 0; i < 40; i++)
        say(fds[i], "GET /metrics" CLOSE);
    for (int i = 0; i < 40; i++)
        assert_non_null(strstr(hear(fds[i]), "\nersa_tasks_submitted_total "));
}

static void test_a_stuck_thread_is_named(void **state)
{
    const struct fixture *f = *state;
    const char *text = get(f, "GET /healthz" CLOSE);
    assert_non_null(strstr(text, " 503 "));
    assert_non_null(strstr(text, "the thread 'stuck' does not answer"));
    text = get(f, "GET /metrics" CLOSE);
    assert_non_null(strstr(text, "ersa_snapshot_age_seconds{thread=\"busy\"} "));
    assert_null(strstr(text, "thread=\"stuck\"")); /* it has never told anything */
    assert_non_null(strstr(text, "\nersa_tasks_submitted_total 2\n"));
}

/* Stopped in the middle of a request that waits for the thread. */
static void test_stop_while_somebody_waits(void **state)
{
    const struct fixture *f = *state;
    int fd = dial(f), idle = dial(f);
    say(fd, "GET /metrics" CLOSE);
    assert_non_null(strstr(get(f, "GET /nothing" CLOSE), " 404 ")); /* the other was read */
    ((struct fixture *)f)->web = (web_stop(f->web), NULL);
    assert_string_not_equal(hear(fd), "timeout");
    assert_string_equal(hear(idle), "");
}

static void test_a_port_in_use(void **state)
{
    const struct fixture *f = *state;
    struct web *second = NULL;
    struct ersa_error err = {0};
    struct web_config cfg = {.ip = "127.0.0.1", .port = web_port(f->web), .desks = f->desks};
    assert_int_equal(web_start(&second, &cfg, &err), ERSA_EEXIST);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    cfg = (struct web_config){.ip = "no such address", .desks = f->desks};
    assert_int_equal(web_start(&second, &cfg, &err), ERSA_EINVAL);
    assert_null(second);
    web_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_metrics_are_fresh, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_requests_by_one_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_body_is_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_clients_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_crowd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_at_once_share_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stuck_thread_is_named, setup_stuck, teardown),
        cmocka_unit_test_setup_teardown(test_stop_while_somebody_waits, setup_stuck, teardown),
        cmocka_unit_test_setup_teardown(test_a_port_in_use, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
