/* SPDX-License-Identifier: BSD-3-Clause */
/* Dependencies in great numbers: chains, fan-out and fan-in of 100,000, in linear time whatever
 * becomes of them (schedulers.md 4, 5, 8 and 9). Each scene is played small and four times as
 * large; the CPU time of the large one may be eight times as much, which leaves room for caches
 * and for a busy machine, and none for a square (sixteen). Nothing is signed here: the time is
 * the scheduler's. */
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

#ifdef __SANITIZE_ADDRESS__
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

static unsigned number_in(struct slice json)
{
    struct jfield id = {.key = "msg_id"};
    assert_int_equal(jscan(json, &id, 1), 0);
    const char *digits = memrchr(id.raw.data, '_', id.raw.len);
    assert_non_null(digits);
    return (unsigned)strtoul(digits + 1, NULL, 10);
}

static void to_engine(void *ctx, struct sched_engine *e, const struct frame *frames, unsigned n)
{
    struct world *w = ctx;
    struct parts p;
    assert_int_equal(parts_split(frames, n, &p), 0);
    unsigned engine = (unsigned)(container_of(e, struct actor, e) - w->engines);
    w->sent[w->n_sent++] = (struct sent){number_in(p.header), engine};
}

static bool mentions(struct slice text, const char *word)
{
    return memmem(text.data, text.len, word, strlen(word));
}

static void to_client(void *ctx, struct slice client, const struct frame *frames, unsigned n,
                      struct sched_engine *source)
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

static void on_event(void *ctx, enum sched_event ev, struct slice msg_id, struct slice uuid,
                     const struct parts *m)
{
}

static void on_done(void *ctx, struct sched_engine *e)
{
}

static struct world *world_new(unsigned n, unsigned hwm)
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

static void pass_ms(struct world *w, int64_t ms)
{
    w->now_ns += MS_TO_NS(ms);
    loop_set_clock(w->loop, w->now_ns);
    loop_turn(w->loop, 0);
}

/* What is left to do, over several turns. */
static void settle(struct world *w)
{
    while (!list_is_empty(&w->s->decided))
        loop_turn(w->loop, 0);
}

static void world_free(struct world *w)
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

static void add_engines(struct world *w, unsigned n)
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

/* Metadata that names one earlier task in place of each %u. */
static const char *naming(struct world *w, const char *form, unsigned task)
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
static const char *naming_all(struct world *w, const char *form, unsigned n, bool is_one)
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

static void submit(struct world *w, unsigned task, const char *metadata)
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

static void submit_each(struct world *w, unsigned first, unsigned n, const char *form,
                        unsigned back)
{
    for (unsigned i = first; i < first + n; i++)
        submit(w, i, naming(w, form, back ? i - back : 0));
}

#define OK "{\"status\": \"ok\", \"dependencies_met\": true}"
#define ERROR "{\"status\": \"error\", \"dependencies_met\": true}"
#define UNMET "{\"status\": \"error\", \"dependencies_met\": false}"

/* Answers what was sent first. Returns its number. */
static unsigned answer(struct world *w, const char *metadata)
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
static void answer_all(struct world *w, const char *metadata)
{
    while (w->n_answered < w->n_sent) {
        answer(w, metadata);
        settle(w);
    }
}

static void abort_one(struct world *w, const char *id)
{
    struct slice s = {id, strlen(id)};
    sched_abort(w->s, &s, 1);
}

/* Scenes: each builds its world of n tasks, plays, and checks what the client got. */

#define AFTER "{\"after\": [\"%u\"]}"
#define FOLLOW "{\"follow\": [\"%u\"]}"
#define BOTH "{\"after\": [\"%u\"], \"follow\": [\"%u\"]}"
#define AFTER_FAILURE \
    "{\"after\": {\"dependencies\": [\"%u\"], \"success\": false, \"failure\": true}}"
#define AFTER_END "{\"after\": {\"dependencies\": [\"%u\"], \"failure\": true}}"

static void make_chain(struct world *w, const char *form)
{
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, form, 1);
}

static void chain_ok(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER);
    for (unsigned i = 0; i < w->n; i++)
        assert_int_equal(answer(w, OK), i);
    assert_int_equal(w->ok, w->n);
}

static void chain_follow(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, FOLLOW);
    unsigned engine = w->sent[0].engine;
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
    for (unsigned i = 0; i < w->n; i++)
        assert_int_equal(w->sent[i].engine, engine);
}

static void chain_of_failures(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER_FAILURE);
    answer_all(w, ERROR);
    assert_int_equal(w->error, w->n);
}

static void chain_of_any_ends(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER_END);
    for (unsigned i = 0; w->n_answered < w->n_sent; i++)
        answer(w, i % 2 ? OK : ERROR);
    assert_int_equal(w->error, w->n / 2);
    assert_int_equal(w->ok, w->n / 2);
}

