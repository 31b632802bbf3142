/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole engine on ports without sockets (fake_port.h) and with a runtime that is no process:
 * what a controller, clients and user code gone mad may say to it.
 *
 * The first octet: 1 without a key, 2 stock sockets, 4 without our capabilities, 8 it is up,
 * registered and its runtime is ready. Then steps, an octet each (% N_STEPS): the table. */
#include <string.h>

#include "engine/core.h"
#include "fake_port.h"
#include "fake_runtime.h"
#include "fuzz.h"
#include "util/log.h"
#include "wire/jscan.h"

#define SLOTS 8
#define FRAMES_MAX 16
#define TEXT_MAX 512
#define PIECE_MAX FAKE_PART_MAX
#define KEY "0123456789abcdef"

enum form {
    FORM_RAW = 1, /* frames as they come */
    FORM_HEADER = 2,
    FORM_METADATA = 4,
    FORM_BUFFER = 8,
    FORM_SPOILT = 16, /* a wrong signature */
};

static const char *const msg_types[] = {
    "apply_request",       "execute_request", "clear_request",       "abort_request",
    "shutdown_request",    "signal_request",  "interrupt_request",   "connect_request",
    "usage_request",       "ersa_recall",     "registration_reply",  "comm_msg",
    "kernel_info_request", "history_request", "registration_notice", "nonsense",
};
/* Channels of the one connection; "task_out" and others: identities behind stock sockets. */
static const char *const channel_names[] = {"query",   "mux", "task", "broadcast",
                                            "control", "hb",  "",     "no"};
static const char registered[] =
    "{\"status\": \"ok\", \"id\": 3, \"hb_period\": 1000, \"ersa\": {\"v\": 1, \"caps\": "
    "[\"attach\", \"ready\", \"begun\", \"quiet_status\", \"death_cause\", \"recall\"]}}";
static const char *const contents[] = {
    "{}",
    registered,
    "{\"status\": \"error\", \"ename\": \"KeyError\"}",
    "{\"msg_ids\": [\"m1\", \"m2\", \"m3\"]}",
    "{\"msg_ids\": []}",
    "{\"sig\": \"SIGUSR1\"}",
    "{\"sig\": 0}",
    "{\"code\": \"1\"}",
};
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct {
    struct input in;
    struct loop *loop;
    struct timer step;
    int64_t now_ns;
    struct session *with_key, *without, *session;
    struct connection_info conn;
    struct slot {
        struct port *port;
        struct peer *peer;
        const char *identity;
    } slots[SLOTS]; /* where the engine wants a connection */
    unsigned n_slots;
    bool is_ready;
} run;

/* What the engine sends */

static void check_message(const struct frame *frames, unsigned n)
{
    struct parts p;
    FUZZ_CHECK(parts_split(frames, n, &p) == 0 && session_verify(run.session, &p) == 0);
    FUZZ_CHECK(jscan(p.header, NULL, 0) == 0 && jscan(p.parent, NULL, 0) == 0);
    FUZZ_CHECK(jscan(p.metadata, NULL, 0) == 0 && jscan(p.content, NULL, 0) == 0);
}

static void on_heard(struct peer *p, const struct frame *frames, unsigned n)
{
    bool is_echo = n > 0 && slice_is(frame_slice(&frames[0]), "hb");
    for (unsigned i = 0; i < run.n_slots; i++)
        if (run.slots[i].peer == p)
            is_echo |= slice_is((struct slice){run.slots[i].identity, 4}, "pong");
    if (!is_echo)
        check_message(frames, n);
}

static void on_gone(struct peer *p)
{
    for (unsigned i = 0; i < run.n_slots; i++)
        if (run.slots[i].peer == p)
            run.slots[i].peer = NULL;
}

/* The ports of run.conn, by their last digit. */
static void on_connects(struct port *p, const char *endpoint)
{
    static const char *const identities[10] = {
        "attach", "hub", "mux_out", "task_out", "leaf", "ctl", "iopub", "ping", "pong", "none"};
    FUZZ_CHECK(run.n_slots < SLOTS);
    const char *identity = identities[(endpoint[strlen(endpoint) - 1] - '0') % 10];
    run.slots[run.n_slots++] = (struct slot){.port = p, .identity = identity};
}

/* Messages to it */

struct draft {
    struct frame frames[FRAMES_MAX];
    unsigned n;
    char header[TEXT_MAX], signature[SESSION_SIGNATURE_MAX];
};

static void add(struct draft *d, struct slice s)
{
    FUZZ_CHECK(d->n < FRAMES_MAX);
    d->frames[d->n++] = (struct frame){(const uint8_t *)s.data, s.len, NULL};
}

