/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole engine in a process of its own, between a controller that is a bound ROUTER in this
 * process and a runtime that is this program again: what comes out for what goes in. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "engine/rtproto.h"
#include "ersa/error.h"
#include "loop/loop.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"
#include "wire/jscan.h"
#include "wire/json.h"
#include "wire/port.h"
#include "wire/session.h"

#define KEY "test-key"
#define UUID "0a1b2c3d-engine"
#define WAIT_MS 20000

/* The runtime */

static int rt_fd;

static void rt_read(void *out, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(rt_fd, (char *)out + got, len - got, 0);
        if (n <= 0)
            _exit(0);
        got += (size_t)n;
    }
}

#define RT_TEXT 4096

struct rt_message {
    struct rt_head head;
    char parts[16][RT_TEXT];
};

static void rt_get(struct rt_message *m)
{
    struct rt_part table[16];
    rt_read(&m->head, sizeof(m->head));
    rt_read(table, m->head.n_parts * sizeof(*table));
    for (uint32_t i = 0; i < m->head.n_parts; i++) {
        rt_read(m->parts[i], table[i].len);
        m->parts[i][table[i].len] = '\0';
    }
}

static void rt_put(uint32_t type, unsigned n, const char *const *parts)
{
    struct rt_head head = {type, n, 0};
    struct rt_part table[16];
    for (unsigned i = 0; i < n; i++) {
        table[i] = (struct rt_part){strlen(parts[i]), 0, 0};
        head.inline_bytes += table[i].len;
    }
    send(rt_fd, &head, sizeof(head), MSG_NOSIGNAL);
    send(rt_fd, table, n * sizeof(*table), MSG_NOSIGNAL);
    for (unsigned i = 0; i < n; i++)
        send(rt_fd, parts[i], table[i].len, MSG_NOSIGNAL);
}

static volatile sig_atomic_t is_interrupted;

static void on_sigint(int signo)
{
    is_interrupted = 1;
}

static void rt_say(const char *text)
{
    ssize_t n = write(STDOUT_FILENO, text, strlen(text));
    (void)n;
}

/* Does what the first buffer says and answers. */
static void rt_obey(const struct rt_message *m)
{
    const char *id = m->parts[1], *word = m->head.n_parts > 5 ? m->parts[5] : "";
    const char *status = "ok", *flags = "", *content = "";
    if (strcmp(word, "die") == 0)
        raise(SIGKILL);
    if (strcmp(word, "exit 7") == 0)
        _exit(7);
    if (strcmp(word, "garbage") == 0)
        send(rt_fd, "garbage, garbage, garbage", 25, MSG_NOSIGNAL);
    if (strcmp(word, "print") == 0)
        rt_say("before\n");
    if (strcmp(word, "publish") == 0) {
        rt_say("first\n");
        rt_put(
            RT_PUBLISH, 4,
            (const char *const[]){"display_data", "engine.3.displaypub", "{\"data\": {}}", ""});
    }
    if (strcmp(word, "wait") == 0) {
        while (!is_interrupted)
            usleep(1000);
        is_interrupted = 0;
        status = "error";
        content = "{\"status\": \"error\", \"ename\": \"KeyboardInterrupt\"}";
    }
    if (strcmp(word, "unmet") == 0) {
        status = "error";
        flags = "u";
        content = "{\"status\": \"error\", \"ename\": \"UnmetDependency\"}";
    }
    if (strcmp(word, "abort others") == 0) {
        status = "error";
        flags = "n";
        content = "{\"status\": \"error\", \"ename\": \"ValueError\"}";
    }
    if (strcmp(word, "exit") == 0)
        rt_put(RT_EXIT, 0, NULL);
    rt_put(RT_REPLY, 5, (const char *const[]){id, status, flags, content, word});
}

static void run_runtime(void)
{
    static struct rt_message m;
    rt_fd = atoi(getenv(RT_ENV_FD));
    signal(SIGINT, on_sigint);
    rt_get(&m);
    if (m.head.type != RT_HELLO || !strstr(m.parts[0], UUID))
        _exit(9);
    rt_put(RT_READY, 1, (const char *const[]){"{\"v\": 1, \"language\": \"test\"}"});
    for (;;) {
        rt_get(&m);
        if (m.head.type == RT_SHUTDOWN)
            _exit(0);
        rt_obey(&m);
    }
}

/* The controller */

#define RECEIVED_MAX 4096

