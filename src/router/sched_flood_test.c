/* SPDX-License-Identifier: BSD-3-Clause */
/* hwm=auto with more engines than the controller can listen to at once: short tasks go several
 * to one engine in a flood of them, and only then; who waits to be read is not late. */
#include <sys/socket.h>
#include <unistd.h>

#include "router/sched_rig.h"
#include "util/clock.h"

#define SHORT_US 20
#define FEW 16 /* in one turn: each goes to the engine that has least to do */
#define MANY 48
#define BEGAN_US ((int64_t)1700000000000000) /* by the engines' clocks, for all tasks */

static const struct sched_config automatic = {
    .scheme = "leastload", .hwm = HWM_AUTO, .grace_report_ms = 200, .grace_lost_ms = 5000};

static int setup(void **state)
{
    struct rig *r = *state = rig_new(&automatic);
    for (int i = 0; i < RIG_ENGINES; i++)
        rig_add(r, i);
    return 0;
}

/* Says how long the task took, as engines do: from `started` to the date of the reply. */
static void answer(struct rig *r, int i, const char *id, int64_t took_us)
{
    struct frame f[1 + SESSION_FRAMES];
    char parent[128], metadata[128], started[CLOCK_ISO_MAX];
    clock_iso(BEGAN_US, started);
    int n = snprintf(parent, sizeof(parent), "{\"msg_id\": \"%s\"}", id);
    int m = snprintf(metadata, sizeof(metadata), "{\"started\": \"%s\", \"status\": \"ok\"}",
                     started);
    struct outgoing o = {.msg_type = "apply_reply",
                         .parent = {parent, (size_t)n},
                         .metadata = {metadata, (size_t)m},
                         .date_us = BEGAN_US + took_us};
    f[0] = FRAME_LIT("whatever");
    assert_int_equal(session_frames(r->engines[i].session, &o, &r->scratch, f + 1), 0);
    struct msg msg = {f, 1 + SESSION_FRAMES};
    assert_int_equal(sched_reply(r->s, &r->engines[i].e, &msg, NULL), 0);
}

/* Tasks one at a time, each so many milliseconds under way, whatever its length. */
static void stream_in(struct rig *r, const char *name, unsigned n, int64_t took_us, int64_t ms)
{
    char id[32];
    for (unsigned k = 0; k < n; k++) {
        snprintf(id, sizeof(id), "%s_%u", name, k);
        rig_submit(r, id, "{}");
        struct rig_note *sent = rig_next(r);
        assert_non_null(sent);
        if (ms)
            rig_pass_ms(r, ms);
        answer(r, sent->engine, id, took_us);
        rig_expect_reply(r, sent->engine, id);
    }
}

static void stream(struct rig *r, const char *name, unsigned n, int64_t took_us)
{
    stream_in(r, name, n, took_us, 1);
}

/* So many tasks in one turn; returns how many went where the one before went. */
static unsigned flood(struct rig *r, const char *name, unsigned n)
{
    char id[32];
    unsigned followed = 0;
    for (unsigned k = 0, before = RIG_ENGINES; k < n; k++) {
        snprintf(id, sizeof(id), "%s_%u", name, k);
        rig_submit(r, id, "{}");
        struct rig_note *sent = rig_next(r);
        assert_non_null(sent);
        followed += (unsigned)sent->engine == before;
        before = (unsigned)sent->engine;
    }
    return followed;
}

static unsigned most_load(const struct rig *r)
{
    unsigned most = 0;
    for (int i = 0; i < RIG_ENGINES; i++)
        most = r->engines[i].e.load > most ? r->engines[i].e.load : most;
    return most;
}

static void test_flood_of_short_tasks(void **state)
{
    struct rig *r = *state;
    stream(r, "s", 300, SHORT_US);
    assert_true(flood(r, "f", MANY) >= 24);
    assert_in_range(most_load(r), PACE_TOGETHER - 1, PACE_TOGETHER);
}

