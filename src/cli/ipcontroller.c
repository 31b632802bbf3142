/* SPDX-License-Identifier: BSD-3-Clause */
/* ipcontroller: hub, schedulers, heart monitor and task records in one process. This file
 * starts the router (this thread), the records thread and the web thread, hands each its rings,
 * publishes the connection files, and takes everything down again in the reverse order. */
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/controller_metrics.h"
#include "cli/controller_setup.h"
#include "loop/loop.h"
#include "loop/ring.h"
#include "loop/signals.h"
#include "records/records.h"
#include "util/block.h"
#include "util/log.h"

#define TO_RECORDS 32768
#define ASIDE 1024
#define FROM_RECORDS 1024
#define LINGER_MS 1000
#define POOL_KEEP_BYTES ((size_t)64 << 20)

struct controller {
    struct cli cli;
    struct controller_setup setup;
    struct loop *loop;
    struct signals signals;
    struct session *session;
    struct ring *to_records, *aside, *from_records;
    struct records *records;
    struct router *router;
    struct controller_metrics metrics;
    struct block_pool *pool; /* outlives both threads' messages */
    bool is_stopping, hangup_ends;
};

/* The first signal stops in order, the second at once. */
static void on_signal(void *ctx, int signo)
{
    struct controller *c = ctx;
    if (signo == SIGUSR1 || signo == SIGUSR2) {
        log_info("Ignoring signal %d", signo);
        return;
    }
    if (signo == SIGHUP && !c->hangup_ends) {
        log_reopen();
        return;
    }
    log_critical("Received signal %d, %s", signo,
                 c->is_stopping ? "stopping at once" : "shutting down");
    if (c->is_stopping)
        loop_stop(c->loop);
    else
        router_stop(c->router, LINGER_MS);
    c->is_stopping = true;
}

static int start_records(struct controller *c, struct ersa_error *err)
{
    struct store *store;
    c->to_records = ring_new(TO_RECORDS);
    c->aside = ring_new(ASIDE);
    c->from_records = ring_new(FROM_RECORDS);
    if (!c->to_records || !c->aside || !c->from_records)
        return ERSA_ENOMEM;
    int rc = controller_store(&store, &c->cli, c->session, err);
    return rc < 0 ? rc
                  : records_start(
                        &c->records, store,
                        &(struct records_rings){c->to_records, c->aside, c->from_records},
                        c->metrics.records, err);
}

/* Who keeps the only processor busy keeps away those it waits for. */
static bool has_processors_to_spare(void)
{
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) > 1;
}

static int start(struct controller *c, struct ersa_error *err)
{
    static const int signos[] = {SIGINT, SIGTERM, SIGABRT, SIGHUP, SIGUSR1, SIGUSR2, 0};
    c->loop = loop_new();
    if (!c->loop)
        return ERSA_ENOMEM;
    if (has_processors_to_spare())
        loop_set_busy_poll(c->loop,
                           1000 * options_int(c->cli.options, "IPController.busy_poll_us"));
    c->hangup_ends = signals_hangup_ends();
    int rc = signals_open(&c->signals, c->loop, signos, on_signal, c);
    if (rc == 0)
        rc = controller_setup(&c->setup, &c->cli, err);
    if (rc == 0)
        rc = controller_claim(&c->setup, &c->cli, err);
    if (rc == 0)
        rc = controller_state(&c->setup, &c->cli, err);
    if (rc == 0)
        rc = controller_session(&c->session, &c->setup, &c->cli, err);
    controller_metrics_open(&c->metrics, &c->cli);
    if (rc == 0)
        rc = start_records(c, err);
    c->setup.router.aside = c->aside;
    c->setup.router.stats = c->metrics.router;
    c->setup.router.pool = c->pool = block_pool_new(POOL_KEEP_BYTES, false);
    if (rc == 0 && !c->pool)
        rc = ERSA_ENOMEM;
    if (rc == 0)
        rc = router_new(&c->router, c->loop, c->session, c->to_records, c->from_records,
                        &c->setup.router, err);
    return rc;
}

static int publish(struct controller *c, struct ersa_error *err)
{
    struct router_endpoints ends;
    router_endpoints(c->router, &ends);
    log_info("Hub listening on %s:%d for registration.", c->setup.engine.interface,
             ends.registration);
    log_info("hub::created hub");
    controller_metrics_start(&c->metrics, &c->setup, &c->cli);
    int rc = controller_publish(&c->setup, c->router, err);
    if (rc < 0)
        return rc;
    unsigned long attached, stock;
    router_capacity(&attached, &stock);
    log_info("room for %lu engines, or %lu of the eight connections each", attached, stock);
    if (strcmp(c->setup.router.sched.scheme, "none") == 0)
        log_info("Using no task scheduler: tasks of load-balanced views are refused");
    else
        log_info("Task scheduler started [%s]", c->setup.router.sched.scheme);
    return 0;
}

static void end(struct controller *c)
{
    controller_metrics_stop(&c->metrics);
    router_free(c->router);
    if (c->records)
        records_stop(c->records);
    controller_metrics_end(&c->metrics);
    for (struct mail *m; c->from_records && (m = ring_pop(c->from_records));)
        mail_free(m);
    block_pool_free(c->pool);
    controller_setup_end(&c->setup);
    if (c->to_records)
        ring_free(c->to_records);
    if (c->aside)
        ring_free(c->aside);
    if (c->from_records)
        ring_free(c->from_records);
    session_free(c->session);
    if (c->loop) {
        if (c->signals.loop)
            signals_close(&c->signals);
        loop_free(c->loop);
    }
    cli_end(&c->cli);
}

int main(int argc, char **argv)
{
    struct controller c = {.setup = {.pid_fd = -1}};
    struct ersa_error err = {0};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is a full disk */
    mallopt(M_ARENA_MAX, 2);
    cli_start(&c.cli, PROG_CONTROLLER, argc, argv);
    cli_raise_limits();
    int rc = start(&c, &err);
    if (rc == 0)
        rc = publish(&c, &err);
    if (rc == 0)
        rc = loop_run(c.loop);
    if (rc < 0)
        log_critical("%s", err.text[0] ? err.text : ersa_strerror(rc));
    end(&c);
    return rc < 0 ? 1 : 0;
}
