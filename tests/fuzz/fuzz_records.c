/* SPDX-License-Identifier: BSD-3-Clause */
/* What the records thread is told of tasks, and the hub requests that it answers: db, result,
 * history, purge and resubmit. Its thread isn't started: mail is handed in, answers are taken
 * out of the ring.
 *
 * The first octet: 1 a store that keeps nothing, 2 one that is full, 4 contents and buffers of
 * tasks so large that they travel by reference. Then mails, an octet each (% N_TYPES), with a
 * task "t0" to "t7" and pieces of two octets of length: what the JSON parts of the message say.
 * Each request gets one answer, whose parts are JSON. */
#include <string.h>

#include "fuzz.h"
#include "records/query.h"
#include "util/err.h"
#include "util/log.h"

#define PIECE_MAX 4096
#define RING_CAP 4
#define LARGE 70000u /* over WIRE_COPY_MAX */

static struct records r;
static unsigned n_answers;
static bool is_large;
static char large_content[LARGE], large_buffer[LARGE];

static const struct {
    enum mail_type type;
    void (*take)(struct records *r, const struct mail *m);
    const char *msg_type; /* NULL: a piece of the input */
} kinds[] = {
    {MAIL_REQUEST, tasks_on_request, "apply_request"},
    {MAIL_REQUEST, tasks_on_request, NULL},
    {MAIL_ASSIGNED, tasks_on_assigned, "none"},
    {MAIL_RESULT, tasks_on_result, "apply_reply"},
    {MAIL_RESULT, tasks_on_result, NULL},
    {MAIL_ENGINE_LOST, tasks_on_engine_lost, "none"},
    {MAIL_IOPUB, output_on_iopub, "stream"},
    {MAIL_IOPUB, output_on_iopub, "execute_result"},
    {MAIL_IOPUB, output_on_iopub, NULL},
    {MAIL_QUERY, query_on_mail, "db_request"},
    {MAIL_QUERY, query_on_mail, "result_request"},
    {MAIL_QUERY, query_on_mail, "history_request"},
    {MAIL_QUERY, query_on_mail, "purge_request"},
    {MAIL_QUERY, query_on_mail, "resubmit_request"},
    {MAIL_QUERY, query_on_mail, NULL},
};
#define N_TYPES (sizeof(kinds) / sizeof(kinds[0]))

static struct frame frame_of(struct slice s)
{
    return (struct frame){(const uint8_t *)s.data, s.len, NULL};
}

/* Message type, parent, content, buffers; or a request for the scheduler. */
static void check_answer(const struct mail *m, struct slice header)
{
    const struct frame *f = m->msg->frames;
    if (m->type == MAIL_RESUBMIT) {
        FUZZ_CHECK(m->msg->n >= 2 && jscan(frame_slice(&f[0]), NULL, 0) == 0);
        FUZZ_CHECK(m->msg_id.len > 0);
        return;
    }
    struct jfield status = {.key = "status"};
    FUZZ_CHECK(m->type == MAIL_ANSWER && slice_is(m->peer, "peer") && m->msg->n >= 3);
    FUZZ_CHECK(slice_eq(frame_slice(&f[1]), header));
    FUZZ_CHECK(jscan(frame_slice(&f[2]), &status, 1) == 0);
    FUZZ_CHECK(slice_is(status.raw, "ok") || slice_is(status.raw, "error"));
    n_answers++;
}