/* One of the table, or, from 0x80 on, a piece. */
static struct slice content_of(struct input *in)
{
    uint8_t which = input_octet(in);
    return which & 0x80 ? input_slice(in, PIECE_MAX)
                        : slice_of(contents[which % N_OF(contents)]);
}

static void draft_message(struct draft *d, unsigned form, struct input *in)
{
    struct slice header, metadata = SLICE_LIT("{}");
    if (form & FORM_HEADER) {
        header = input_slice(in, PIECE_MAX);
    } else {
        const char *type = msg_types[input_octet(in) % N_OF(msg_types)];
        int n = snprintf(d->header, TEXT_MAX,
                         "{\"msg_id\": \"m%u\", \"msg_type\": \"%s\", \"session\": \"c\"}",
                         input_octet(in), type);
        header = (struct slice){d->header, (size_t)n};
    }
    if (form & FORM_METADATA)
        metadata = input_slice(in, PIECE_MAX);
    struct slice content = content_of(in), parent = SLICE_LIT("{}");
    size_t len = session_sign(run.session, header, parent, metadata, content, d->signature);
    if (form & FORM_SPOILT && len)
        d->signature[0] ^= 1;
    add(d, SLICE_LIT("<IDS|MSG>"));
    add(d, (struct slice){d->signature, len});
    add(d, header);
    add(d, parent);
    add(d, metadata);
    add(d, content);
    if (form & FORM_BUFFER)
        add(d, SLICE_LIT("buffer"));
}

static struct slot *pick_slot(struct input *in)
{
    unsigned i = input_octet(in);
    return run.n_slots ? &run.slots[i % run.n_slots] : NULL;
}

/* Steps */

static void step_say(struct input *in)
{
    struct slot *s = pick_slot(in);
    struct draft d = {.n = 0};
    unsigned form = input_octet(in), channel = input_octet(in);
    if (!s || !s->peer)
        return;
    if (strcmp(s->identity, "attach") == 0)
        add(&d, slice_of(channel_names[channel % N_OF(channel_names)]));
    if (channel & 0x40 && strcmp(s->identity, "hub") != 0)
        add(&d, SLICE_LIT("client"));
    for (unsigned i = 0; form & FORM_RAW && i < 1 + channel / 8 % 8; i++)
        add(&d, input_slice(in, PIECE_MAX));
    if (!(form & FORM_RAW))
        draft_message(&d, form, in);
    fake_say(s->peer, d.frames, d.n);
}

static void connect_slot(struct slot *s)
{
    if (s && !s->peer)
        s->peer = fake_connect(s->port, slice_of(s->identity));
    if (s && s->peer)
        fake_subscribe(s->peer);
}

static void step_connect(struct input *in)
{
    connect_slot(pick_slot(in));
}

static void step_hang_up(struct input *in)
{
    const struct slot *s = pick_slot(in);
    if (s && s->peer)
        fake_hang_up(s->peer);
}

static void step_deaf(struct input *in)
{
    const struct slot *s = pick_slot(in);
    unsigned on = input_octet(in) & 1;
    if (s && s->peer)
        fake_set_deaf(s->peer, on);
}

static void step_pass(struct input *in)
{
    static const int ms[] = {0, 1, 5, 60, 300, 1500, 6000, 35000};
    run.now_ns += MS_TO_NS(ms[input_octet(in) % 8]);
}

/* A reply to m0 to m255, or parts as they come. */
static void step_runtime(struct input *in)
{
    static const uint32_t types[] = {RT_READY, RT_REPLY, RT_PUBLISH, RT_LOG,
                                     RT_EXIT,  RT_REPLY, RT_REPLY,   99};
    static const char *const statuses[] = {"ok", "error", "aborted", "none"};
    struct slice parts[FAKE_PARTS_MAX];
    uint8_t what = input_octet(in);
    uint32_t n = 0, type = types[what % 8];
    char id[8];
    if (what & 0x40) { /* well-formed */
        snprintf(id, sizeof(id), "m%u", input_octet(in));
        parts[n++] = type == RT_READY ? SLICE_LIT("{\"v\": 1}") : slice_of(id);
        if (type == RT_REPLY) {
            parts[n++] = slice_of(statuses[what >> 3 & 3]);
            parts[n++] = what & 0x20 ? SLICE_LIT("un") : SLICE_LIT("");
            parts[n++] = content_of(in);
        }
        run.is_ready |= type == RT_READY;
    } else {
        unsigned want = input_octet(in) % FAKE_PARTS_MAX;
        while (n < want)
            parts[n++] = input_slice(in, PIECE_MAX);
    }
    fake_runtime_say(type, parts, n);
}

