/* SPDX-License-Identifier: BSD-3-Clause */
/* Dependencies, targets, retries and timeouts of tasks: the metadata of requests, and what the
 * scheduler makes of it while engines come, answer and go.
 *
 * Steps, an octet each (% N_STEPS): the table. Tasks are "t0" to "t255", engines "e0" to "e3".
 * A task that is submitted ends once, and not before what it waits for has. */
#include <string.h>

#include "fuzz.h"
#include "router/sched_task.h"
#include "util/buf.h"
#include "util/log.h"
#include "wire/jscan.h"

#define ENGINES 4
#define TASKS 256
#define LIST_MAX 8
#define TEXT_MAX 4096

struct waits { /* of a task whose metadata was made here */
    unsigned n;
    uint8_t on[LIST_MAX];
};

static struct {
    struct loop *loop;
    struct session *session;
    struct session *engine_sessions[ENGINES];
    struct sched *s;
    struct sched_engine engines[ENGINES];
    bool is_there[ENGINES], is_leaving[ENGINES];
    int64_t now_ns;
    unsigned submitted, ended;
    bool was_submitted[TASKS], has_ended[TASKS];
    struct waits waits[TASKS];
    struct buf scratch, text;
} run;

static const char *const uuids[ENGINES] = {"e0", "e1", "e2", "e3"};

/* The scheduler's other sides */

/* TASKS: none of ours. */
static unsigned task_number(struct slice id)
{
    unsigned n = 0;
    if (id.len < 2 || id.len > 4 || id.data[0] != 't')
        return TASKS;
    for (size_t i = 1; i < id.len; i++)
        n = 10 * n + (unsigned)(id.data[i] - '0');
    return n < TASKS ? n : TASKS;
}

static void on_event(void *ctx, enum sched_event ev, struct slice msg_id, struct slice uuid,
                     const struct parts *m)
{
    unsigned t = task_number(msg_id);
    FUZZ_CHECK(t < TASKS);
    if (ev == TASK_SUBMITTED) {
        FUZZ_CHECK(!run.was_submitted[t]);
        run.was_submitted[t] = true;
        run.submitted++;
    } else if (ev == TASK_ASSIGNED) {
        FUZZ_CHECK(run.was_submitted[t] && !run.has_ended[t]);
        for (unsigned i = 0; i < run.waits[t].n; i++)
            FUZZ_CHECK(run.has_ended[run.waits[t].on[i]]);
    } else {
        FUZZ_CHECK(run.was_submitted[t] && !run.has_ended[t]);
        run.has_ended[t] = true;
        run.ended++;
    }
}

static void to_engine(void *ctx, struct sched_engine *e, const struct frame *frames, unsigned n)
{
    struct parts p;
    FUZZ_CHECK(parts_split(frames, n, &p) == 0);
    FUZZ_CHECK(e >= run.engines && e < run.engines + ENGINES);
}

static void to_client(void *ctx, struct slice client, const struct frame *frames, unsigned n,
                      struct sched_engine *source)
{
    struct parts p;
    FUZZ_CHECK(slice_is(client, "C") && parts_split(frames, n, &p) == 0);
    FUZZ_CHECK(source || (jscan(p.header, NULL, 0) == 0 && jscan(p.metadata, NULL, 0) == 0 &&
                          jscan(p.content, NULL, 0) == 0));
}

static const struct sched_ops ops = {to_engine, to_client, on_event};

static void on_done(void *ctx, struct sched_engine *e)
{
    run.is_leaving[e - run.engines] = false;
}

/* Steps */

static void submit(unsigned t, struct slice metadata)
{
    struct frame f[SESSION_FRAMES];
    char id[8];
    snprintf(id, sizeof(id), "t%u", t);
    struct outgoing o = {.msg_type = "apply_request", .msg_id = id, .metadata = metadata};
    FUZZ_CHECK(session_frames(run.session, &o, &run.scratch, f) == 0);
    bool was_known = run.was_submitted[t];
    int rc = sched_submit(run.s, SLICE_LIT("C"), &(struct msg){f, SESSION_FRAMES});
    FUZZ_CHECK(rc == (was_known ? ERSA_EEXIST : 0));
}