/* Copies, so that nothing is read after the mail is gone. */
static struct mail *make_mail(unsigned kind, struct input *in, struct slice *ret_header)
{
    static const char *const engines[] = {"e0", "e1", "- e0", ""};
    static char header[PIECE_MAX];
    uint8_t task = input_octet(in);
    char id[4], parent[32];
    snprintf(id, sizeof(id), "t%u", task & 7u);
    const char *engine = engines[task >> 3 & 3];
    int len;
    if (kinds[kind].msg_type)
        len = snprintf(header, sizeof(header),
                       "{\"msg_id\": \"%s\", \"msg_type\": \"%s\", \"session\": \"c0\", "
                       "\"date\": \"2026-01-02T03:04:0%uZ\"}",
                       id, kinds[kind].msg_type, task & 7u);
    else {
        struct slice s = input_slice(in, PIECE_MAX);
        memcpy(header, s.data, s.len);
        len = (int)s.len;
    }
    snprintf(parent, sizeof(parent), "{\"msg_id\": \"%s\"}", id);
    *ret_header = (struct slice){header, (size_t)len};
    struct frame f[8] = {FRAME_LIT("<IDS|MSG>"), FRAME_LIT(""), frame_of(*ret_header),
                         frame_of((struct slice){parent, strlen(parent)})};
    f[4] = frame_of(task & 0x20 ? input_slice(in, PIECE_MAX) : SLICE_LIT("{}"));
    f[5] = frame_of(input_slice(in, PIECE_MAX));
    f[6] = FRAME_LIT("buffer");
    if (is_large && kinds[kind].type != MAIL_QUERY) {
        f[5] = frame_of((struct slice){large_content, LARGE});
        f[6] = frame_of((struct slice){large_buffer, LARGE});
    }
    f[7] = FRAME_LIT("");
    struct letter l = {.type = kinds[kind].type,
                       .queue = task & 8 ? 'm' : 't',
                       .msg_id = {id, strlen(id)},
                       .engine = {engine, strlen(engine)},
                       .peer = SLICE_LIT("peer"),
                       .frames = f,
                       .n = task & 0x80 ? 0 : 6 + (task >> 6 & 1) * 2};
    struct mail *m = mail_new(NULL, &l);
    FUZZ_CHECK(m);
    m->now_us = 1767323050000000 + task;
    return m;
}

static void take(unsigned kind, struct input *in)
{
    struct slice header;
    struct mail *m = make_mail(kind, in, &header), *answer;
    struct jfield type = {.key = "msg_type"};
    char buf[ID_MAX];
    struct slice text;
    bool is_asked = kinds[kind].type == MAIL_QUERY && m->msg && jscan(header, &type, 1) == 0 &&
                    jscan_string(&type, buf, sizeof(buf), &text) == 0;
    n_answers = 0;
    kinds[kind].take(&r, m);
    while ((answer = ring_pop(r.out))) {
        check_answer(answer, header);
        mail_free(answer);
    }
    for (size_t i = 0; i < r.n_stuck; i++) { /* what had no room in the ring */
        check_answer(r.stuck[i], header);
        mail_free(r.stuck[i]);
    }
    r.n_stuck = 0;
    loop_cancel(r.loop, &r.retry);
    FUZZ_CHECK(n_answers == is_asked);
    mail_free(m);
}

static void ignore_timer(struct timer *t)
{
}

static void start(uint8_t mode)
{
    static const struct store_limits limits = {.records = 5, .bytes = 4 * LARGE, .cull = 0.3};
    if (!r.loop) {
        log_set_level(LOG_CRITICAL + 1);
        r.loop = loop_new();
        r.in = ring_new(RING_CAP);
        r.out = ring_new(RING_CAP);
        FUZZ_CHECK(r.loop && r.in && r.out);
        buf_init(&r.text, 1 << 20);
        r.retry.fn = ignore_timer;
        memset(large_content, 'x', LARGE);
        memcpy(large_content, "{\"x\": \"", 7);
        memcpy(large_content + LARGE - 2, "\"}", 2);
    }
    seen_init(&r.seen);
    snprintf(r.own_session, sizeof(r.own_session), "own");
    r.n_resubmitted = 0;
    r.keeps = !(mode & 1);
    r.is_held = mode & 2;
    err_set(&r.why, r.is_held ? ERSA_EIO : 0, "%s", mode & 8 ? "the disk is full" : "");
    is_large = mode & 4;
    int rc = r.keeps ? store_memory_open(&r.st, &limits, NULL) : store_none_open(&r.st, NULL);
    FUZZ_CHECK(rc == 0);
}

static void finish(void)
{
    r.st->ops->close(r.st);
    seen_fini(&r.seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    start(input_octet(&in));
    while (input_left(&in))
        take(input_octet(&in) % N_TYPES, &in);
    finish();
    return 0;
}
