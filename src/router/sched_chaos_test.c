/* SPDX-License-Identifier: BSD-3-Clause */
/* Random but repeatable days: tasks on all terms, engines that fail, die, come back and answer
 * late, aborts, tasks called back. Whatever happens, each request is answered exactly once and
 * nothing is left over. */
#include "router/sched_rig.h"
#include "router/task.h"

enum { TASKS = 300, DAYS = 90 };

struct day {
    struct rig *r;
    uint64_t random;
    unsigned submitted;
    int answers[TASKS];
    bool is_up[RIG_ENGINES];
    struct {
        int engine;
        bool begun;
        char id[64];
    } running[TASKS * RIG_ENGINES];
    unsigned n_running;
    char asked[RIG_ENGINES][2 * RIG_TEXT]; /* the content of a recall, or nothing */
};

static unsigned roll(struct day *d, unsigned n)
{
    d->random = d->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(d->random >> 33) % n;
}

static void id_of(unsigned n, char out[64])
{
    snprintf(out, 64, "s_1_%u", n);
}

static void submit(struct day *d)
{
    char id[64], metadata[200];
    if (d->submitted == TASKS)
        return;
    unsigned before = d->submitted ? roll(d, d->submitted) : 0;
    static const char *const forms[] = {
        "{}",
        "{\"retries\": 1}",
        "{\"targets\": [\"U0\", \"U2\"]}",
        "{\"targets\": [\"U1\"]}",
        "{\"timeout\": 0.05}",
        "{\"after\": [\"s_1_%u\"]}",
        "{\"after\": {\"dependencies\": [\"s_1_%u\"], \"failure\": true}, \"timeout\": 3}",
        "{\"follow\": [\"s_1_%u\"]}",
        "{\"follow\": {\"dependencies\": [\"s_1_%u\"], \"all\": false}, \"retries\": 2}",
    };
    const char *form = forms[roll(d, sizeof(forms) / sizeof(forms[0]))];
    const char *mark = strstr(form, "%u");
    if (mark)
        snprintf(metadata, sizeof(metadata), "%.*s%u%s", (int)(mark - form), form, before,
                 mark + 2);
    else
        snprintf(metadata, sizeof(metadata), "%s", form);
    id_of(d->submitted++, id);
    rig_submit_from(d->r, roll(d, 2) ? "C1" : "C2", id, metadata);
}

/* Takes in what the scheduler has said. */
static void read_notes(struct day *d)
{
    struct rig_note *n;
    while ((n = rig_next(d->r))) {
        if (n->kind == TO_CLIENT) {
            d->answers[atoi(n->id + 4)]++;
        } else if (strcmp(n->type, "ersa_recall") == 0) {
            memcpy(d->asked[n->engine], n->content, sizeof(n->content));
        } else {
            d->running[d->n_running].engine = n->engine;
            d->running[d->n_running].begun = false;
            memcpy(d->running[d->n_running++].id, n->id, sizeof(n->id));
        }
    }
}

/* Engines that were asked give back what they have not begun. */
static void give_back(struct day *d)
{
    for (int e = 0; e < RIG_ENGINES; e++) {
        char ids[64][64], quoted[80];
        struct slice list[64];
        unsigned n = 0;
        if (!*d->asked[e])
            continue;
        for (unsigned i = 0; i < d->n_running && n < 64;) {
            snprintf(quoted, sizeof(quoted), "\"%s\"", d->running[i].id);
            if (d->running[i].engine != e || d->running[i].begun ||
                !strstr(d->asked[e], quoted)) {
                i++;
                continue;
            }
            memcpy(ids[n], d->running[i].id, sizeof(ids[n]));
            list[n] = (struct slice){ids[n], strlen(ids[n])};
            n++;
            d->running[i] = d->running[--d->n_running];
        }
        *d->asked[e] = '\0';
        sched_recalled(d->r->s, &d->r->engines[e].e, list, n);
    }
}

/* One that runs answers, also where the engine is thought dead. */
static void answer(struct day *d)
{
    static const char *const outcomes[] = {RIG_OK, RIG_OK, RIG_ERROR, RIG_UNMET};
    if (!d->n_running)
        return;
    unsigned i = roll(d, d->n_running);
    int engine = d->running[i].engine;
    char id[64];
    memcpy(id, d->running[i].id, sizeof(id));
    d->running[i] = d->running[--d->n_running];
    if (engine < 0 || !d->r->engines[engine].e.sched)
        return;
    const char *outcome = outcomes[roll(d, 4)];
    if (d->r->engines[engine].done)
        rig_reply_of_nobody(d->r, engine, id, outcome);
    else
        rig_reply(d->r, engine, id, outcome);
}