static void step_raw(struct input *in)
{
    unsigned t = input_octet(in);
    size_t len;
    const uint8_t *data = input_piece(in, input_number(in) % TEXT_MAX, &len);
    submit(t, (struct slice){(const char *)data, len});
}

/* "after": {"dependencies": ["t1", ...], "all": true, ...}, noted when it must have ended. */
static void put_dependency(struct input *in, const char *key, struct waits *waits)
{
    uint8_t form = input_octet(in), n = input_octet(in) % LIST_MAX;
    bool all = form & 1, success = form & 2, failure = form & 4;
    const char *comma = run.text.len > 1 ? ", " : "";
    buf_printf(&run.text, form & 8 ? "%s\"%s\": [" : "%s\"%s\": {\"dependencies\": [", comma,
               key);
    for (unsigned i = 0; i < n; i++) {
        uint8_t on = input_octet(in);
        buf_printf(&run.text, "%s\"t%u\"", i ? ", " : "", on);
        if (waits && ((form & 8) || all))
            waits->on[waits->n++] = on;
    }
    buf_puts(&run.text, "]");
    if (!(form & 8))
        buf_printf(&run.text, ", \"all\": %s, \"success\": %s, \"failure\": %s}",
                   all ? "true" : "false", success ? "true" : "false",
                   failure ? "true" : "false");
}

static void put_targets(struct input *in, uint8_t targets)
{
    buf_puts(&run.text, run.text.len > 1 ? ", \"targets\": [" : "\"targets\": [");
    bool is_first = true;
    for (unsigned i = 0; i < ENGINES; i++) {
        if (!(targets >> i & 1))
            continue;
        buf_printf(&run.text, "%s\"%s\"", is_first ? "" : ", ", uuids[i]);
        is_first = false;
    }
    buf_puts(&run.text, "]");
}

static void step_submit(struct input *in)
{
    unsigned t = input_octet(in), what = input_octet(in);
    struct waits waits = {0};
    buf_reset(&run.text);
    buf_putc(&run.text, '{');
    if (what & 1)
        put_dependency(in, "after", &waits);
    if (what & 2)
        put_dependency(in, "follow", NULL);
    if (what & 4)
        put_targets(in, input_octet(in));
    const char *comma = run.text.len > 1 ? ", " : "";
    if (what & 8)
        buf_printf(&run.text, "%s\"timeout\": %u, \"retries\": %u", comma, input_octet(in) % 8u,
                   input_octet(in) % 4u);
    buf_putc(&run.text, '}');
    if (!run.was_submitted[t])
        run.waits[t] = waits;
    submit(t, (struct slice){(const char *)run.text.data, run.text.len});
}

static void step_reply(struct input *in)
{
    static const char *const outcomes[] = {
        "{\"status\": \"ok\", \"dependencies_met\": true}",
        "{\"status\": \"error\", \"dependencies_met\": true}",
        "{\"status\": \"error\", \"dependencies_met\": false}",
        "{\"status\": \"aborted\"}",
    };
    unsigned e = input_octet(in) % ENGINES, t = input_octet(in);
    struct frame f[1 + SESSION_FRAMES] = {FRAME_LIT("C")};
    char parent[32];
    int len = snprintf(parent, sizeof(parent), "{\"msg_id\": \"t%u\"}", t);
    struct outgoing o = {.msg_type = "apply_reply",
                         .parent = {parent, (size_t)len},
                         .metadata = slice_of(outcomes[input_octet(in) % 4])};
    FUZZ_CHECK(session_frames(run.engine_sessions[e], &o, &run.scratch, f + 1) == 0);
    if (run.is_there[e])
        sched_reply(run.s, &run.engines[e], &(struct msg){f, 1 + SESSION_FRAMES}, NULL);
}

