/* SPDX-License-Identifier: BSD-3-Clause */
/* `ipcluster list`: what runs, by looking at the processes; nothing is changed by looking. A
 * cluster of which nothing runs any more is shown as such (`ipcluster clean` removes its file).
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cluster_scan.h"
#include "cli/ipcluster.h"
#include "launch/cluster.h"
#include "util/cleanup.h"
#include "util/log.h"

struct listing {
    const struct cli *cli;
    struct cluster_refs refs;
};

static int on_profile(void *ctx, const struct profile *p)
{
    struct listing *l = ctx;
    return cluster_scan(l->cli, p, &l->refs);
}

static void print_row(const struct cluster_ref *ref, const struct cluster *c)
{
    int n = cluster_n_engines(c);
    const char *id;
    json_t *state;
    if (c->unsupported)
        json_object_foreach(c->file.engine_sets, id, state) n +=
            (int)json_integer_value(json_object_get(state, "n"));
    printf("%-16s %-32s %-7s %7d %s\n", ref->title, *ref->id ? ref->id : "''",
           cluster_has_controller(c) ? "True" : "False", n,
           launcher_title(c->file.engines_class));
}

static void list_one(struct loop *loop, const struct cluster_ref *ref, json_t *json)
{
    struct ersa_error err = {0};
    struct cluster c;
    int rc = cluster_open(&c, loop, &ref->profile, ref->id, &err);
    if (rc == 0)
        rc = cluster_load(&c, &err);
    if (rc < 0 && rc != ERSA_ENOENT)
        log_warn("Error loading cluster from file %s: %s", ref->path, err.text);
    else if (rc == 0 && json)
        json_array_append_new(json, cluster_json(&c));
    else if (rc == 0)
        print_row(ref, &c);
    cluster_close(&c);
}

int cmd_cluster_list(int argc, char **argv)
{
    struct cli cli;
    cli_start(&cli, PROG_CLUSTER_LIST, argc, argv);
    struct loop *loop = loop_new();
    struct listing l = {.cli = &cli};
    bool as_json =
        strcmp(options_text(cli.options, "IPClusterList.output_format"), "json") == 0;
    json_t *json = as_json ? json_array() : NULL;
    if (!loop || cluster_scan_profiles(&cli, true, on_profile, &l) < 0)
        cli_die(EXIT_CLUSTER_FAILED, "out of memory");
    if (!as_json)
        printf("%-16s %-32s %-7s %7s %s\n", "PROFILE", "CLUSTER ID", "RUNNING", "ENGINES",
               "LAUNCHER");
    for (size_t i = 0; i < l.refs.n; i++)
        list_one(loop, &l.refs.items[i], json);
    if (as_json)
        json_dumpf(json, stdout, 0);
    json_decref(json);
    cluster_refs_fini(&l.refs);
    loop_free(loop);
    cli_end(&cli);
    return fflush(stdout) == 0 ? EXIT_CLUSTER_OK : EXIT_CLUSTER_FAILED;
}
