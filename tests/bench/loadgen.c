/* SPDX-License-Identifier: BSD-3-Clause */
/* The load generator of `make bench`: M simulated engines and N simulated clients in one
 * process, and a subscriber that counts iopub. Prints one JSON object.
 *
 *     loadgen CLIENT_FILE ENGINE_FILE --engines M --clients N --tasks T [--window W] [--iopub]
 * [--rtt] [--attach] [--hold]
 *
 * Against a controller all tasks are submitted at once (the scheduler keeps the window);
 * against the broker W tasks are outstanding per engine, 0 for all at once. --rtt: one task in
 * flight at a time, T round trips. --attach: engines like ours instead of stock ones.
 * --engines 0: none of its own, against a controller that has engines already. --hold: tells
 * when the controller has read all tasks, and stays until told to go; nobody waits for an
 * answer. Prints
 * `ready` on a line of its own and waits for a line on standard input before it starts, so that
 * whoever measures can read the clocks of the other processes. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sim.h"
#include "util/clock.h"
#include "util/map.h"
#include "wire/jscan.h"

#define CLIENTS_MAX 64
#define ENGINES_MAX 4096
#define SUBMIT_BATCH 64
#define SUBMIT_AHEAD (4u << 20) /* octets in the client's own queue before it waits */
#define SUBMIT_PAUSE_MS 1

struct run {
    struct loop *loop;
    struct wire *wire;
    struct sim_target target;
    unsigned n_engines, n_clients, window;
    bool iopub, rtt, attach, hold;
    uint64_t tasks, submitted, answered, wrong, published, announced;
    struct sim_engine *engines[ENGINES_MAX];
    struct map by_uuid;        /* value: number + 1 */
    bool reached[ENGINES_MAX]; /* broker: a probe came back */
    unsigned n_reached;
    struct session *session;
    struct port *clients[CLIENTS_MAX], *notification, *iopub_in;
    struct buf scratch;
    struct defer submit;
    struct timer pause, probe;
    bool probing, running;
    int64_t start_ns, end_ns, sent_ns;
    int64_t *trips_ns; /* rtt: one per task */
    double start_cpu;
    uint64_t start_bytes;
};

/* One more task; the broker's client names the engine by its number. */
static void submit_one(struct run *r, unsigned engine_no)
{
    const char *engine = r->target.broker ? sim_engine_uuid(r->engines[engine_no]) : NULL;
    if (sim_request(r->clients[r->submitted % r->n_clients], r->session, &r->scratch, engine)) {
        fprintf(stderr, "loadgen: could not submit\n");
        exit(1);
    }
    r->submitted++;
    r->sent_ns = clock_mono_ns();
}

/* A request that makes no sense, so it is answered at once: then all before it were read. */
static void submit_fence(struct run *r)
{
    struct outgoing o = {.msg_type = "apply_request", .metadata = SLICE_LIT("[]")};
    struct frame frames[SESSION_FRAMES];
    if (session_frames(r->session, &o, &r->scratch, frames) ||
        port_send(r->clients[0], frames, SESSION_FRAMES)) {
        fprintf(stderr, "loadgen: could not submit\n");
        exit(1);
    }
}

/* Submits as fast as the kernel takes it, a batch a turn, so that replies are read meanwhile.
 * When enough waits it looks again a little later: turning for nothing would take the processor
 * from what is measured. */
static void on_submit(struct defer *d)
{
    struct run *r = container_of(d, struct run, submit);
    unsigned i = 0;
    for (; i < SUBMIT_BATCH && r->submitted < r->tasks; i++) {
        if (port_queued_bytes(r->clients[r->submitted % r->n_clients]) > SUBMIT_AHEAD)
            break;
        submit_one(r, r->n_engines ? (unsigned)(r->submitted % r->n_engines) : 0);
    }
    if (r->submitted < r->tasks && i == 0)
        loop_after(r->loop, &r->pause, MS_TO_NS(SUBMIT_PAUSE_MS));
    else if (r->submitted < r->tasks)
        loop_defer(r->loop, d);
    else if (r->hold)
        submit_fence(r);
}

static void on_pause(struct timer *t)
{
    on_submit(&container_of(t, struct run, pause)->submit);
}

/* Number of the engine whose uuid stands in front of a reply that came by mux. */
static unsigned engine_of(struct run *r, const struct parts *parts)
{
    uintptr_t number = 0;
    if (parts->n_idents)
        number = (uintptr_t)map_get(&r->by_uuid, parts->idents[0].data, parts->idents[0].len);
    return number ? (unsigned)number - 1 : 0;
}