static void step_come(struct input *in)
{
    unsigned e = input_octet(in) % ENGINES;
    bool tells_begun = input_octet(in) & 1;
    if (run.is_there[e] || run.is_leaving[e])
        return;
    run.is_there[e] = true;
    sched_engine_init(run.s, &run.engines[e], slice_of(uuids[e]), tells_begun, tells_begun);
    FUZZ_CHECK(sched_engine_add(run.s, &run.engines[e]) == 0);
}

static void leave(unsigned e, bool is_reported)
{
    if (!run.is_there[e])
        return;
    run.is_there[e] = false;
    run.is_leaving[e] = true;
    sched_engine_gone(run.s, &run.engines[e], is_reported, NULL, on_done);
}

static void step_leave(struct input *in)
{
    unsigned e = input_octet(in) % ENGINES;
    leave(e, input_octet(in) & 1);
}

static void pass_ms(int64_t ms)
{
    run.now_ns += MS_TO_NS(ms);
    loop_set_clock(run.loop, run.now_ns);
    FUZZ_CHECK(loop_turn(run.loop, 0) == 0);
}

static void step_pass(struct input *in)
{
    pass_ms(50 * (int64_t)input_octet(in));
}

static void step_note(struct input *in)
{
    unsigned e = input_octet(in) % ENGINES, what = input_octet(in) % 3;
    char id[8];
    snprintf(id, sizeof(id), "t%u", input_octet(in));
    struct slice s = slice_of(id);
    if (what == 0)
        sched_abort(run.s, &s, 1);
    else if (run.is_there[e] && what == 1)
        sched_begun(run.s, &run.engines[e], s);
    else if (run.is_there[e])
        sched_recalled(run.s, &run.engines[e], &s, 1);
}

static void (*const steps[])(struct input *in) = {
    step_submit, step_raw, step_reply, step_come, step_leave, step_pass, step_note, step_submit,
};
#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

/* Runs */

static void set_up(void)
{
    if (run.loop)
        return;
    log_set_level(LOG_CRITICAL + 1);
    run.loop = loop_new();
    FUZZ_CHECK(run.loop);
    FUZZ_CHECK(session_new(&run.session, "", 0, "hmac-sha256", "C", "t", NULL) == 0);
    for (unsigned i = 0; i < ENGINES; i++)
        FUZZ_CHECK(session_new(&run.engine_sessions[i], "", 0, "hmac-sha256", uuids[i], "t",
                               NULL) == 0);
    buf_init(&run.scratch, 65536);
    buf_init(&run.text, 65536);
}

static void start(uint8_t mode)
{
    struct sched_config cfg = {.scheme = "leastload",
                               .hwm = mode & 1 ? HWM_AUTO : 1,
                               .grace_report_ms = 200,
                               .grace_lost_ms = 1000};
    set_up();
    memset(run.engines, 0, sizeof(run.engines));
    memset(run.is_there, 0, sizeof(run.is_there));
    memset(run.is_leaving, 0, sizeof(run.is_leaving));
    memset(run.was_submitted, 0, sizeof(run.was_submitted));
    memset(run.has_ended, 0, sizeof(run.has_ended));
    memset(run.waits, 0, sizeof(run.waits));
    run.submitted = run.ended = 0;
    run.now_ns = 1000000000;
    loop_set_clock(run.loop, run.now_ns);
    FUZZ_CHECK(sched_new(&run.s, run.loop, run.session, &cfg, &ops, NULL, NULL) == 0);
}

static void finish(void)
{
    const struct sched_counts *c = sched_counts(run.s);
    for (unsigned e = 0; e < ENGINES; e++)
        leave(e, true);
    pass_ms(2000); /* the verdicts on what was there, */
    pass_ms(1000); /* which such a leap puts off */
    for (unsigned e = 0; e < ENGINES; e++)
        FUZZ_CHECK(!run.is_leaving[e]);
    FUZZ_CHECK(run.submitted == run.ended + c->waiting && c->sent == 0);
    FUZZ_CHECK(c->unlisted_events == 0);
    sched_free(run.s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    start(input_octet(&in));
    while (input_left(&in))
        steps[input_octet(&in) % N_STEPS](&in);
    finish();
    return 0;
}
