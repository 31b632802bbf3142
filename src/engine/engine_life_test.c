/* SPDX-License-Identifier: BSD-3-Clause */
/* How an engine lives and ends: heartbeats, a runtime that dies, shutdown, signals, a
 * connection that is lost, a registration that is refused. */
#include "engine/engine_rig.h"

static void test_heartbeat_while_busy(void **state)
{
    struct fixture *f = *state;
    ask_to_wait(f, "mux");
    send_frames(f, (const struct frame[]){FRAME_LIT("hb"), FRAME_LIT("12.5")}, 2);
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    bool found = false;
    while (!found && clock_mono_ms() < deadline) {
        loop_turn(f->loop, 10);
        for (unsigned i = 0; i < f->n_received; i++)
            found |= f->received[i]->n == 2 &&
                     slice_is(frame_slice(&f->received[i]->frames[0]), "hb") &&
                     slice_is(frame_slice(&f->received[i]->frames[1]), "12.5");
    }
    assert_true(found);
}

static void test_death_is_explained(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask(f, "task", "die");
    struct got g = expect(f, "query", "unregistration_request");
    assert_true(has(g.parts.content, "\"id\":3"));
    assert_true(has(g.parts.content, "killed by signal 9 (SIGKILL), peak memory"));
    assert_true(has(g.parts.content, a.id));
    assert_int_equal(wait_end(f), 128 + SIGKILL);
}

static void test_exit_code_is_passed_on(void **state)
{
    struct fixture *f = *state;
    ask(f, "mux", "exit 7");
    struct got g = expect(f, "query", "unregistration_request");
    assert_true(has(g.parts.content, "exit code 7"));
    assert_true(has(g.parts.content, "\"begun\":[]")); /* it was no task */
    assert_int_equal(wait_end(f), 7);
}

/* What user code wrote last explains nothing; a runtime that says why it ends does. */
static void test_last_words(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask(f, "task", "last words");
    struct got g = expect(f, "query", "unregistration_request");
    assert_true(has(g.parts.content, "exit code 3, peak memory"));
    assert_true(has(g.parts.content, "; it has lost its way\""));
    assert_true(has(g.parts.content, a.id));
    assert_int_equal(wait_end(f), 3);
}

static void test_channel_that_is_closed(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask(f, "task", "close");
    struct got g = expect(f, "query", "unregistration_request");
    assert_true(has(g.parts.content, "user code may have closed"));
    assert_true(has(g.parts.content, a.id));
    assert_int_equal(wait_end(f), ENGINE_EXIT_RUNTIME);
}

static void test_garbage_of_the_runtime(void **state)
{
    struct fixture *f = *state;
    ask(f, "task", "garbage");
    struct got g = expect(f, "query", "unregistration_request");
    assert_true(has(g.parts.content, "the runtime broke its protocol"));
    assert_int_equal(wait_end(f), ENGINE_EXIT_RUNTIME);
}

static void test_shutdown_while_busy(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask_to_wait(f, "mux");
    ask_control(f, "shutdown_request", "{\"restart\": false}");
    struct got g = expect(f, "control", "shutdown_reply");
    assert_true(has(g.parts.content, "\"restart\": false"));
    g = expect(f, "iopub", "shutdown_reply");
    assert_true(slice_is(frame_slice(&g.held->frames[1]), "engine.3.shutdown"));
    assert_true(has(g.parts.header, "\"session\": \"" UUID "\""));
    assert_true(has(g.parts.metadata, "\"begun\":[]"));
    expect_reply(f, "mux", a); /* interrupted */
    assert_int_equal(wait_end(f), 0);
    assert_int_equal(count(f, "query", "unregistration_request"), 0);
}

static void test_shutdown_names_the_last_task_begun(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask_to_wait(f, "task");
    ask_control(f, "shutdown_request", "{}");
    struct got g = expect(f, "iopub", "shutdown_reply");
    assert_true(has(g.parts.metadata, a.id));
    assert_int_equal(wait_end(f), 0);
}

static void test_exit_of_user_code(void **state)
{
    struct fixture *f = *state;
    expect_reply(f, "mux", ask(f, "mux", "exit"));
    expect(f, "query", "unregistration_request");
    assert_int_equal(wait_end(f), 0);
}