static void begin(struct day *d)
{
    if (!d->n_running)
        return;
    unsigned i = roll(d, d->n_running);
    d->running[i].begun = true;
    rig_begun(d->r, d->running[i].engine, d->running[i].id);
}

static void come_or_go(struct day *d)
{
    int i = (int)roll(d, RIG_ENGINES);
    struct rig_engine *e = &d->r->engines[i];
    *d->asked[i] = '\0';
    if (d->is_up[i]) {
        d->is_up[i] = false;
        e->done = 0;
        rig_gone(d->r, i, roll(d, 2), "a reason");
    } else if (!e->e.sched || e->done) {
        d->is_up[i] = true;
        e->done = 0;
        (roll(d, 3) ? rig_add : rig_add_stock)(d->r, i);
    }
}

/* Direct work comes and is done, also at engines that are gone. */
static void take(struct day *d)
{
    struct sched_engine *e = &d->r->engines[roll(d, RIG_ENGINES)].e;
    if (e->sched)
        sched_engine_taken(e, !e->is_taken);
}

static void abort_one(struct day *d)
{
    char id[64];
    if (!d->submitted)
        return;
    unsigned newest = d->submitted < 40 ? d->submitted : 40;
    id_of(d->submitted - 1 - roll(d, newest), id);
    struct slice s = {id, strlen(id)};
    sched_abort(d->r->s, &s, 1);
}

/* Until nothing is open: engines stay, answer, and at last vanish. */
static void finish(struct day *d)
{
    for (int round = 0; round < 2000 && (d->n_running || d->submitted < TASKS); round++) {
        submit(d);
        answer(d);
        give_back(d);
        read_notes(d);
        rig_pass_ms(d->r, 10);
    }
    for (int i = 0; i < RIG_ENGINES; i++)
        if (d->is_up[i])
            rig_gone(d->r, i, true, NULL);
    for (int i = 0; i < 200; i++) {
        rig_pass_ms(d->r, 100);
        read_notes(d);
    }
    for (unsigned i = 0; i < TASKS; i++) { /* what waits for an engine that never comes */
        char id[64];
        id_of(i, id);
        struct slice s = {id, strlen(id)};
        sched_abort(d->r->s, &s, 1);
        read_notes(d);
    }
}

static void test_days(void **state)
{
    static const struct {
        void (*act)(struct day *d);
        unsigned weight;
    } acts[] = {{submit, 32},   {answer, 24},   {begin, 10}, {come_or_go, 4},
                {abort_one, 2}, {give_back, 4}, {take, 4}};
    static const char *const schemes[] = {"leastload", "lru",      "plainrandom",
                                          "twobin",    "weighted", "pure"};
    for (unsigned day = 0; day < DAYS; day++) {
        struct sched_config cfg = {.scheme = schemes[day / 5 % 6],
                                   .hwm = day % 5 == 4 ? HWM_AUTO : day % 5,
                                   .grace_report_ms = 200,
                                   .grace_lost_ms = 5000};
        struct day *d = calloc(1, sizeof(*d));
        d->r = rig_new(&cfg);
        d->random = day;
        for (int step = 0; step < 1500; step++) {
            unsigned at = roll(d, 80), i = 0;
            while (at >= acts[i].weight)
                at -= acts[i++].weight;
            acts[i].act(d);
            read_notes(d);
            if (roll(d, 5) == 0)
                rig_pass_ms(d->r, roll(d, 40));
        }
        finish(d);
        assert_true(d->r->n < RIG_NOTES - 1);
        assert_int_equal(d->submitted, TASKS);
        for (unsigned i = 0; i < TASKS; i++)
            if (d->answers[i] != 1)
                fail_msg("day %u: task %u was answered %d times", day, i, d->answers[i]);
        const struct sched_counts *c = sched_counts(d->r->s);
        assert_int_equal(c->waiting, 0);
        assert_int_equal(c->sent, 0);
        assert_int_equal(c->done + c->failed + c->aborted, TASKS);
        assert_int_equal(c->unlisted_events, 0);
        rig_free(d->r);
        free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_days)};
    return cmocka_run_group_tests_name("router/sched_chaos", tests, NULL, NULL);
}