static void answered(struct run *r, const struct parts *parts)
{
    struct jfield status = {.key = "status"};
    if (jscan(parts->content, &status, 1) || !slice_is(status.raw, "ok"))
        r->wrong++;
    if (r->rtt)
        r->trips_ns[r->answered] = clock_mono_ns() - r->sent_ns;
    if (++r->answered == r->tasks) {
        r->end_ns = clock_mono_ns();
        loop_stop(r->loop);
    } else if ((r->rtt || (r->target.broker && r->window)) && r->submitted < r->tasks) {
        submit_one(r, r->target.broker ? engine_of(r, parts) : 0);
    }
}

static void probe_answered(struct run *r, const struct parts *parts)
{
    unsigned i = engine_of(r, parts);
    if (!r->reached[i]) {
        r->reached[i] = true;
        if (++r->n_reached == r->n_engines)
            loop_stop(r->loop);
    }
}

static void fence_answered(struct run *r, const struct parts *parts)
{
    struct jfield ename = {.key = "ename"};
    if (jscan(parts->content, &ename, 1) || !slice_is(ename.raw, "ValueError"))
        r->wrong++;
    r->end_ns = clock_mono_ns();
    loop_stop(r->loop);
}

static void on_reply(void *ctx, struct peer *p, const struct msg *m)
{
    struct run *r = ctx;
    struct parts parts;
    if (parts_split(m->frames, m->n, &parts))
        r->wrong++;
    else if (r->hold)
        fence_answered(r, &parts);
    else if (r->probing)
        probe_answered(r, &parts);
    else if (r->running)
        answered(r, &parts);
}

static void on_notification(void *ctx, struct peer *p, const struct msg *m)
{
    struct run *r = ctx;
    struct parts parts;
    struct jfield type = {.key = "msg_type"};
    if (parts_split(m->frames, m->n, &parts) || jscan(parts.header, &type, 1))
        return;
    if (slice_is(type.raw, "registration_notification") && ++r->announced == r->n_engines)
        loop_stop(r->loop);
    if (slice_is(type.raw, "unregistration_notification") && r->announced &&
        --r->announced == 0)
        loop_stop(r->loop);
}

static void on_published(void *ctx, struct peer *p, const struct msg *m)
{
    struct run *r = ctx;
    r->published++;
}

/* The broker drops what it can't route: ask until every engine has answered once. */
static void on_probe(struct timer *t)
{
    struct run *r = container_of(t, struct run, probe);
    for (unsigned i = 0; i < r->n_engines; i++)
        if (!r->reached[i])
            sim_request(r->clients[0], r->session, &r->scratch, sim_engine_uuid(r->engines[i]));
    loop_after(r->loop, t, MS_TO_NS(100));
}

static struct port *client_port(struct run *r, enum port_kind kind, const struct port_ops *ops,
                                int to)
{
    struct port *p = sim_port(r->wire, &r->target, kind, NULL, ops, r, to);
    if (kind == PORT_SUB)
        port_subscribe(p, "", 0);
    return p;
}

static void open_all(struct run *r)
{
    static const struct port_ops reply_ops = {.message = on_reply};
    static const struct port_ops notification_ops = {.message = on_notification};
    static const struct port_ops iopub_ops = {.message = on_published};

    for (unsigned i = 0; i < r->n_clients; i++)
        r->clients[i] =
            client_port(r, PORT_DEALER, &reply_ops,
                        r->target.broker ? r->target.client_mux : r->target.client_task);
    if (r->iopub)
        r->iopub_in = client_port(r, PORT_SUB, &iopub_ops, r->target.client_iopub);
    if (!r->target.broker && r->n_engines) {
        r->notification = client_port(r, PORT_SUB, &notification_ops, r->target.notification);
        while (port_peers(r->notification) == 0)
            loop_turn(r->loop, 100);
    }
    for (unsigned i = 0; i < r->n_engines; i++) {
        r->engines[i] = sim_engine_new(r->loop, r->wire, &r->target, r->iopub, r->attach);
        map_put(&r->by_uuid, sim_engine_uuid(r->engines[i]), RAND_SESSION_ID_LEN,
                (void *)(uintptr_t)(i + 1));
    }
    if (r->target.broker) {
        r->probing = true;
        r->probe.fn = on_probe;
        on_probe(&r->probe);
    }
    if (r->n_engines)
        loop_run(r->loop);
    loop_cancel(r->loop, &r->probe);
    r->probing = false;
}

/* The next run must not find engines that are no more. */
static void leave(struct run *r)
{
    if (r->target.broker || !r->n_engines)
        return;
    for (unsigned i = 0; i < r->n_engines; i++)
        sim_engine_leave(r->engines[i]);
    loop_run(r->loop);
}