static void chain_head_fails(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER);
    answer(w, ERROR);
    assert_in_range(w->impossible, 1, 2000); /* others are served before the rest */
    settle(w);
    assert_int_equal(w->impossible, w->n - 1);
}

static void chain_head_succeeds_where_failure_counts(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER_FAILURE);
    answer(w, OK);
    settle(w);
    assert_int_equal(w->ok, 1);
    /* 1 can't run, and counts as failed: 2 runs, and 3 can't when that went well, ... */
    answer_all(w, OK);
    assert_int_equal(w->impossible, w->n / 2);
}

static void chain_head_is_aborted(struct world *w)
{
    make_chain(w, AFTER); /* without an engine */
    abort_one(w, "s_1_0");
    settle(w);
    assert_int_equal(w->aborted, 1);
    assert_int_equal(w->impossible, w->n - 1);
}

static void chain_middle_is_aborted(struct world *w)
{
    char id[ID_MAX];
    add_engines(w, 1);
    make_chain(w, AFTER);
    snprintf(id, sizeof(id), "s_1_%u", w->n / 2);
    abort_one(w, id);
    settle(w);
    assert_int_equal(w->impossible, w->n / 2 - 1);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n / 2);
}

static void chain_head_dies_with_its_engine(struct world *w)
{
    add_engines(w, 2);
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, FOLLOW, 1);
    sched_engine_gone(w->s, &w->engines[w->sent[0].engine].e, false, NULL, on_done);
    pass_ms(w, 5001);
    settle(w);
    assert_int_equal(w->died, 1);
    assert_int_equal(w->impossible, w->n - 1);
}

static void chain_from_the_end(struct world *w)
{
    for (unsigned i = 0; i < w->n; i++)
        submit(w, i, naming(w, AFTER, i + 1));
    assert_int_equal(w->invalid, w->n);
}

static void chain_at_one_engine_a_link(struct world *w)
{
    add_engines(w, w->n / 100);
    submit(w, 0, "{}");
    for (unsigned i = 1; i < w->n; i++) {
        char form[64];
        snprintf(form, sizeof(form), "{\"after\": [\"%%u\"], \"targets\": [\"U%u\"]}",
                 i % w->n_engines);
        submit(w, i, naming(w, form, i - 1));
    }
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

static void fan_out_ok(struct world *w)
{
    add_engines(w, 4);
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, AFTER, 0);
    answer(w, OK);
    settle(w);
    for (unsigned i = 1; i < w->n; i++) /* as they came */
        assert_int_equal(answer(w, OK), i);
    assert_int_equal(w->ok, w->n);
}

static void fan_out_fails(struct world *w)
{
    add_engines(w, 4);
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, AFTER, 0);
    answer(w, ERROR);
    settle(w);
    assert_int_equal(w->impossible, w->n - 1);
}

static void fan_out_follows(struct world *w)
{
    add_engines(w, w->n / 100);
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, FOLLOW, 0);
    unsigned engine = w->sent[0].engine;
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
    for (unsigned i = 0; i < w->n; i++)
        assert_int_equal(w->sent[i].engine, engine);
}

/* They wait for their engine, which goes. */
static void fan_out_follows_a_dead_engine(struct world *w)
{
    add_engines(w, w->n / 100);
    submit(w, 0, "{}");
    submit(w, 1, "{\"targets\": [\"U0\"]}");
    unsigned engine = w->sent[0].engine;
    submit_each(w, 2, w->n - 2, FOLLOW, 0);
    char form[64];
    snprintf(form, sizeof(form), "{\"targets\": [\"U%u\"]}", engine);
    submit(w, w->n, form);
    answer(w, OK);
    sched_engine_gone(w->s, &w->engines[engine].e, true, NULL, on_done);
    pass_ms(w, 201);
    settle(w);
    assert_int_equal(w->died + w->impossible, w->n - 1);
}

static void fan_in_all(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    submit(
        w, w->n,
        naming_all(w, "{\"after\": {\"dependencies\": [%u], \"failure\": true}}", w->n, false));
    for (unsigned i = 0; i < w->n; i++)
        answer(w, i % 2 ? OK : ERROR);
    assert_int_equal(answer(w, OK), w->n);
}

static void fan_in_of_finished(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    answer_all(w, OK);
    submit(w, w->n, naming_all(w, "{\"after\": [%u]}", w->n, false));
    assert_int_equal(answer(w, OK), w->n);
    submit(w, w->n + 1,
           naming_all(
               w,
               "{\"after\": {\"dependencies\": [%u], \"success\": false, \"failure\": true}}",
               w->n, false));
    assert_int_equal(w->impossible, 1);
}

