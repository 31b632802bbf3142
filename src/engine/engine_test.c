/* SPDX-License-Identifier: BSD-3-Clause */
/* What an engine answers to requests: results, output, status, aborts, recalls, signals. */
#include "engine/engine_rig.h"

static void test_task(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask(f, "task", "echo");
    struct got g = expect(f, "iopub", "status");
    assert_true(has(g.parts.content, "busy"));
    assert_true(has(g.parts.parent, a.id));
    assert_true(slice_is(frame_slice(&g.held->frames[1]), "engine.3.status"));
    g = expect(f, "task", "ersa_begun");
    assert_true(has(g.parts.parent, a.id));
    g = expect_reply(f, "task", a);
    assert_true(slice_is(g.parts.content, "{\"status\": \"ok\"}"));
    assert_true(has(g.parts.metadata, "\"engine\": \"" UUID "\""));
    assert_true(has(g.parts.metadata, "\"label\": \"l\""));
    assert_int_equal(g.parts.n_buffers, 1);
    assert_true(slice_is(frame_slice(&g.parts.buffers[0]), "echo"));
    g = expect(f, "iopub", "status");
    assert_true(has(g.parts.content, "idle"));
    assert_int_equal(count(f, "iopub", "stream"), 0);
}

static void test_direct_request_is_not_begun(void **state)
{
    struct fixture *f = *state;
    expect_reply(f, "mux", ask(f, "mux", "echo"));
    assert_int_equal(count(f, "mux", "ersa_begun"), 0);
}

static void test_output_comes_before_the_reply(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask(f, "mux", "print");
    struct got g = expect(f, "iopub", "stream");
    assert_true(slice_is(g.parts.content, "{\"name\": \"stdout\", \"text\": \"before\\n\"}"));
    assert_true(has(g.parts.parent, a.id));
    assert_true(slice_is(frame_slice(&g.held->frames[1]), "engine.3.stdout"));
    expect_reply(f, "mux", a);
    a = ask(f, "mux", "publish");
    expect(f, "iopub", "stream");
    g = expect(f, "iopub", "display_data");
    assert_true(has(g.parts.parent, a.id));
    assert_true(has(g.parts.metadata, UUID));
    expect_reply(f, "mux", a);
}

#define QUIET "{\"ersa\": {\"quiet_status\": true}}"

static void test_quiet_status(void **state)
{
    struct fixture *f = *state;
    unsigned before = count(f, "iopub", "status"); /* starting */
    struct asked a = ask_with(f, "mux", "apply_request", QUIET, "{}", "echo");
    struct got g = expect_reply(f, "mux", a);
    assert_true(has(g.parts.metadata, "\"output_complete\": true, \"published\": 0"));
    a = ask_with(f, "mux", "apply_request", QUIET, "{}", "print");
    g = expect(f, "iopub", "status");
    assert_true(has(g.parts.content, "busy"));
    expect(f, "iopub", "stream");
    g = expect_reply(f, "mux", a);
    assert_true(has(g.parts.metadata, "\"published\": 3"));
    expect(f, "iopub", "status");
    assert_int_equal(count(f, "iopub", "status"), before + 2);
}

static void test_unmet(void **state)
{
    struct fixture *f = *state;
    struct got g = expect_reply(f, "task", ask(f, "task", "unmet"));
    assert_true(has(g.parts.metadata, "\"dependencies_met\": false"));
    assert_true(has(g.parts.metadata, "\"engine_info\""));
}

static void test_forged_and_replayed(void **state)
{
    struct fixture *f = *state;
    struct letter l;
    letter_write(f, &l, "mux", "client",
                 &(struct outgoing){.msg_type = "apply_request", .msg_id = "twice"}, "echo");
    letter_send(f, &l);
    letter_send(f, &l);              /* replayed */
    l.frames[3] = FRAME_LIT("0123"); /* wrong signature */
    letter_send(f, &l);
    send_frames(f, l.frames, 5);                                 /* frames missing */
    send_frames(f, (const struct frame[]){FRAME_LIT("mux")}, 1); /* nothing at all */
    send_frames(f, (const struct frame[]){FRAME_LIT("what"), FRAME_LIT("")}, 2);
    struct asked a = ask(f, "mux", "echo");
    struct got g = expect(f, "mux", "apply_reply");
    assert_true(has(g.parts.parent, "twice"));
    expect_reply(f, "mux", a);
    assert_int_equal(count(f, "mux", "apply_reply"), 2);
    letter_fini(&l);
}