static void step_octets(struct input *in)
{
    fake_runtime_say_octets(input_slice(in, PIECE_MAX));
}

/* Before it is ready it would go to our own. */
static void step_output(struct input *in)
{
    bool is_stderr = input_octet(in) & 1;
    struct slice s = input_slice(in, PIECE_MAX);
    if (run.is_ready)
        fake_runtime_write(is_stderr, s);
}

static void step_cut(struct input *in)
{
    fake_runtime_cut();
}

static void step_end(struct input *in)
{
    fake_runtime_end(input_octet(in) << 8);
}

static void (*const steps[])(struct input *in) = {
    step_say,     step_runtime, step_connect, step_say, step_pass,   step_hang_up,
    step_runtime, step_deaf,    step_octets,  step_cut, step_output, step_end,
};

static void on_step(struct timer *t)
{
    if (input_left(&run.in) == 0) {
        loop_stop(run.loop);
        return;
    }
    steps[input_octet(&run.in) % N_OF(steps)](&run.in);
    fake_runtime_hear();
    loop_set_clock(run.loop, run.now_ns);
    loop_after(run.loop, t, 0);
}

/* Runs */

static void on_wire(struct loop *l)
{
    run.loop = l;
    run.step.fn = on_step;
    loop_set_clock(l, run.now_ns);
    loop_after(l, &run.step, 0);
}

static void set_up(void)
{
    if (run.with_key)
        return;
    log_set_level(LOG_CRITICAL + 1);
    session_new(&run.with_key, KEY, strlen(KEY), "hmac-sha256", "hub", "me", NULL);
    session_new(&run.without, "", 0, "hmac-sha256", "hub", "me", NULL);
    FUZZ_CHECK(run.with_key && run.without && connection_info_init(&run.conn, true) == 0);
    static int leaves[] = {10004};
    run.conn.attach = 10000;
    run.conn.registration = 10001;
    run.conn.mux = 10002;
    run.conn.task = 10003;
    run.conn.broadcast_leaves = leaves;
    run.conn.n_broadcast_leaves = 1;
    run.conn.control = 10005;
    run.conn.iopub = 10006;
    run.conn.hb_ping = 10007;
    run.conn.hb_pong = 10008;
    fake_hooks = (struct fake_hooks){on_heard, on_gone, on_connects, on_wire};
}

/* What most inputs begin with, as steps. */
static const uint8_t up[] = {
    2, 0,                                               /* the first connection */
    0, 0,    0, 0, 10, 1, 1,                            /* it is registered */
    1, 0x40, 0,                                         /* the runtime is ready */
    2, 1,    2, 2, 2,  3, 2, 4, 2, 5, 2, 6, 2, 7, 4, 1, /* stock: the other connections */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *argv[] = {"runtime", NULL};
    uint8_t mode = size ? data[0] : 0, *steps_of = malloc(size + sizeof(up));
    size_t n_up = mode & 8 ? sizeof(up) : 0, n = size ? size - 1 : 0;
    set_up();
    FUZZ_CHECK(steps_of);
    memcpy(steps_of, up, n_up);
    if (n)
        memcpy(steps_of + n_up, data + 1, n);
    run.in = (struct input){steps_of, steps_of + n_up + n};
    run.session = mode & 1 ? run.without : run.with_key;
    run.now_ns = 1000000000;
    run.n_slots = 0;
    run.is_ready = false;
    run.conn.is_ersa = !(mode & 4);
    run.conn.caps = mode & 2 ? CAPS_ALL & ~CAP_attach : CAPS_ALL;
    struct engine_config cfg = {
        .conn = &run.conn,
        .interface = "tcp://127.0.0.1",
        .key = mode & 1 ? "" : KEY,
        .signature_scheme = "hmac-sha256",
        .uuid = "e0",
        .username = "me",
        .wish = mode & 16 ? 5 : -1,
        .caps = mode & 4 ? 0 : CAPS_ALL,
        .registration_timeout_ms = 10000,
        .heartbeat_misses_max = 3,
        .stop_on_error_ms = 5,
        .digest_history = 16,
        .queue_max_bytes = 4096,
        .runtime_argv = argv,
        .runtime_label = "fuzz",
    };
    int exit_code = 0;
    struct ersa_error err = {0};
    FUZZ_CHECK(engine_run(&cfg, &exit_code, &err) == 0);
    fake_runtime_close();
    free(steps_of);
    return 0;
}