struct fixture {
    struct loop *loop;
    struct wire *wire;
    struct port *port;
    struct session *session;
    struct peer *engine;
    struct held *received[RECEIVED_MAX];
    unsigned n_received, next; /* `next`: not yet looked at by anybody */
    struct connection_info conn;
    pid_t pid;
    int status; /* of the engine's end, -1: it runs */
    unsigned n_ids;
};

static void on_up(void *ctx, struct peer *p)
{
    struct fixture *f = ctx;
    f->engine = p;
}

static void on_down(void *ctx, struct peer *p, enum peer_down why)
{
    struct fixture *f = ctx;
    f->engine = NULL;
}

static void on_message(void *ctx, struct peer *p, const struct msg *m)
{
    struct fixture *f = ctx;
    if (f->n_received < RECEIVED_MAX)
        f->received[f->n_received++] = msg_hold(m->frames, m->n);
}

static const struct port_ops ops = {
    .peer_up = on_up, .peer_down = on_down, .message = on_message};

struct got {
    struct parts parts;
    struct held *held;
};

static bool is_type(const struct held *h, const char *channel, const char *type,
                    struct got *ret)
{
    struct jfield f = {.key = "msg_type"};
    ret->held = (struct held *)h;
    return slice_is(frame_slice(&h->frames[0]), channel) &&
           parts_split(h->frames, h->n, &ret->parts) == 0 &&
           jscan(ret->parts.header, &f, 1) == 0 && slice_is(f.raw, type);
}

/* The next message of that kind, what comes before it is skipped. */
static struct got expect(struct fixture *f, const char *channel, const char *type)
{
    struct got g;
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    for (;;) {
        while (f->next < f->n_received)
            if (is_type(f->received[f->next++], channel, type, &g)) {
                assert_int_equal(session_verify(f->session, &g.parts), 0);
                return g;
            }
        if (clock_mono_ms() > deadline)
            fail_msg("no %s came on %s", type, channel);
        loop_turn(f->loop, 20);
    }
}

static unsigned count(struct fixture *f, const char *channel, const char *type)
{
    struct got g;
    unsigned n = 0;
    for (unsigned i = 0; i < f->n_received; i++)
        n += is_type(f->received[i], channel, type, &g);
    return n;
}

static bool has(struct slice text, const char *piece)
{
    return memmem(text.data, text.len, piece, strlen(piece));
}

static void send_frames(struct fixture *f, const struct frame *frames, unsigned n)
{
    assert_non_null(f->engine);
    assert_int_equal(peer_send(f->engine, frames, n), 0);
}

struct asked {
    char id[32];
};

/* A request from "client" whose only buffer is `word`, if there is one. */
static struct asked ask_with(struct fixture *f, const char *channel, const char *type,
                             const char *metadata, const char *content, const char *word)
{
    struct asked a;
    struct buf scratch;
    struct frame frames[2 + SESSION_FRAMES + 1];
    snprintf(a.id, sizeof(a.id), "c_1_%u", f->n_ids++);
    buf_init(&scratch, 65536);
    struct outgoing o = {.msg_type = type,
                         .msg_id = a.id,
                         .metadata = {metadata, strlen(metadata)},
                         .content = {content, strlen(content)}};
    frames[0] = (struct frame){(const uint8_t *)channel, strlen(channel), NULL};
    frames[1] = FRAME_LIT("client");
    assert_int_equal(session_frames(f->session, &o, &scratch, frames + 2), 0);
    if (word)
        frames[2 + SESSION_FRAMES] = (struct frame){(const uint8_t *)word, strlen(word), NULL};
    send_frames(f, frames, 2 + SESSION_FRAMES + (word ? 1 : 0));
    buf_fini(&scratch);
    return a;
}

static struct asked ask(struct fixture *f, const char *channel, const char *word)
{
    return ask_with(f, channel, "apply_request", "{\"label\": \"l\"}", "{}", word);
}

static void tell(struct fixture *f, const char *type, const char *content)
{
    struct buf scratch;
    struct frame frames[1 + SESSION_FRAMES];
    buf_init(&scratch, 65536);
    struct outgoing o = {.msg_type = type, .content = {content, strlen(content)}};
    frames[0] = FRAME_LIT("query");
    assert_int_equal(session_frames(f->session, &o, &scratch, frames + 1), 0);
    send_frames(f, frames, 1 + SESSION_FRAMES);
    buf_fini(&scratch);
}

static struct got expect_reply(struct fixture *f, const char *channel, struct asked a)
{
    struct got g = expect(f, channel, "apply_reply");
    assert_true(has(g.parts.parent, a.id));
    assert_true(slice_is(frame_slice(&g.held->frames[1]), "client"));
    return g;
}