static void test_abort(void **state)
{
    struct fixture *f = *state;
    char content[64];
    struct asked first = ask_to_wait(f, "mux"), second = ask(f, "mux", "echo"),
                 third = ask(f, "mux", "echo");
    snprintf(content, sizeof(content), "{\"msg_ids\": [\"%s\"]}", second.id);
    ask_control(f, "abort_request", content);
    struct got g = expect(f, "control", "abort_reply");
    assert_true(has(g.parts.content, "ok"));
    ask_control(f, "interrupt_request", "{}");
    g = expect_reply(f, "mux", first);
    assert_true(has(g.parts.content, "KeyboardInterrupt"));
    g = expect_reply(f, "mux", second);
    assert_true(has(g.parts.content, "aborted"));
    assert_true(has(g.parts.metadata, "\"status\": \"aborted\""));
    g = expect_reply(f, "mux", third);
    assert_true(has(g.parts.content, "ok"));
}

/* What waits is given back, what runs is not; the same message may come again, and runs. */
static void test_recall(void **state)
{
    struct fixture *f = *state;
    char content[128];
    struct asked first = ask_to_wait(f, "task"), direct = ask(f, "mux", "echo"),
                 second = ask(f, "task", "echo");
    struct letter third;
    letter_write(f, &third, "task", "client",
                 &(struct outgoing){.msg_type = "apply_request", .msg_id = "third"}, "echo");
    letter_send(f, &third);
    snprintf(content, sizeof(content), "{\"msg_ids\": [\"%s\", \"third\", \"%s\", 7, \"x\"]}",
             first.id, direct.id);
    recall(f, "task", content);
    struct got g = expect(f, "task", "ersa_recalled");
    assert_true(slice_is(g.parts.content, "{\"msg_ids\": [\"third\"]}"));
    assert_int_equal(g.parts.n_idents, 1);
    recall(f, "task", content);
    g = expect(f, "task", "ersa_recalled");
    assert_true(slice_is(g.parts.content, "{\"msg_ids\": []}"));
    letter_send(f, &third);
    letter_send(f, &third); /* this one is a replay */
    ask_control(f, "interrupt_request", "{}");
    expect_reply(f, "task", first);
    expect_reply(f, "mux", direct);
    expect_reply(f, "task", second);
    g = expect(f, "task", "apply_reply");
    assert_true(has(g.parts.parent, "third"));
    expect_reply(f, "task", ask(f, "task", "echo"));
    assert_int_equal(count(f, "task", "apply_reply"), 4);
    assert_int_equal(count(f, "task", "ersa_begun"), 4);
    letter_fini(&third);
}

/* Who is asked to says when there is nothing to do any more, once. */
static void test_recall_that_asks_to_tell(void **state)
{
    static const char wish[] = "{\"msg_ids\": [], \"tell_free\": true}";
    struct fixture *f = *state;
    struct asked direct = ask_to_wait(f, "mux"), behind = ask(f, "mux", "echo");
    recall(f, "task", wish);
    struct got g = expect(f, "task", "ersa_recalled");
    assert_int_equal(count(f, "task", "ersa_free"), 0);
    ask_control(f, "interrupt_request", "{}");
    expect_reply(f, "mux", direct);
    expect_reply(f, "mux", behind);
    g = expect(f, "task", "ersa_free");
    assert_int_equal(g.parts.n_idents, 1);
    expect_reply(f, "mux", ask(f, "mux", "echo"));
    recall(f, "task", "{\"msg_ids\": [], \"tell_free\": 1}");
    expect(f, "task", "ersa_recalled");
    assert_int_equal(count(f, "task", "ersa_free"), 1);
    recall(f, "task", wish);
    expect(f, "task", "ersa_free");
}

