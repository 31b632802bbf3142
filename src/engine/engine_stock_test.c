/* SPDX-License-Identifier: BSD-3-Clause */
/* An engine over the stock sockets whose query connection is lost, alone or with the other one:
 * it asks what it is, and what waits there runs when it is still what it was. */
#include "engine/engine_rig.h"

/* The two ports of this controller. In front of what comes by the first one stands "query", as
 * with `attach`; "task" is a frame that the engine returns. */
struct sides {
    struct fixture base; /* `port` and `engine` are those of the query port */
    struct port *task_port;
    struct peer *task;
};

static struct sides *sides_of(struct fixture *f)
{
    return container_of(f, struct sides, base);
}

static void on_query_message(void *ctx, struct peer *p, const struct msg *m)
{
    struct frame frames[16] = {FRAME_LIT("query")};
    assert_in_range(m->n, 1, 15);
    memcpy(frames + 1, m->frames, m->n * sizeof(*frames));
    on_message(ctx, p, &(struct msg){frames, m->n + 1});
}

static void on_task_up(void *ctx, struct peer *p)
{
    sides_of(ctx)->task = p;
}

static void on_task_down(void *ctx, struct peer *p, enum peer_down why)
{
    sides_of(ctx)->task = NULL;
}

static const struct port_ops query_ops = {
    .peer_up = on_up, .peer_down = on_down, .message = on_query_message};
static const struct port_ops task_ops = {
    .peer_up = on_task_up, .peer_down = on_task_down, .message = on_message};

static struct port *open_port(struct fixture *f, const char *name, const struct port_ops *with,
                              int *ret_number)
{
    struct port_config cfg = {.kind = PORT_ROUTER,
                              .name = name,
                              .identity = name,
                              .identity_len = strlen(name),
                              .ops = with,
                              .ctx = f};
    char at[PORT_ENDPOINT_MAX];
    struct port *p = port_new(f->wire, &cfg, NULL);
    assert_int_equal(port_bind(p, "tcp://127.0.0.1:0", at, NULL), 0);
    *ret_number = atoi(strrchr(at, ':') + 1);
    return p;
}

static int setup_stock(void **state)
{
    struct sides *s = calloc(1, sizeof(*s));
    struct fixture *f = &s->base;
    *state = f;
    f->status = -1;
    f->loop = loop_new();
    f->wire = wire_new(f->loop, NULL);
    assert_int_equal(connection_info_init(&f->conn, true), 0);
    connection_info_set(&f->conn.interface, "tcp://127.0.0.1");
    f->port = open_port(f, "query", &query_ops, &f->conn.registration);
    s->task_port = open_port(f, "task_out", &task_ops, &f->conn.task);
    f->conn.is_ersa = true;
    f->conn.caps = CAPS_ALL;
    assert_int_equal(
        session_new(&f->session, KEY, strlen(KEY), "hmac-sha256", NULL, NULL, NULL), 0);
    fflush(NULL);
    f->pid = fork();
    if (f->pid == 0)
        run_engine(f);
    expect(f, "query", "registration_request");
    tell(f, "registration_reply", REGISTERED);
    struct got g = expect(f, "query", "ersa_ready");
    assert_true(has(g.parts.content, "\"address\":\"tcp://127.0.0.1:"));
    return 0;
}

static int teardown_stock(void **state)
{
    struct fixture *f = *state;
    port_close(sides_of(f)->task_port, 0);
    return teardown(state);
}

static struct asked ask_task(struct fixture *f, const char *word)
{
    struct peer *query = f->engine;
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    while (!sides_of(f)->task && clock_mono_ms() < deadline)
        loop_turn(f->loop, 20);
    f->engine = sides_of(f)->task;
    struct asked a = ask(f, "task", word);
    f->engine = query;
    return a;
}

/* Whatever was sent to the task port so far is in the engine's queue. */
static void let_tasks_arrive(struct fixture *f)
{
    struct peer *query = f->engine;
    f->engine = sides_of(f)->task;
    recall(f, NULL, "{\"msg_ids\": []}");
    f->engine = query;
    expect(f, "<IDS|MSG>", "ersa_recalled");
}

static void turn_for(struct fixture *f, int ms)
{
    int64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end)
        loop_turn(f->loop, 5);
}

/* One task is under way, `b` waits, the hub's connection goes. */
static struct asked lose_hub(struct fixture *f)
{
    ask_task(f, "gate");
    expect(f, "task", "ersa_begun");
    struct asked b = ask_task(f, "print");
    let_tasks_arrive(f);
    peer_close(f->engine);
    f->engine = NULL;
    struct got g = expect(f, "query", "registration_request");
    assert_true(has(g.parts.content, "\"id\":3"));
    assert_true(has(g.parts.content, "\"begun\""));
    assert_true(has(g.parts.content, "\"again\":true"));
    return b;
}