static void fan_in_with_a_failure(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    submit(w, w->n, naming_all(w, "{\"after\": [%u]}", w->n, false));
    answer(w, ERROR);
    settle(w);
    assert_int_equal(w->impossible, 1);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n - 1);
}

static void fan_in_any(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    submit(w, w->n,
           naming_all(w, "{\"after\": {\"dependencies\": [%u], \"all\": false}}", w->n, false));
    for (unsigned i = 0; i < w->n - 1; i++)
        answer(w, ERROR);
    assert_int_equal(w->n_sent, w->n);
    answer(w, OK);
    assert_int_equal(answer(w, OK), w->n);
}

/* Its engine is busy while more and more places come up. */
static void fan_in_follow_any(struct world *w)
{
    unsigned engines = w->n / 100;
    add_engines(w, engines);
    submit_each(w, 0, w->n, "{}", 0);
    submit(
        w, w->n,
        naming_all(w, "{\"follow\": {\"dependencies\": [%u], \"all\": false}}", w->n, false));
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n + 1);
}

/* Nobody has room for it, while it may run on more and more of them. */
static void fan_in_follow_any_waits(struct world *w)
{
    add_engines(w, w->n / 100);
    submit_each(w, 0, w->n, "{}", 0);
    submit(
        w, w->n,
        naming_all(w, "{\"follow\": {\"dependencies\": [%u], \"all\": false}}", w->n, false));
    submit_each(w, w->n + 1, w->n, "{}", 0);
    answer_all(w, OK);
    assert_int_equal(w->ok, 2 * w->n + 1);
}

static void fan_in_follow_all(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{\"targets\": [\"U2\"]}", 0);
    submit(w, w->n, naming_all(w, "{\"follow\": [%u]}", w->n, false));
    submit(w, w->n + 1, "{}");
    submit(w, w->n + 2, naming_all(w, "{\"follow\": [%u]}", w->n + 2, false));
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n + 2);
    assert_int_equal(w->impossible, 1); /* two engines */
}

static void fan_in_of_duplicates(struct world *w)
{
    add_engines(w, 4);
    submit(w, 0, "{}");
    submit(w, 1, naming_all(w, "{\"after\": [%u], \"follow\": \"s_1_0\"}", w->n, true));
    answer(w, OK);
    assert_int_equal(answer(w, OK), 1);
    submit(w, 2, naming_all(w, "{\"follow\": [%u]}", w->n, true));
    assert_int_equal(answer(w, ERROR), 2);
    assert_int_equal(w->sent[2].engine, w->sent[0].engine);
}

