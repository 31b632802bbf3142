/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole engine in a process of its own, between a controller that is a bound ROUTER in this
 * process and a runtime that is this program again. Only tests of the engine include it. */
#ifndef ERSA_ENGINE_ENGINE_RIG_H
#define ERSA_ENGINE_ENGINE_RIG_H

#include <fcntl.h>
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
#include "engine/runtime_rig.h"
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
#define WAIT_MS 20000

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

static inline void on_up(void *ctx, struct peer *p)
{
    struct fixture *f = ctx;
    f->engine = p;
}

static inline void on_down(void *ctx, struct peer *p, enum peer_down why)
{
    struct fixture *f = ctx;
    f->engine = NULL;
}

static inline void on_message(void *ctx, struct peer *p, const struct msg *m)
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

static inline bool is_type(const struct held *h, const char *channel, const char *type,
                           struct got *ret)
{
    struct jfield f = {.key = "msg_type"};
    ret->held = (struct held *)h;
    return slice_is(frame_slice(&h->frames[0]), channel) &&
           parts_split(h->frames, h->n, &ret->parts) == 0 &&
           jscan(ret->parts.header, &f, 1) == 0 && slice_is(f.raw, type);
}

/* The next message of that kind, what comes before it is skipped. */
static inline struct got expect(struct fixture *f, const char *channel, const char *type)
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

/* Of the messages from that one on. */
static inline unsigned count_from(struct fixture *f, unsigned first, const char *channel,
                                  const char *type)
{
    struct got g;
    unsigned n = 0;
    for (unsigned i = first; i < f->n_received; i++)
        n += is_type(f->received[i], channel, type, &g);
    return n;
}

static inline unsigned count(struct fixture *f, const char *channel, const char *type)
{
    return count_from(f, 0, channel, type);
}

static inline bool has(struct slice text, const char *piece)
{
    return memmem(text.data, text.len, piece, strlen(piece));
}

static inline void send_frames(struct fixture *f, const struct frame *frames, unsigned n)
{
    assert_non_null(f->engine);
    assert_int_equal(peer_send(f->engine, frames, n), 0);
}

/* A signed message, which may be sent more than once. `channel` stands in front, but over the
 * stock sockets; then `from`, but where the controller itself speaks; `word` is its only
 * buffer, if there is one. */
struct letter {
    struct buf text;
    struct frame frames[2 + SESSION_FRAMES + 1];
    unsigned n;
};

static inline void letter_write(struct fixture *f, struct letter *l, const char *channel,
                                const char *from, const struct outgoing *o, const char *word)
{
    l->n = 0;
    buf_init(&l->text, 65536);
    if (channel)
        l->frames[l->n++] = (struct frame){(const uint8_t *)channel, strlen(channel), NULL};
    if (from)
        l->frames[l->n++] = (struct frame){(const uint8_t *)from, strlen(from), NULL};
    assert_int_equal(session_frames(f->session, o, &l->text, l->frames + l->n), 0);
    l->n += SESSION_FRAMES;
    if (word)
        l->frames[l->n++] = (struct frame){(const uint8_t *)word, strlen(word), NULL};
}

static inline void letter_send(struct fixture *f, const struct letter *l)
{
    send_frames(f, l->frames, l->n);
}

static inline void letter_fini(struct letter *l)
{
    buf_fini(&l->text);
}

static inline void post(struct fixture *f, const char *channel, const char *from,
                        const struct outgoing *o, const char *word)
{
    struct letter l;
    letter_write(f, &l, channel, from, o, word);
    letter_send(f, &l);
    letter_fini(&l);
}

struct asked {
    char id[32];
};

static inline struct asked ask_with(struct fixture *f, const char *channel, const char *type,
                                    const char *metadata, const char *content, const char *word)
{
    struct asked a;
    snprintf(a.id, sizeof(a.id), "c_1_%u", f->n_ids++);
    struct outgoing o = {.msg_type = type,
                         .msg_id = a.id,
                         .metadata = {metadata, strlen(metadata)},
                         .content = {content, strlen(content)}};
    post(f, channel, "client", &o, word);
    return a;
}

static inline struct asked ask(struct fixture *f, const char *channel, const char *word)
{
    return ask_with(f, channel, "apply_request", "{\"label\": \"l\"}", "{}", word);
}

/* For what runs until it is interrupted; it is under way when this returns. */
static inline struct asked ask_to_wait(struct fixture *f, const char *channel)
{
    struct asked a = ask(f, channel, "wait");
    struct got g;
    do
        g = expect(f, "iopub", "status"); /* not that it is starting */
    while (!has(g.parts.parent, a.id) || !has(g.parts.content, "busy"));
    return a;
}

static inline void ask_control(struct fixture *f, const char *type, const char *content)
{
    ask_with(f, "control", type, "{}", content, NULL);
}

static inline void tell(struct fixture *f, const char *type, const char *content)
{
    post(f, "query", NULL,
         &(struct outgoing){.msg_type = type, .content = {content, strlen(content)}}, NULL);
}

/* As the task scheduler does. */
static inline void recall(struct fixture *f, const char *channel, const char *content)
{
    post(f, channel, NULL,
         &(struct outgoing){.msg_type = "ersa_recall", .content = {content, strlen(content)}},
         NULL);
}

/* The request that waits at the gate is done: its answer is on its way to the engine. */
static inline void pass_gate(void)
{
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    int fd = open(gate, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    while (access(gate, F_OK) == 0 && clock_mono_ms() < deadline)
        usleep(1000);
    assert_int_equal(access(gate, F_OK), -1);
}

static inline struct got expect_reply(struct fixture *f, const char *channel, struct asked a)
{
    struct got g = expect(f, channel, "apply_reply");
    assert_true(has(g.parts.parent, a.id));
    assert_true(slice_is(frame_slice(&g.held->frames[1]), "client"));
    return g;
}

static inline int wait_end(struct fixture *f)
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

static inline void run_engine(const struct fixture *f)
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

static inline int setup_unregistered(void **state)
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

static inline int setup(void **state)
{
    setup_unregistered(state);
    struct fixture *f = *state;
    tell(f, "registration_reply", REGISTERED);
    expect(f, "query", "ersa_ready");
    return 0;
}

static inline int teardown(void **state)
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
    unlink(gate);
    free(f);
    return 0;
}

/* First in main(): this program is also the runtime. */
static inline void begin(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--runtime") == 0)
        run_runtime();
    if (!realpath("/proc/self/exe", self))
        exit(1);
    snprintf(gate, sizeof(gate), "/tmp/ersa-gate-%d", (int)getpid());
    setenv(ENV_GATE, gate, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
