/* SPDX-License-Identifier: BSD-3-Clause */
/* `ipcluster clean`: removes what clusters that no longer run left behind: cluster files,
 * connection files, logs. What belongs to a running cluster stays (and makes the exit code 1),
 * unless --force is given; logs that a process still writes to stay in any case. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cluster_scan.h"
#include "cli/ipcluster.h"
#include "launch/cluster.h"
#include "launch/output.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/str.h"

struct cleaning {
    const struct cli *cli;
    struct loop *loop;
    bool force;
    size_t n_running, n_failed;
};

static void remove_file(struct cleaning *k, const char *path)
{
    if (unlink(path) == 0) {
        log_debug("removed %s", path);
        return;
    }
    struct ersa_error err = {0};
    err_errno(&err, ERSA_EIO, "%s", path);
    log_error("%s", err.text);
    k->n_failed++;
}

/* A file that can't be read says nothing about running processes. */
static bool runs(struct cleaning *k, const struct cluster_ref *ref)
{
    struct ersa_error err = {0};
    struct cluster c;
    bool yes = cluster_open(&c, k->loop, &ref->profile, ref->id, &err) == 0 &&
               cluster_load(&c, &err) == 0 &&
               (cluster_n_running(&c) || cluster_has_controller(&c));
    cluster_close(&c);
    return yes;
}

/* Is it "ipcontroller[-<id>]-{client,engine}.json"? *ret_id: the id's place in it. */
static bool is_connection_file(const char *name, struct slice *ret_id)
{
    static const char *const ends[] = {"-client.json", "-engine.json"};
    size_t head = strlen("ipcontroller"), len = strlen(name);
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(ends[i]);
        if (len < head + n || strncmp(name, "ipcontroller", head) != 0 ||
            strcmp(name + len - n, ends[i]) != 0)
            continue;
        struct slice id = {name + head, len - head - n};
        if (id.len && *id.data != '-')
            continue;
        *ret_id = id.len ? (struct slice){id.data + 1, id.len - 1} : (struct slice){"", 0};
        return true;
    }
    return false;
}

static bool is_running_id(const struct cluster_refs *running, struct slice id)
{
    for (size_t i = 0; i < running->n; i++)
        if (running->items[i].id && slice_is(id, running->items[i].id))
            return true;
    return false;
}

static void clean_connection_files(struct cleaning *k, const struct profile *p,
                                   const struct cluster_refs *running)
{
    DIR *dir = opendir(p->security_dir);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        struct slice id;
        if (!is_connection_file(e->d_name, &id) || is_running_id(running, id))
            continue;
        CLEANUP(free_ptr) char *path = str_path(p->security_dir, e->d_name);
        if (path)
            remove_file(k, path);
    }
    if (dir)
        closedir(dir);
}

static int clean_profile(void *ctx, const struct profile *p)
{
    struct cleaning *k = ctx;
    struct cluster_refs refs = {0};
    log_info("Cleaning ipython cluster files in %s", p->dir);
    int rc = cluster_scan(k->cli, p, &refs);
    /* All are looked at before anything is removed. What doesn't run loses its id here. */
    for (size_t i = 0; i < refs.n; i++) {
        struct cluster_ref *ref = &refs.items[i];
        if (runs(k, ref)) {
            k->n_running++;
            log_at(k->force ? LOG_WARN : LOG_ERROR, "cluster '%s' in %s is still running%s",
                   ref->id, p->dir,
                   k->force ? "" : ": its files stay; `ipcluster stop` stops it");
            if (!k->force)
                continue;
        }
        remove_file(k, ref->path);
        free(ref->id);
        ref->id = NULL;
    }
    clean_connection_files(k, p, &refs);
    output_prune(p->log_dir, 0);
    if (!k->n_running || k->force)
        profile_clean_logs(p, "ipcluster");
    cluster_refs_fini(&refs);
    return rc;
}

int cmd_cluster_clean(int argc, char **argv)
{
    struct cli cli;
    cli_start(&cli, PROG_CLUSTER_CLEAN, argc, argv);
    struct cleaning k = {.cli = &cli, .loop = loop_new()};
    k.force = options_bool(cli.options, "IPClusterClean.force");
    bool all = options_bool(cli.options, "IPClusterClean.all_profiles");
    if (!k.loop || cluster_scan_profiles(&cli, all, clean_profile, &k) < 0)
        cli_die(EXIT_CLUSTER_FAILED, "out of memory");
    loop_free(k.loop);
    cli_end(&cli);
    return k.n_failed || (k.n_running && !k.force) ? EXIT_CLUSTER_FAILED : EXIT_CLUSTER_OK;
}