static void fan_in_with_a_stranger(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    submit(w, w->n, naming_all(w, "{\"after\": [%u, \"nobody_1_7\"]}", w->n, false));
    submit(w, w->n + 1, naming_all(w, "{\"after\": [%u]}", w->n + 2, false)); /* itself */
    assert_int_equal(w->invalid, 2);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

static void waiting_time_out(struct world *w)
{
    static const char *const forms[] = {"{\"after\": [\"%u\"], \"timeout\": 1}",
                                        "{\"after\": [\"%u\"], \"timeout\": 2}"};
    add_engines(w, 1);
    submit(w, 0, "{}");
    for (unsigned i = 1; i < w->n; i++)
        submit(w, i, naming(w, forms[i % 2], 0));
    pass_ms(w, 1001);
    settle(w);
    assert_int_equal(w->timeout, w->n / 2 - 1);
    pass_ms(w, 1001);
    settle(w);
    assert_int_equal(w->timeout, w->n - 1);
}

static void unmet_everywhere(struct world *w)
{
    add_engines(w, 3);
    submit_each(w, 0, w->n, "{}", 0);
    answer_all(w, UNMET);
    assert_int_equal(w->impossible, w->n);
    assert_int_equal(w->n_sent, 3 * w->n);
}

static void failing_everywhere(struct world *w)
{
    add_engines(w, 3);
    submit_each(w, 0, w->n, "{\"retries\": 2}", 0);
    answer_all(w, ERROR);
    assert_int_equal(w->error, w->n);
    assert_int_equal(w->n_sent, 3 * w->n);
}

/* Refused by one engine after the other. */
static void one_is_unmet_by_many(struct world *w)
{
    add_engines(w, w->n / 100);
    for (unsigned i = 0; i < 100; i++)
        submit(w, i, "{}");
    answer_all(w, UNMET);
    assert_int_equal(w->impossible, 100);
    assert_int_equal(w->n_sent, w->n);
}

static void targets_in_blocks(struct world *w)
{
    char metadata[64];
    unsigned engines = w->n / 100;
    add_engines(w, engines);
    for (unsigned i = 0; i < w->n; i++) {
        snprintf(metadata, sizeof(metadata), "{\"targets\": [\"U%u\"]}", i / 100);
        submit(w, i, metadata);
    }
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

/* One of two engines each, and the first fails it. */
static void two_targets(struct world *w)
{
    char metadata[64];
    unsigned engines = w->n / 100;
    add_engines(w, engines);
    for (unsigned i = 0; i < w->n; i++) {
        snprintf(metadata, sizeof(metadata),
                 "{\"targets\": [\"U%u\", \"U%u\"], \"retries\": 1}", i / 100,
                 engines - 1 - i / 100);
        submit(w, i, metadata);
    }
    answer_all(w, ERROR);
    assert_int_equal(w->error, w->n);
    assert_int_equal(w->n_sent, 2 * w->n);
}

static void targets_by_turns(struct world *w)
{
    char metadata[64];
    add_engines(w, w->n / 100);
    for (unsigned i = 0; i < w->n; i++) {
        snprintf(metadata, sizeof(metadata), "{\"targets\": [\"U%u\"]}", i % w->n_engines);
        submit(w, i, metadata);
    }
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

/* One engine after the other leaves, while all wait for something else. */
static void engines_leave_a_chain(struct world *w)
{
    add_engines(w, w->n / 100);
    make_chain(w, BOTH);
    unsigned engine = w->sent[0].engine;
    for (unsigned i = 0; i < w->n_engines; i++)
        if (i != engine) {
            sched_engine_gone(w->s, &w->engines[i].e, true, NULL, on_done);
            loop_turn(w->loop, 0);
        }
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

/* One engine after the other leaves, and each takes what was for it alone with it. */
static void engines_leave_their_targets(struct world *w)
{
    char metadata[64];
    add_engines(w, w->n / 100);
    for (unsigned i = 0; i < w->n; i++) {
        snprintf(metadata, sizeof(metadata), "{\"targets\": [\"U%u\"]}", i % w->n_engines);
        submit(w, i, metadata);
    }
    for (unsigned i = 0; i < w->n_engines; i++) {
        sched_engine_gone(w->s, &w->engines[i].e, true, NULL, on_done);
        loop_turn(w->loop, 0);
    }
    pass_ms(w, 201);
    settle(w);
    assert_int_equal(w->died, w->n_engines);
    assert_int_equal(w->impossible, w->n - w->n_engines);
}

/* Measuring */

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

struct scene {
    void (*play)(struct world *w);
    unsigned hwm;
};

static int64_t play(const struct scene *scene, unsigned n)
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
static void test_is_linear(void **state)
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

#define SCENES(X)                                  \
    X(chain_ok, 1)                                 \
    X(chain_follow, 1)                             \
    X(chain_of_failures, 1)                        \
    X(chain_of_any_ends, 1)                        \
    X(chain_head_fails, 1)                         \
    X(chain_head_succeeds_where_failure_counts, 1) \
    X(chain_head_is_aborted, 1)                    \
    X(chain_middle_is_aborted, 1)                  \
    X(chain_head_dies_with_its_engine, 1)          \
    X(chain_from_the_end, 1)                       \
    X(chain_at_one_engine_a_link, 1)               \
    X(fan_out_ok, 1)                               \
    X(fan_out_fails, 1)                            \
    X(fan_out_follows, 1)                          \
    X(fan_out_follows_a_dead_engine, 1)            \
    X(fan_in_all, 0)                               \
    X(fan_in_of_finished, 1)                       \
    X(fan_in_with_a_failure, 1)                    \
    X(fan_in_any, 0)                               \
    X(fan_in_follow_any, 1)                        \
    X(fan_in_follow_any_waits, 1)                  \
    X(fan_in_follow_all, 1)                        \
    X(fan_in_of_duplicates, 1)                     \
    X(fan_in_with_a_stranger, 1)                   \
    X(waiting_time_out, 1)                         \
    X(unmet_everywhere, 1)                         \
    X(failing_everywhere, 1)                       \
    X(one_is_unmet_by_many, 1)                     \
    X(targets_by_turns, 1)                         \
    X(targets_in_blocks, 1)                        \
    X(two_targets, 1)                              \
    X(engines_leave_a_chain, 1)                    \
    X(engines_leave_their_targets, 1)

int main(void)
{
    static struct scene scenes[] = {
#define X(f, hwm) {f, hwm},
        SCENES(X)
#undef X
    };
    static const struct CMUnitTest tests[] = {
#define X(f, hwm) {#f, test_is_linear, NULL, NULL, &scenes[__COUNTER__]},
        SCENES(X)
#undef X
    };
    return cmocka_run_group_tests_name("router/sched_scale", tests, NULL, NULL);
}