static int wait_end(struct fixture *f)
{
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    while (f->status < 0) {
        int status;
        if (waitpid(f->pid, &status, WNOHANG) == f->pid) {
            assert_true(WIFEXITED(status));
            f->status = WEXITSTATUS(status);
            break;
        }
        assert_true(clock_mono_ms() < deadline);
        loop_turn(f->loop, 10);
    }
    for (int i = 0; i < 10; i++) /* what it said last */
        loop_turn(f->loop, 1);
    return f->status;
}

/* An engine */

static char self[4096];

static void run_engine(const struct fixture *f)
{
    char *argv[] = {self, (char *)"--runtime", NULL};
    struct engine_config cfg = {
        .conn = &f->conn,
        .interface = f->conn.interface,
        .key = KEY,
        .signature_scheme = "hmac-sha256",
        .uuid = UUID,
        .username = "me",
        .wish = 3,
        .caps = f->conn.caps,
        .registration_timeout_ms = WAIT_MS,
        .digest_history = 65536,
        .runtime_argv = argv,
        .runtime_label = "test",
    };
    struct ersa_error err = {0};
    int code = 99;
    log_set_level(LOG_CRITICAL + 1);
    if (engine_run(&cfg, &code, &err) < 0)
        fprintf(stderr, "engine: %s\n", err.text);
    exit(code);
}

#define CAPS_ALL 63u
#define REGISTERED                                                                     \
    "{\"status\": \"ok\", \"id\": 3, \"hb_period\": 3000, \"ersa\": {\"v\": 1, "       \
    "\"caps\": [\"attach\", \"ready\", \"begun\", \"death_cause\", \"quiet_status\", " \
    "\"recall\"]}}"

static int setup_unregistered(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct port_config cfg = {.kind = PORT_ROUTER, .name = "attach", .ops = &ops, .ctx = f};
    char at[PORT_ENDPOINT_MAX];
    *state = f;
    f->status = -1;
    f->loop = loop_new();
    f->wire = wire_new(f->loop, NULL);
    f->port = port_new(f->wire, &cfg, NULL);
    assert_int_equal(port_bind(f->port, "tcp://127.0.0.1:0", at, NULL), 0);
    assert_int_equal(
        session_new(&f->session, KEY, strlen(KEY), "hmac-sha256", NULL, NULL, NULL), 0);
    assert_int_equal(connection_info_init(&f->conn, true), 0);
    connection_info_set(&f->conn.interface, "tcp://127.0.0.1");
    f->conn.is_ersa = true;
    f->conn.caps = CAPS_ALL;
    f->conn.attach = atoi(strrchr(at, ':') + 1);
    fflush(NULL);
    f->pid = fork();
    if (f->pid == 0)
        run_engine(f);
    struct got g = expect(f, "query", "registration_request");
    assert_true(has(g.parts.content, "\"uuid\":\"" UUID "\""));
    assert_true(has(g.parts.content, "\"id\":3"));
    assert_true(has(g.parts.content, "\"attach\""));
    return 0;
}

static int setup(void **state)
{
    setup_unregistered(state);
    struct fixture *f = *state;
    tell(f, "registration_reply", REGISTERED);
    expect(f, "query", "ersa_ready");
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->status < 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    port_close(f->port, 0);
    loop_turn(f->loop, 0);
    for (unsigned i = 0; i < f->n_received; i++)
        held_free(f->received[i]);
    wire_free(f->wire);
    loop_free(f->loop);
    session_free(f->session);
    connection_info_fini(&f->conn);
    free(f);
    return 0;
}

/* Tests */

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
    struct buf scratch;
    struct frame frames[3 + SESSION_FRAMES];
    buf_init(&scratch, 65536);
    struct outgoing o = {.msg_type = "apply_request", .msg_id = "twice"};
    frames[0] = FRAME_LIT("mux");
    frames[1] = FRAME_LIT("client");
    session_frames(f->session, &o, &scratch, frames + 2);
    frames[2 + SESSION_FRAMES] = FRAME_LIT("echo");
    send_frames(f, frames, 3 + SESSION_FRAMES);
    send_frames(f, frames, 3 + SESSION_FRAMES); /* replayed */
    frames[3] = FRAME_LIT("0123");              /* wrong signature */
    send_frames(f, frames, 3 + SESSION_FRAMES);
    send_frames(f, frames, 5);                                   /* frames missing */
    send_frames(f, (const struct frame[]){FRAME_LIT("mux")}, 1); /* nothing at all */
    send_frames(f, (const struct frame[]){FRAME_LIT("what"), FRAME_LIT("")}, 2);
    struct asked a = ask(f, "mux", "echo");
    struct got g = expect(f, "mux", "apply_reply");
    assert_true(has(g.parts.parent, "twice"));
    expect_reply(f, "mux", a);
    assert_int_equal(count(f, "mux", "apply_reply"), 2);
    buf_fini(&scratch);
}

