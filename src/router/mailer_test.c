/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is held back while records is behind, and who is not. Records is a ring that nobody
 * reads. */
#include "router/mailer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router/core.h"
#include "util/clock.h"
#include "wire/port.h"

#define ROOM 16
#define DEADLINE_MS 10000

#define WAIT(condition)                               \
    do {                                              \
        int64_t end_ = clock_mono_ms() + DEADLINE_MS; \
        while (!(condition)) {                        \
            assert_true(clock_mono_ms() < end_);      \
            loop_turn(s->r.loop, 10);                 \
        }                                             \
    } while (0)

struct scene {
    struct router r;
    struct wire *wire;
    struct port *server, *client;
    struct peer *peer; /* the client, as the server has it */
    struct ring *ring, *aside;
    struct link link; /* the client's */
};

static void on_up(void *ctx, struct peer *p)
{
    ((struct scene *)ctx)->peer = p;
}

static void ignore(void *ctx, struct peer *p)
{
}

static const struct port_ops server_ops = {.peer_up = on_up}, client_ops = {.peer_up = ignore};

static struct port *open_port(struct scene *s, enum port_kind kind, const struct port_ops *ops)
{
    struct port_config cfg = {
        .kind = kind, .name = "test", .ops = ops, .ctx = s, .prio = LOOP_NORMAL};
    struct port *port = port_new(s->wire, &cfg, NULL);
    assert_non_null(port);
    return port;
}

static void begin(struct scene *s, enum route port)
{
    char at[PORT_ENDPOINT_MAX];
    *s = (struct scene){.r.loop = loop_new()};
    s->wire = wire_new(s->r.loop, NULL);
    assert_non_null(s->wire);
    s->ring = ring_new(ROOM);
    s->aside = ring_new(ROOM);
    assert_non_null(s->ring);
    assert_non_null(s->aside);
    mailer_start(&s->r, s->ring, s->aside);
    s->server = open_port(s, PORT_ROUTER, &server_ops);
    s->client = open_port(s, PORT_DEALER, &client_ops);
    assert_int_equal(port_bind(s->server, "tcp://127.0.0.1:*", at, NULL), 0);
    assert_int_equal(port_connect(s->client, at, NULL), 0);
    WAIT(s->peer);
    s->link = (struct link){.router = &s->r, .gate = &s->r.ports.gates[port], .peer = s->peer};
    list_init(&s->link.wait);
}

static void end(struct scene *s)
{
    struct mail *m;
    list_remove(&s->link.wait);
    while ((m = ring_pop(s->ring)))
        mail_free(m);
    mailer_stop(&s->r);
    while ((m = ring_pop(s->ring)) || (m = ring_pop(s->aside)))
        mail_free(m);
    ring_free(s->ring);
    ring_free(s->aside);
    port_close(s->client, 0);
    port_close(s->server, 0);
    wire_free(s->wire);
    loop_free(s->r.loop);
}

static void post(struct scene *s, enum mail_type type, struct link *source)
{
    struct letter letter = {.type = type, .queue = 't', .msg_id = SLICE_LIT("id")};
    assert_int_equal(mailer_post(&s->r, &letter, source), 0);
}

static void fill(struct scene *s)
{
    while (ring_room(s->ring))
        post(s, MAIL_ENGINE_LOST, NULL);
}

static void test_who_submits_is_held_back_from_half_of_the_ring_on(void **state)
{
    struct scene scene, *s = &scene;
    begin(s, RT_TASK_CLIENT);
    for (int i = 0; i < ROOM / 2; i++)
        post(s, MAIL_REQUEST, &s->link);
    assert_false(peer_is_paused(s->link.peer));
    post(s, MAIL_REQUEST, &s->link);
    assert_true(peer_is_paused(s->link.peer));
    for (struct mail *m; (m = ring_pop(s->ring));)
        mail_free(m);
    WAIT(!peer_is_paused(s->link.peer));
    end(s);
}

static void test_who_brings_results_is_held_back_by_a_full_ring(void **state)
{
    struct scene scene, *s = &scene;
    begin(s, RT_TASK_ENGINE);
    fill(s);
    assert_false(peer_is_paused(s->link.peer));
    post(s, MAIL_ENGINE_LOST, &s->link);
    assert_true(peer_is_paused(s->link.peer));
    mail_free(ring_pop(s->ring));
    WAIT(!peer_is_paused(s->link.peer));
    end(s);
}

/* It came when the ring was full, and records took nothing from then on: it overtakes what
 * waits, by the way aside. */
static void test_question_that_waits_goes_aside(void **state)
{
    struct scene scene, *s = &scene;
    begin(s, RT_QUERY);
    fill(s);
    post(s, MAIL_ENGINE_LOST, NULL);
    post(s, MAIL_QUERY, NULL);
    ring_stall(s->ring, true);
    struct mail *m = NULL;
    WAIT((m = ring_pop(s->aside)));
    assert_int_equal(m->type, MAIL_QUERY);
    mail_free(m);
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_submits_is_held_back_from_half_of_the_ring_on),
        cmocka_unit_test(test_who_brings_results_is_held_back_by_a_full_ring),
        cmocka_unit_test(test_question_that_waits_goes_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