/* The longer they are the fewer: they are done before they could be called back. */
static void test_flood_of_longer_tasks(void **state)
{
    static const struct {
        int64_t took_us;
        unsigned together;
    } rows[] = {{200, 6}, {400, 3}, {600, 2}, {700, 1}};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (i > 0) {
            rig_teardown(state);
            setup(state);
            r = *state;
        }
        stream(r, "s", 300, rows[i].took_us);
        stream_in(r, "turn", FEW + 1, rows[i].took_us, 0);
        unsigned n = rows[i].together;
        assert_int_equal(flood(r, "f", RIG_ENGINES * n), RIG_ENGINES * (n - 1));
        assert_int_equal(most_load(r), n);
    }
}

static void test_few_are_spread(void **state)
{
    struct rig *r = *state;
    stream(r, "s", 300, SHORT_US);
    assert_int_equal(flood(r, "f", FEW), 0);
    assert_int_equal(most_load(r), FEW / RIG_ENGINES);
}

static void test_before_lengths_are_known(void **state)
{
    struct rig *r = *state;
    stream(r, "s", PACE_STREAM / 2, SHORT_US);
    assert_int_equal(flood(r, "f", MANY), 0);
}

/* One engine's tasks aren't short any more: perhaps none are. */
static void test_after_a_longer_task(void **state)
{
    struct rig *r = *state;
    stream(r, "s", 300, SHORT_US);
    stream(r, "long", 1, 5000);
    assert_int_equal(flood(r, "f", MANY), 0);
}

static void test_after_a_break(void **state)
{
    struct rig *r = *state;
    stream(r, "s", 300, SHORT_US);
    rig_pass_ms(r, 1000);
    assert_int_equal(flood(r, "f", MANY), 0);
}

static void test_where_the_last_one_went_is_gone(void **state)
{
    struct rig *r = *state;
    stream(r, "s", 300, SHORT_US);
    flood(r, "f", FEW + 2);
    int last = r->notes[r->read - 1].engine;
    rig_gone(r, last, true, NULL);
    rig_submit(r, "next", "{}");
    struct rig_note *sent = rig_next(r);
    assert_non_null(sent);
    assert_int_not_equal(sent->engine, last);
}

/* The controller listens to others for 50 ms; the engine's answers have been there all the
 * time.
 */

#define OTHERS 200 /* more than a turn of the loop hears */

struct source {
    struct watch w;
    int fds[2];
    struct rig *r;
    const char *id; /* what engine 0 has answered; NULL: somebody else's */
};

static void on_source(struct watch *w, unsigned events)
{
    struct source *s = container_of(w, struct source, w);
    char c;
    assert_int_equal(read(w->fd, &c, 1), 1);
    if (s->id)
        answer(s->r, 0, s->id, SHORT_US);
}

static void open_source(struct source *s, struct rig *r, const char *id)
{
    *s = (struct source){.w.fn = on_source, .r = r, .id = id};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s->fds), 0);
    assert_int_equal(loop_watch(r->loop, &s->w, s->fds[0], LOOP_READ, LOOP_NORMAL), 0);
    assert_int_equal(write(s->fds[1], "x", 1), 1);
}

static void test_who_waits_to_be_read_is_not_late(void **state)
{
    struct rig *r = *state;
    static struct source sources[OTHERS + 1];
    stream(r, "s", 40, SHORT_US);
    const char *on_first = "{\"targets\": [\"U0\"]}";
    rig_give(r, 0, "a", on_first);
    rig_give(r, 0, "b", on_first);
    for (int i = 0; i <= OTHERS; i++)
        open_source(&sources[i], r, i == OTHERS ? "a" : NULL);
    rig_pass_ms(r, 50);
    assert_int_equal(r->engines[0].e.pace.delay, PACE_ON_TIME);
    for (int i = 0; i < 5; i++)
        loop_turn(r->loop, 0);
    rig_expect_reply(r, 0, "a");
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->recalls, 0);
    for (int i = 0; i <= OTHERS; i++) {
        loop_unwatch(r->loop, &sources[i].w);
        close(sources[i].fds[0]);
        close(sources[i].fds[1]);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(test_flood_of_short_tasks),
        T(test_flood_of_longer_tasks),
        T(test_few_are_spread),
        T(test_before_lengths_are_known),
        T(test_after_a_longer_task),
        T(test_after_a_break),
        T(test_where_the_last_one_went_is_gone),
        T(test_who_waits_to_be_read_is_not_late),
    };
    return cmocka_run_group_tests_name("router/sched_flood", tests, NULL, NULL);
}
