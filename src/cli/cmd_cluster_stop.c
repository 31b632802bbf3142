/* SPDX-License-Identifier: BSD-3-Clause */
/* `ipcluster stop`: signals every process that the files of the clusters name, all at once,
 * waits until they are gone with one deadline, and until the ipcluster that watched them has
 * tidied up. What can be stopped is stopped, also where another id has no cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cluster_run.h"
#include "cli/cluster_scan.h"
#include "cli/cluster_spec.h"
#include "cli/ipcluster.h"
#include "cli/writer.h"
#include "launch/cluster.h"
#include "launch/lockfile.h"
#include "util/log.h"

#define LOCK_WAIT_S 30.0
#define OWNER_WAIT_S 10.0

struct stopping {
    const struct cli *cli;
    struct loop *loop;
    struct cluster **clusters; /* owned */
    size_t n;
    int exit_code;
};

static void fail(struct stopping *s, int code, const char *text)
{
    log_critical("%s", text);
    if (!s->exit_code)
        s->exit_code = code;
}

/* Under the lock, so that a start under way has written down what it started, and starts no
 * more when it gets the lock after us. */
static int load(struct stopping *s, struct cluster *c, const char *id, struct ersa_error *err)
{
    int rc = cluster_open(c, s->loop, &s->cli->profile, id, err);
    int fd = rc == 0 ? cluster_lock(c, LOCK_WAIT_S, err) : rc;
    if (fd < 0)
        return fd;
    rc = cluster_load(c, err);
    if (rc == 0 && !c->unsupported)
        pidfile_signal(c->pid_path, CLUSTER_STOP_SIGNAL);
    cluster_unlock(c, fd);
    return rc;
}

static void add(struct stopping *s, const char *id)
{
    struct ersa_error err = {0};
    struct cluster *c = calloc(1, sizeof(*c));
    struct cluster **more = reallocarray(s->clusters, s->n + 1, sizeof(struct cluster *));
    if (!c || !more)
        cli_die(EXIT_CLUSTER_FAILED, "out of memory");
    s->clusters = more;
    int rc = load(s, c, id, &err);
    if (rc == 0 && !c->unsupported) {
        log_info("Stopping cluster %s", id);
        s->clusters[s->n++] = c;
        return;
    }
    char text[1024];
    if (rc == ERSA_ENOENT)
        snprintf(text, sizeof(text),
                 "Could not find cluster file [Errno 2] No such file or directory: '%s'",
                 c->path);
    else if (rc < 0)
        snprintf(text, sizeof(text), "%s", err.text);
    else
        snprintf(text, sizeof(text),
                 "cluster '%s' is of launcher '%s', which is not in this version", id,
                 c->unsupported);
    fail(s, rc == ERSA_ENOENT ? EXIT_CLUSTER_NO_FILE : EXIT_CLUSTER_FAILED, text);
    cluster_close(c);
    free(c);
}

static void add_all(struct stopping *s)
{
    const struct options *o = s->cli->options;
    const struct option_list *words = options_words(o);
    for (size_t i = 0; i < words->n; i++)
        add(s, words->items[i]);
    if (!options_bool(o, "IPClusterStop.all_cluster_ids")) {
        if (!words->n)
            add(s, s->cli->cluster_id);
        return;
    }
    struct cluster_refs refs = {0};
    if (cluster_scan(s->cli, &s->cli->profile, &refs) < 0)
        cli_die(EXIT_CLUSTER_FAILED, "out of memory");
    for (size_t i = 0; i < refs.n; i++)
        add(s, refs.items[i].id);
    cluster_refs_fini(&refs);
    if (!s->n && !s->exit_code)
        log_info("No clusters to stop");
}

/* The file goes when nothing of it runs; a cluster that was started since then keeps its own.
 */
static void tidy(struct stopping *s, struct cluster *c)
{
    struct ersa_error err = {0};
    if (pidfile_wait_gone(c->pid_path, OWNER_WAIT_S, &err) < 0)
        log_warn("The ipcluster that watched the cluster has not ended: %s", err.text);
    struct cluster now = {0};
    err = (struct ersa_error){0};
    int rc = cluster_open(&now, s->loop, &s->cli->profile, c->file.cluster_id, &err);
    int fd = rc == 0 ? cluster_lock(&now, LOCK_WAIT_S, &err) : rc;
    if (fd >= 0) {
        rc = cluster_load(&now, &err);
        if (rc == 0 && !cluster_n_running(&now) && !now.unsupported)
            rc = cluster_save(&now, &err);
        writer_tidy(&s->cli->profile, c->file.cluster_id);
        cluster_unlock(&now, fd);
    }
    if (fd < 0 || (rc < 0 && rc != ERSA_ENOENT))
        fail(s, EXIT_CLUSTER_FAILED, err.text);
    if (now.path)
        cluster_close(&now);
}

int cmd_cluster_stop(int argc, char **argv)
{
    struct cli cli;
    cli_start(&cli, PROG_CLUSTER_STOP, argc, argv);
    struct stopping s = {.cli = &cli, .loop = loop_new()};
    if (!s.loop)
        cli_die(EXIT_CLUSTER_FAILED, "no descriptors left");
    struct launch_stop how = cluster_spec_stop(&cli);
    how.signo = (int)options_int(cli.options, "IPClusterStop.signal");
    cli_raise_limits();
    add_all(&s);
    if (s.n && cluster_stop_wait(s.clusters, s.n, &how) < 0)
        fail(&s, EXIT_CLUSTER_FAILED, "not all processes could be stopped");
    for (size_t i = 0; i < s.n; i++) {
        tidy(&s, s.clusters[i]);
        cluster_close(s.clusters[i]);
        free(s.clusters[i]);
    }
    free(s.clusters);
    loop_free(s.loop);
    cli_end(&cli);
    return s.exit_code;
}
