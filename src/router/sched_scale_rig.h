/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests: a scheduler with tasks in great numbers, and how long they take. Each scene is
 * played small and four times as large; the CPU time of the large one may be eight times as
 * much, which leaves room for caches and for a busy machine, and none for a square (sixteen).
 * Nothing is signed here: the time is the scheduler's. */
#ifndef ERSA_ROUTER_SCHED_SCALE_RIG_H
#define ERSA_ROUTER_SCHED_SCALE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "router/sched_core.h"
#include "util/buf.h"
#include "util/log.h"
#include "wire/jscan.h"

#if defined(__SANITIZE_THREAD__)
enum { LARGE = 12000 }; /* it looks for races, and there is one thread */
#elif defined(__SANITIZE_ADDRESS__)
enum { LARGE = 20000 };
#else
enum { LARGE = 100000 };
#endif

enum { GROWTH = 4, SLACK = 2, ENGINES_MAX = 1000, ID_MAX = 32 };

struct actor {
    struct sched_engine e;
    struct session *session;
    char uuid[16];
};

struct world {
    struct loop *loop;
    int64_t now_ns;
    struct session *session;
    struct sched *s;
    struct actor engines[ENGINES_MAX];
    unsigned n_engines, n;
    struct sent {
        unsigned task, engine;
    } * sent; /* owned: tasks sent and not answered, a queue */
    size_t n_sent, n_answered;
    size_t ok, error, aborted, impossible, invalid, timeout, died; /* what the client got */
    struct buf scratch, metadata;
};

/* The scheduler's two sides */

static inline unsigned number_in(struct slice json)
{
    struct jfield id = {.key = "msg_id"};
    assert_int_equal(jscan(json, &id, 1), 0);
    const char *digits = memrchr(id.raw.data, '_', id.raw.len);
    assert_non_null(digits);
    return (unsigned)strtoul(digits + 1, NULL, 10);
}

static inline void to_engine(void *ctx, struct sched_engine *e, const struct frame *frames,
                             unsigned n)
{
    struct world *w = ctx;
    struct parts p;
    assert_int_equal(parts_split(frames, n, &p), 0);
    unsigned engine = (unsigned)(container_of(e, struct actor, e) - w->engines);
    w->sent[w->n_sent++] = (struct sent){number_in(p.header), engine};
}

static inline bool mentions(struct slice text, const char *word)
{
    return memmem(text.data, text.len, word, strlen(word));
}

static inline void to_client(void *ctx, struct slice client, const struct frame *frames,
                             unsigned n, struct sched_engine *source)
{
    struct world *w = ctx;
    struct parts p;
    assert_int_equal(parts_split(frames, n, &p), 0);
    if (source)
        *(mentions(p.metadata, "\"ok\"") ? &w->ok : &w->error) += 1;
    else if (mentions(p.content, "ImpossibleDependency"))
        w->impossible++;
    else if (mentions(p.content, "InvalidDependency"))
        w->invalid++;
    else if (mentions(p.content, "TaskTimeout"))
        w->timeout++;
    else if (mentions(p.content, "EngineError"))
        w->died++;
    else if (mentions(p.content, "aborted"))
        w->aborted++;
}

static inline void on_event(void *ctx, enum sched_event ev, struct slice msg_id,
                            struct slice uuid, const struct parts *m)
{
}

static inline void on_done(void *ctx, struct sched_engine *e)
{
}

static inline struct world *world_new(unsigned n, unsigned hwm)
{
    static const struct sched_ops ops = {to_engine, to_client, on_event};
    struct sched_config cfg = {
        .scheme = "leastload", .hwm = hwm, .grace_report_ms = 200, .grace_lost_ms = 5000};
    struct world *w = calloc(1, sizeof(*w));
    struct ersa_error err = {0};
    log_set_level(LOG_CRITICAL);
    w->n = n;
    w->loop = loop_new();
    w->now_ns = 1000000000;
    loop_set_clock(w->loop, w->now_ns);
    w->sent = calloc(4 * (size_t)n + ENGINES_MAX, sizeof(*w->sent));
    buf_init(&w->scratch, 65536);
    buf_init(&w->metadata, 64 << 20);
    assert_int_equal(session_new(&w->session, "", 0, "hmac-sha256", "c", "t", &err), 0);
    assert_int_equal(sched_new(&w->s, w->loop, w->session, &cfg, &ops, w, &err), 0);
    return w;
}