static void test_abort(void **state)
{
    struct fixture *f = *state;
    char content[64];
    struct asked first = ask(f, "mux", "wait"), second = ask(f, "mux", "echo"),
                 third = ask(f, "mux", "echo");
    snprintf(content, sizeof(content), "{\"msg_ids\": [\"%s\"]}", second.id);
    ask_with(f, "control", "abort_request", "{}", content, NULL);
    struct got g = expect(f, "control", "abort_reply");
    assert_true(has(g.parts.content, "ok"));
    ask_with(f, "control", "interrupt_request", "{}", "{}", NULL);
    g = expect_reply(f, "mux", first);
    assert_true(has(g.parts.content, "KeyboardInterrupt"));
    g = expect_reply(f, "mux", second);
    assert_true(has(g.parts.content, "aborted"));
    assert_true(has(g.parts.metadata, "\"status\": \"aborted\""));
    g = expect_reply(f, "mux", third);
    assert_true(has(g.parts.content, "ok"));
}

/* A recall, as the task scheduler sends it: no client stands in front. */
static void recall(struct fixture *f, const char *channel, const char *content)
{
    struct buf scratch;
    struct frame frames[1 + SESSION_FRAMES];
    buf_init(&scratch, 65536);
    struct outgoing o = {.msg_type = "ersa_recall", .content = {content, strlen(content)}};
    frames[0] = (struct frame){(const uint8_t *)channel, strlen(channel), NULL};
    assert_int_equal(session_frames(f->session, &o, &scratch, frames + 1), 0);
    send_frames(f, frames, 1 + SESSION_FRAMES);
    buf_fini(&scratch);
}

/* What waits is given back, what runs is not; the same message may come again, and runs. */
static void test_recall(void **state)
{
    struct fixture *f = *state;
    char content[128];
    struct asked first = ask(f, "task", "wait"), direct = ask(f, "mux", "echo"),
                 second = ask(f, "task", "echo");
    struct buf scratch;
    struct frame frames[3 + SESSION_FRAMES];
    buf_init(&scratch, 65536);
    struct outgoing o = {.msg_type = "apply_request", .msg_id = "third"};
    frames[0] = FRAME_LIT("task");
    frames[1] = FRAME_LIT("client");
    session_frames(f->session, &o, &scratch, frames + 2);
    frames[2 + SESSION_FRAMES] = FRAME_LIT("echo");
    send_frames(f, frames, 3 + SESSION_FRAMES);
    snprintf(content, sizeof(content), "{\"msg_ids\": [\"%s\", \"third\", \"%s\", 7, \"x\"]}",
             first.id, direct.id);
    recall(f, "task", content);
    struct got g = expect(f, "task", "ersa_recalled");
    assert_true(slice_is(g.parts.content, "{\"msg_ids\": [\"third\"]}"));
    assert_int_equal(g.parts.n_idents, 1);
    recall(f, "task", content);
    g = expect(f, "task", "ersa_recalled");
    assert_true(slice_is(g.parts.content, "{\"msg_ids\": []}"));
    send_frames(f, frames, 3 + SESSION_FRAMES);
    send_frames(f, frames, 3 + SESSION_FRAMES); /* this one is a replay */
    ask_with(f, "control", "interrupt_request", "{}", "{}", NULL);
    expect_reply(f, "task", first);
    expect_reply(f, "mux", direct);
    expect_reply(f, "task", second);
    g = expect(f, "task", "apply_reply");
    assert_true(has(g.parts.parent, "third"));
    expect_reply(f, "task", ask(f, "task", "echo"));
    assert_int_equal(count(f, "task", "apply_reply"), 4);
    assert_int_equal(count(f, "task", "ersa_begun"), 4);
    buf_fini(&scratch);
}