static void expect_begun(struct fixture *f, struct asked a)
{
    struct got g = expect(f, "task", "ersa_begun");
    assert_true(has(g.parts.parent, a.id));
}

static void test_still_registered(void **state)
{
    struct fixture *f = *state;
    struct asked b = lose_hub(f);
    pass_gate();
    expect(f, "task", "apply_reply"); /* of what was under way */
    turn_for(f, 100);
    assert_int_equal(count(f, "task", "ersa_begun"), 1); /* nothing begins without an answer */
    tell(f, "registration_reply",
         "{\"status\": \"error\", \"ename\": \"KeyError\", \"evalue\": \"in use\"}");
    expect_begun(f, b);
    expect_reply(f, "task", b);
}

static void test_known_of_an_earlier_run(void **state)
{
    struct fixture *f = *state;
    struct asked b = lose_hub(f);
    tell(f, "registration_reply",
         "{\"status\": \"ok\", \"id\": 3, \"hb_period\": 3000, \"ersa\": {\"v\": 1, "
         "\"caps\": [\"ready\", \"begun\"], \"known\": true}}");
    expect(f, "query", "ersa_ready");
    pass_gate();
    expect_begun(f, b);
    expect_reply(f, "task", b);
}

static void test_given_up(void **state)
{
    struct fixture *f = *state;
    lose_hub(f);
    tell(f, "registration_reply", REGISTERED);
    expect(f, "query", "ersa_ready");
    pass_gate();
    struct asked c = ask_task(f, "echo");
    expect_begun(f, c); /* not the one that waited */
    expect_reply(f, "task", c);
    assert_int_equal(count(f, "task", "ersa_begun"), 2);
}

/* What comes by other ways can't tell when the answer was read. */
static void test_forgetting_is_told(void **state)
{
    struct fixture *f = *state;
    lose_hub(f);
    tell(f, "registration_reply",
         "{\"status\": \"ok\", \"id\": 3, \"hb_period\": 3000, \"ersa\": {\"v\": 1, "
         "\"caps\": [\"begun\"], \"again\": true}}");
    expect(f, "query", "ersa_ready");
    peer_close(f->engine);
    f->engine = NULL;
    expect(f, "query", "registration_request");
    tell(f, "registration_reply",
         "{\"status\": \"error\", \"ename\": \"KeyError\", \"evalue\": \"in use\"}");
    expect(f, "query", "ersa_ready"); /* the first one may be lost */
}

static json_t *next_attempt(struct fixture *f)
{
    struct got g = expect(f, "query", "registration_request");
    json_t *content = json_parse(g.parts.content, NULL);
    json_t *name = json_incref(json_object_get(json_object_get(content, "ersa"), "attempt"));
    json_decref(content);
    assert_true(json_is_string(name));
    return name;
}

/* One whose answer may be lost is made again under the same name. */
static void test_attempts_have_names(void **state)
{
    struct fixture *f = *state;
    json_t *names[3];
    for (int i = 0; i < 3; i++) {
        peer_close(f->engine);
        f->engine = NULL;
        names[i] = next_attempt(f);
        if (i == 1) {
            tell(f, "registration_reply", REGISTERED);
            expect(f, "query", "ersa_ready");
        }
    }
    assert_true(json_equal(names[0], names[1]));
    assert_false(json_equal(names[1], names[2]));
    for (int i = 0; i < 3; i++)
        json_decref(names[i]);
}

/* The way of the tasks is back first, and brings one: it is kept for the answer. */
static void test_tasks_before_the_answer(void **state)
{
    struct fixture *f = *state;
    peer_close(f->engine);
    f->engine = NULL;
    expect(f, "query", "registration_request");
    struct asked a = ask_task(f, "echo");
    turn_for(f, 100);
    assert_int_equal(count(f, "task", "ersa_begun"), 0);
    tell(f, "registration_reply",
         "{\"status\": \"error\", \"ename\": \"KeyError\", \"evalue\": \"in use\"}");
    expect_begun(f, a);
    expect_reply(f, "task", a);
}

#define STOCK(name) cmocka_unit_test_setup_teardown(name, setup_stock, teardown_stock)

int main(int argc, char **argv)
{
    begin(argc, argv);
    const struct CMUnitTest tests[] = {
        STOCK(test_still_registered),
        STOCK(test_known_of_an_earlier_run),
        STOCK(test_given_up),
        STOCK(test_forgetting_is_told),
        STOCK(test_attempts_have_names),
        STOCK(test_tasks_before_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