static inline void pass_ms(struct world *w, int64_t ms)
{
    w->now_ns += MS_TO_NS(ms);
    loop_set_clock(w->loop, w->now_ns);
    loop_turn(w->loop, 0);
}

/* What is left to do, over several turns. */
static inline void settle(struct world *w)
{
    while (!list_is_empty(&w->s->decided))
        loop_turn(w->loop, 0);
}

static inline void world_free(struct world *w)
{
    sched_free(w->s);
    for (unsigned i = 0; i < w->n_engines; i++)
        session_free(w->engines[i].session);
    session_free(w->session);
    buf_fini(&w->scratch);
    buf_fini(&w->metadata);
    loop_free(w->loop);
    free(w->sent);
    free(w);
}

static inline void add_engines(struct world *w, unsigned n)
{
    struct ersa_error err = {0};
    for (unsigned i = 0; i < n; i++) {
        struct actor *a = &w->engines[w->n_engines++];
        snprintf(a->uuid, sizeof(a->uuid), "U%u", w->n_engines - 1);
        assert_int_equal(session_new(&a->session, "", 0, "hmac-sha256", a->uuid, "t", &err), 0);
        sched_engine_init(w->s, &a->e, (struct slice){a->uuid, strlen(a->uuid)}, false, false);
        assert_int_equal(sched_engine_add(w->s, &a->e), 0);
    }
}

/* It was given up when its heart was lost, and is there again. */
static inline void wake_engine(struct world *w, unsigned i)
{
    struct actor *a = &w->engines[i];
    sched_engine_init(w->s, &a->e, (struct slice){a->uuid, strlen(a->uuid)}, false, false);
    assert_int_equal(sched_engine_add(w->s, &a->e), 0);
}

/* Metadata that names one earlier task in place of each %u. */
static inline const char *naming(struct world *w, const char *form, unsigned task)
{
    const char *mark;
    char id[ID_MAX];
    buf_reset(&w->metadata);
    snprintf(id, sizeof(id), "s_1_%u", task);
    while ((mark = strstr(form, "%u"))) {
        buf_append(&w->metadata, form, (size_t)(mark - form));
        buf_puts(&w->metadata, id);
        form = mark + 2;
    }
    buf_puts(&w->metadata, form);
    return buf_cstr(&w->metadata);
}

/* Metadata that names tasks 0 to n - 1, or one of them n times, in place of %u. */
static inline const char *naming_all(struct world *w, const char *form, unsigned n, bool is_one)
{
    const char *mark = strstr(form, "%u");
    char id[ID_MAX];
    buf_reset(&w->metadata);
    buf_append(&w->metadata, form, (size_t)(mark - form));
    for (unsigned i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "%s\"s_1_%u\"", i ? ", " : "", is_one ? 0 : i);
        buf_puts(&w->metadata, id);
    }
    buf_puts(&w->metadata, mark + 2);
    return buf_cstr(&w->metadata);
}

static inline void submit(struct world *w, unsigned task, const char *metadata)
{
    struct frame f[SESSION_FRAMES + 1];
    char id[ID_MAX];
    snprintf(id, sizeof(id), "s_1_%u", task);
    struct outgoing o = {
        .msg_type = "apply_request", .msg_id = id, .metadata = {metadata, strlen(metadata)}};
    assert_int_equal(session_frames(w->session, &o, &w->scratch, f), 0);
    f[SESSION_FRAMES] = FRAME_LIT("work");
    struct msg m = {f, SESSION_FRAMES + 1};
    assert_int_equal(sched_submit(w->s, SLICE_LIT("C"), &m), 0);
}