/* Only the scheduler may ask: not a client's message that came as a task or directly. */
static void test_recalls_of_others(void **state)
{
    struct fixture *f = *state;
    char content[128];
    struct asked first = ask_to_wait(f, "task"), second = ask(f, "task", "echo");
    snprintf(content, sizeof(content), "{\"msg_ids\": [\"%s\"]}", second.id);
    ask_with(f, "task", "ersa_recall", "{}", content, NULL);
    recall(f, "mux", content);
    recall(f, "task", "[]");
    expect(f, "task", "ersa_recalled");
    ask_control(f, "interrupt_request", "{}");
    expect_reply(f, "task", first);
    expect_reply(f, "task", second);
    assert_int_equal(count(f, "task", "ersa_recalled"), 1);
}

static void test_error_aborts_executes_that_wait(void **state)
{
    struct fixture *f = *state;
    ask_to_wait(f, "mux");
    ask_with(f, "mux", "execute_request", "{}", "{}", "abort others");
    ask_with(f, "mux", "execute_request", "{}", "{}", "echo");
    struct asked apply = ask(f, "mux", "echo");
    ask_control(f, "interrupt_request", "{}");
    struct got g = expect(f, "mux", "execute_reply");
    assert_true(has(g.parts.content, "ValueError"));
    g = expect(f, "mux", "execute_reply");
    assert_true(has(g.parts.content, "aborted"));
    g = expect_reply(f, "mux", apply);
    assert_true(has(g.parts.content, "ok"));
    ask_with(f, "mux", "execute_request", "{}", "{}", "echo"); /* a later one runs */
    g = expect(f, "mux", "execute_reply");
    assert_true(has(g.parts.content, "ok"));
}

static void test_null_abort_is_answered(void **state)
{
    struct fixture *f = *state;
    ask_control(f, "abort_request", "{\"msg_ids\": null}");
    expect(f, "control", "abort_reply");
}

static void test_clear_is_answered_at_once(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask_to_wait(f, "mux");
    ask_control(f, "clear_request", "{}");
    expect(f, "control", "clear_reply");
    ask_control(f, "interrupt_request", "{}");
    expect_reply(f, "mux", a);
    expect_reply(f, "mux", ask(f, "mux", "echo"));
    assert_int_equal(count(f, "control", "clear_reply"), 1); /* not once more by the runtime */
}

static void test_signals(void **state)
{
    static const struct {
        const char *content, *piece;
    } rows[] = {
        {"{\"sig\": 0}", "\"ok\""},
        {"{\"sig\": 2}", "\"ok\""}, /* idle: nothing happens */
        {"{\"sig\": \"SIGNONE\"}", "AttributeError"},
        {"{\"sig\": 4711}", "OSError"},
        {"{\"sig\": []}", "TypeError"},
        {"{}", "KeyError"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask_control(f, "signal_request", rows[i].content);
        struct got g = expect(f, "control", "signal_reply");
        assert_true(has(g.parts.content, rows[i].piece));
    }
    expect_reply(f, "mux", ask(f, "mux", "echo"));
}

static void test_other_requests(void **state)
{
    struct fixture *f = *state;
    ask_control(f, "usage_request", "{}");
    struct got g = expect(f, "control", "usage_reply");
    assert_true(has(g.parts.content, "\"kernel_memory\""));
    ask_with(f, "mux", "connect_request", "{}", "{}", NULL);
    expect(f, "mux", "connect_reply");
    struct asked a = ask_with(f, "mux", "unheard_of_request", "{}", "{}", NULL);
    do /* those of the other two come before */
        g = expect(f, "iopub", "status");
    while (!has(g.parts.parent, a.id));
    assert_true(has(g.parts.content, "busy"));
    unsigned before = f->n_received;
    g = expect(f, "iopub", "status");
    assert_true(has(g.parts.content, "idle"));
    assert_true(f->n_received <= before + 1); /* no reply */
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(test_task),
        TEST(test_direct_request_is_not_begun),
        TEST(test_output_comes_before_the_reply),
        TEST(test_quiet_status),
        TEST(test_unmet),
        TEST(test_forged_and_replayed),
        TEST(test_abort),
        TEST(test_recall),
        TEST(test_recall_that_asks_to_tell),
        TEST(test_recalls_of_others),
        TEST(test_error_aborts_executes_that_wait),
        TEST(test_null_abort_is_answered),
        TEST(test_clear_is_answered_at_once),
        TEST(test_signals),
        TEST(test_other_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