/* Only the scheduler may ask: not a client's message that came as a task or directly. */
static void test_recalls_of_others(void **state)
{
    struct fixture *f = *state;
    char content[128];
    struct asked first = ask(f, "task", "wait"), second = ask(f, "task", "echo");
    snprintf(content, sizeof(content), "{\"msg_ids\": [\"%s\"]}", second.id);
    ask_with(f, "task", "ersa_recall", "{}", content, NULL);
    recall(f, "mux", content);
    recall(f, "task", "[]");
    expect(f, "task", "ersa_recalled");
    ask_with(f, "control", "interrupt_request", "{}", "{}", NULL);
    expect_reply(f, "task", first);
    expect_reply(f, "task", second);
    assert_int_equal(count(f, "task", "ersa_recalled"), 1);
}

static void test_error_aborts_executes_that_wait(void **state)
{
    struct fixture *f = *state;
    ask(f, "mux", "wait");
    ask_with(f, "mux", "execute_request", "{}", "{}", "abort others");
    ask_with(f, "mux", "execute_request", "{}", "{}", "echo");
    struct asked apply = ask(f, "mux", "echo");
    ask_with(f, "control", "interrupt_request", "{}", "{}", NULL);
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
    ask_with(f, "control", "abort_request", "{}", "{\"msg_ids\": null}", NULL);
    expect(f, "control", "abort_reply");
}

static void test_clear_is_answered_at_once(void **state)
{
    struct fixture *f = *state;
    struct asked a = ask(f, "mux", "wait");
    ask_with(f, "control", "clear_request", "{}", "{}", NULL);
    expect(f, "control", "clear_reply");
    ask_with(f, "control", "interrupt_request", "{}", "{}", NULL);
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
        ask_with(f, "control", "signal_request", "{}", rows[i].content, NULL);
        struct got g = expect(f, "control", "signal_reply");
        assert_true(has(g.parts.content, rows[i].piece));
    }
    expect_reply(f, "mux", ask(f, "mux", "echo"));
}

static void test_other_requests(void **state)
{
    struct fixture *f = *state;
    ask_with(f, "control", "usage_request", "{}", "{}", NULL);
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

static void test_heartbeat_while_busy(void **state)
{
    struct fixture *f = *state;
    ask(f, "mux", "wait");
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
    struct asked a = ask(f, "mux", "wait");
    expect(f, "iopub", "status");
    ask_with(f, "control", "shutdown_request", "{}", "{\"restart\": false}", NULL);
    struct got g = expect(f, "control", "shutdown_reply");
    assert_true(has(g.parts.content, "\"restart\": false"));
    g = expect(f, "iopub", "shutdown_reply");
    assert_true(slice_is(frame_slice(&g.held->frames[1]), "engine.3.shutdown"));
    assert_true(has(g.parts.header, "\"session\": \"" UUID "\""));
    expect_reply(f, "mux", a); /* interrupted */
    assert_int_equal(wait_end(f), 0);
    assert_int_equal(count(f, "query", "unregistration_request"), 0);
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
    struct asked a = ask(f, "mux", "wait");
    expect(f, "iopub", "status");
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
    ask_with(f, "control", "interrupt_request", "{}", "{}", NULL);
    struct asked b = ask(f, "mux", "echo");
    expect_reply(f, "mux", b);
    assert_int_equal(count(f, "mux", "apply_reply"), 1); /* none for what was lost */
    (void)a;
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    tell(f, "registration_reply",
         "{\"status\": \"error\", \"ename\": \"KeyError\", \"evalue\": \"in use\"}");
    assert_int_equal(wait_end(f), ENGINE_EXIT_REFUSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--runtime") == 0)
        run_runtime();
    if (!realpath("/proc/self/exe", self))
        return 1;
    const struct CMUnitTest tests[] = {
        TEST(test_task),
        TEST(test_direct_request_is_not_begun),
        TEST(test_output_comes_before_the_reply),
        TEST(test_quiet_status),
        TEST(test_unmet),
        TEST(test_forged_and_replayed),
        TEST(test_abort),
        TEST(test_recall),
        TEST(test_recalls_of_others),
        TEST(test_error_aborts_executes_that_wait),
        TEST(test_null_abort_is_answered),
        TEST(test_clear_is_answered_at_once),
        TEST(test_signals),
        TEST(test_other_requests),
        TEST(test_heartbeat_while_busy),
        TEST(test_death_is_explained),
        TEST(test_exit_code_is_passed_on),
        TEST(test_garbage_of_the_runtime),
        TEST(test_shutdown_while_busy),
        TEST(test_exit_of_user_code),
        TEST(test_sigterm),
        TEST(test_lost_connection),
        cmocka_unit_test_setup_teardown(test_refused, setup_unregistered, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