static inline void submit_each(struct world *w, unsigned first, unsigned n, const char *form,
                               unsigned back)
{
    for (unsigned i = first; i < first + n; i++)
        submit(w, i, naming(w, form, back ? i - back : 0));
}

#define OK "{\"status\": \"ok\", \"dependencies_met\": true}"
#define ERROR "{\"status\": \"error\", \"dependencies_met\": true}"
#define UNMET "{\"status\": \"error\", \"dependencies_met\": false}"

/* Answers what was sent first. Returns its number. */
static inline unsigned answer(struct world *w, const char *metadata)
{
    struct frame f[1 + SESSION_FRAMES];
    char parent[64];
    assert_true(w->n_answered < w->n_sent);
    struct sent sent = w->sent[w->n_answered++];
    struct actor *a = &w->engines[sent.engine];
    int len = snprintf(parent, sizeof(parent), "{\"msg_id\": \"s_1_%u\"}", sent.task);
    struct outgoing o = {.msg_type = "apply_reply",
                         .parent = {parent, (size_t)len},
                         .metadata = {metadata, strlen(metadata)}};
    f[0] = FRAME_LIT("C");
    assert_int_equal(session_frames(a->session, &o, &w->scratch, f + 1), 0);
    struct msg m = {f, 1 + SESSION_FRAMES};
    assert_int_equal(sched_reply(w->s, &a->e, &m, NULL), 0);
    return sent.task;
}

/* Answers everything, also what is sent meanwhile. */
static inline void answer_all(struct world *w, const char *metadata)
{
    while (w->n_answered < w->n_sent) {
        answer(w, metadata);
        settle(w);
    }
}

static inline void abort_one(struct world *w, const char *id)
{
    struct slice s = {id, strlen(id)};
    sched_abort(w->s, &s, 1);
}

/* Metadata */

#define AFTER "{\"after\": [\"%u\"]}"
#define FOLLOW "{\"follow\": [\"%u\"]}"
#define BOTH "{\"after\": [\"%u\"], \"follow\": [\"%u\"]}"
#define AFTER_FAILURE \
    "{\"after\": {\"dependencies\": [\"%u\"], \"success\": false, \"failure\": true}}"
#define AFTER_END "{\"after\": {\"dependencies\": [\"%u\"], \"failure\": true}}"

static inline void make_chain(struct world *w, const char *form)
{
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, form, 1);
}

/* Measuring */

static inline int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

struct scene {
    void (*play)(struct world *w);
    unsigned hwm;
};

static inline int64_t play(const struct scene *scene, unsigned n)
{
    struct world *w = world_new(n, scene->hwm);
    int64_t start = cpu_ns();
    scene->play(w);
    int64_t took = cpu_ns() - start;
    assert_int_equal(sched_counts(w->s)->waiting, 0);
    world_free(w);
    return took;
}

/* The better of up to three tries: another program can only make it slower. */
static inline void test_is_linear(void **state)
{
    const struct scene *scene = *state;
    double best = 1e9;
    for (int try = 0; try < 3 && best > GROWTH * SLACK; try++) {
        int64_t small = play(scene, LARGE / GROWTH), large = play(scene, LARGE);
        double ratio = (double)large / (double)(small ? small : 1);
        print_message("# %u tasks %.1f ms, %u tasks %.1f ms: %.1f times\n", LARGE / GROWTH,
                      (double)small / 1e6, LARGE, (double)large / 1e6, ratio);
        best = ratio < best ? ratio : best;
    }
    assert_true(best <= GROWTH * SLACK);
}

/* The scenes of a test, a test each. */
#define SCALE_MAIN(name, SCENES)                                       \
    int main(void)                                                     \
    {                                                                  \
        static struct scene scenes[] = {SCENES(SCALE_SCENE)};          \
        static const struct CMUnitTest tests[] = {SCENES(SCALE_TEST)}; \
        return cmocka_run_group_tests_name(name, tests, NULL, NULL);   \
    }
#define SCALE_SCENE(f, hwm) {f, hwm},
#define SCALE_TEST(f, hwm) {#f, test_is_linear, NULL, NULL, &scenes[__COUNTER__]},

#endif