static void close_all(struct run *r)
{
    map_fini(&r->by_uuid);
    for (unsigned i = 0; i < r->n_engines; i++)
        sim_engine_free(r->engines[i]);
    for (unsigned i = 0; i < r->n_clients; i++)
        port_close(r->clients[i], 0);
    if (r->notification)
        port_close(r->notification, 0);
    if (r->iopub_in)
        port_close(r->iopub_in, 0);
    wire_free(r->wire);
    loop_free(r->loop);
    session_free(r->session);
    buf_fini(&r->scratch);
    free(r->trips_ns);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* User and system time of this process so far. */
static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(struct run *r)
{
    double seconds = (double)(r->end_ns - r->start_ns) / 1e9;
    uint64_t tasks = r->hold ? r->submitted : r->answered;
    printf("{\"tasks\": %llu, \"wrong\": %llu, \"published\": %llu, \"seconds\": %.6f, "
           "\"tasks_s\": %.1f, \"generator_us\": %.3f, \"own_bytes\": %llu",
           (unsigned long long)tasks, (unsigned long long)r->wrong,
           (unsigned long long)r->published, seconds, (double)tasks / seconds,
           (cpu_seconds() - r->start_cpu) / (double)tasks * 1e6,
           (unsigned long long)(sim_requested_bytes() - r->start_bytes));
    if (r->rtt) {
        qsort(r->trips_ns, r->tasks, sizeof *r->trips_ns, by_value);
        int64_t p50 = r->trips_ns[r->tasks / 2], p99 = r->trips_ns[r->tasks * 99 / 100];
        printf(", \"p50_us\": %.1f, \"p99_us\": %.1f", (double)p50 / 1e3, (double)p99 / 1e3);
    }
    printf("}\n");
    fflush(stdout);
}

/* False: there will be no more of them. */
static bool wait_for_line(void)
{
    char line[16];
    return fgets(line, sizeof line, stdin);
}

static void measure(struct run *r)
{
    puts("ready");
    fflush(stdout);
    if (!wait_for_line())
        exit(1);
    r->submit.fn = on_submit;
    r->pause.fn = on_pause;
    list_init(&r->submit.link);
    r->running = true;
    r->start_bytes = sim_requested_bytes();
    r->start_cpu = cpu_seconds();
    r->start_ns = clock_mono_ns();
    if (r->rtt)
        submit_one(r, 0);
    else if (r->target.broker && r->window)
        for (uint64_t i = 0; i < (uint64_t)r->window * r->n_engines && i < r->tasks; i++)
            submit_one(r, (unsigned)(i % r->n_engines));
    else
        loop_defer(r->loop, &r->submit);
    loop_run(r->loop);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"engines", required_argument, NULL, 'e'},
                                            {"clients", required_argument, NULL, 'c'},
                                            {"tasks", required_argument, NULL, 't'},
                                            {"window", required_argument, NULL, 'w'},
                                            {"iopub", no_argument, NULL, 'i'},
                                            {"rtt", no_argument, NULL, 'r'},
                                            {"attach", no_argument, NULL, 'a'},
                                            {"hold", no_argument, NULL, 'h'},
                                            {0}};
    static struct run run = {.n_engines = 16, .n_clients = 1, .tasks = 1000, .window = 1};
    struct ersa_error err = {0};

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'e':
            run.n_engines = (unsigned)atoi(optarg);
            break;
        case 'c':
            run.n_clients = (unsigned)atoi(optarg);
            break;
        case 't':
            run.tasks = (uint64_t)atoll(optarg);
            break;
        case 'w':
            run.window = (unsigned)atoi(optarg);
            break;
        case 'i':
            run.iopub = true;
            break;
        case 'r':
            run.rtt = true;
            break;
        case 'a':
            run.attach = true;
            break;
        case 'h':
            run.hold = true;
            break;
        default:
            return 2;
        }
    }
    if (argc - optind != 2 || run.n_engines > ENGINES_MAX || !run.n_clients ||
        run.n_clients > CLIENTS_MAX || !run.tasks) {
        fprintf(stderr, "usage: loadgen CLIENT_FILE ENGINE_FILE [options]\n");
        return 2;
    }
    sim_target_load(&run.target, argv[optind], argv[optind + 1]);
    if (run.target.broker && !run.n_engines) {
        fprintf(stderr, "loadgen: the broker has no engines of its own\n");
        return 2;
    }
    map_init(&run.by_uuid);
    run.loop = loop_new();
    run.wire = run.loop ? wire_new(run.loop, NULL) : NULL;
    run.trips_ns = calloc(run.rtt ? run.tasks : 1, sizeof *run.trips_ns);
    buf_init(&run.scratch, 1 << 20);
    if (!run.wire || !run.trips_ns ||
        session_new(&run.session, run.target.key, strlen(run.target.key), "hmac-sha256", NULL,
                    "bench", &err)) {
        fprintf(stderr, "loadgen: %s\n", err.text[0] ? err.text : "out of memory");
        return 1;
    }
    open_all(&run);
    measure(&run);
    report(&run);
    if (run.hold)
        wait_for_line();
    leave(&run);
    close_all(&run);
    return run.wrong != 0;
}