static void test_sigterm(void **state)
{
    struct fixture *f = *state;
    kill(f->pid, SIGTERM);
    struct got g = expect(f, "query", "unregistration_request");
    assert_true(has(g.parts.content, "SIGTERM"));
    assert_int_equal(wait_end(f), 0);
}

static void test_lost_connection(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask_to_wait(f, "mux");
    ask(f, "mux", "echo"); /* waits, and is given up with the connection */
    for (int i = 0; i < 20; i++)
        loop_turn(f->loop, 5);
    peer_close(f->engine);
    struct got g = expect(f, "query", "registration_request");
    assert_true(has(g.parts.content, "\"id\":3"));
    tell(f, "registration_reply",
         "{\"status\": \"error\", \"ename\": \"KeyError\", \"evalue\": \"in use\"}");
    expect(f, "query", "registration_request"); /* once more */
    tell(f, "registration_reply", REGISTERED);
    expect(f, "query", "ersa_ready");
    ask_control(f, "interrupt_request", "{}");
    struct asked b = ask(f, "mux", "echo");
    expect_reply(f, "mux", b);
    assert_int_equal(count(f, "mux", "apply_reply"), 1); /* none for what was lost */
    (void)a;
}

static unsigned port_of(const char *address)
{
    return (unsigned)atoi(strrchr(address, ':') + 1);
}

/* Until the kernel of this host has closed its end of the connection: it got our reset. */
static void wait_for_reset(unsigned port, unsigned our_port)
{
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    char line[256], ends[40];
    snprintf(ends, sizeof(ends), " 0100007F:%04X 0100007F:%04X ", port, our_port);
    for (bool is_there = true; is_there; usleep(1000)) {
        FILE *f = fopen("/proc/net/tcp", "r");
        assert_non_null(f);
        is_there = false;
        while (fgets(line, sizeof(line), f))
            is_there |= strstr(line, ends) != NULL;
        fclose(f);
        assert_true(clock_mono_ms() < deadline);
    }
}

/* It is stopped while one task runs and another waits, and its connection is reset: the other
 * is somebody else's by then. Woken, it says what it has begun. */
static void test_tasks_taken_away_while_stopped(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask(f, "task", "gate"), b = ask(f, "task", "print");
    expect(f, "task", "ersa_begun");
    ask_control(f, "connect_request", "{}");
    expect(f, "control", "connect_reply"); /* so both have arrived */
    kill(f->pid, SIGSTOP);
    pass_gate(); /* the first one is done meanwhile */
    unsigned port = port_of(peer_address(f->engine));
    unsigned our_port = port_of(peer_own_address(f->engine));
    peer_reset(f->engine);
    wait_for_reset(port, our_port);
    kill(f->pid, SIGCONT);
    struct got g = expect(f, "query", "registration_request");
    unsigned registers = f->next; /* before it, a note that can't begin anything may come */
    json_t *content = json_parse(g.parts.content, NULL);
    const json_t *begun = json_object_get(json_object_get(content, "ersa"), "begun");
    assert_int_equal(json_array_size(begun), 1);
    assert_string_equal(json_string_value(json_array_get(begun, 0)), a.id);
    json_decref(content);
    struct asked left = ask(f, "task", "print"); /* was queued for the connection before */
    tell(f, "registration_reply", REGISTERED);
    expect(f, "query", "ersa_ready");
    struct asked c = ask(f, "task", "echo");
    expect_reply(f, "task", c);
    assert_int_equal(count(f, "iopub", "stream"), 0);
    assert_int_equal(count_from(f, registers, "task", "ersa_begun"), 1);
    (void)b;
    (void)left;
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    tell(f, "registration_reply",
         "{\"status\": \"error\", \"ename\": \"KeyError\", \"evalue\": \"in use\"}");
    assert_int_equal(wait_end(f), ENGINE_EXIT_REFUSED);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(test_heartbeat_while_busy),
        TEST(test_death_is_explained),
        TEST(test_exit_code_is_passed_on),
        TEST(test_last_words),
        TEST(test_channel_that_is_closed),
        TEST(test_garbage_of_the_runtime),
        TEST(test_shutdown_while_busy),
        TEST(test_shutdown_names_the_last_task_begun),
        TEST(test_exit_of_user_code),
        TEST(test_sigterm),
        TEST(test_lost_connection),
        TEST(test_tasks_taken_away_while_stopped),
        cmocka_unit_test_setup_teardown(test_refused, setup_unregistered, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
