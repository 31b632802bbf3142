/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of launchers, and what all launches have in common. */
#include "launch/launcher.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "launch/local.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

static const struct launcher launchers[] = {
    {"local", "Local", "LocalControllerLauncher", "LocalEngineSetLauncher", &launcher_local},
    {"mpi", "MPI", "MPIControllerLauncher", "MPIEngineSetLauncher", NULL},
    {"ssh", "SSH", "SSHControllerLauncher", "SSHEngineSetLauncher", NULL},
    {"sshproxy", "SSHProxy", NULL, "SSHProxyEngineSetLauncher", NULL},
    {"pbs", "PBS", "PBSControllerLauncher", "PBSEngineSetLauncher", NULL},
    {"sge", "SGE", "SGEControllerLauncher", "SGEEngineSetLauncher", NULL},
    {"lsf", "LSF", "LSFControllerLauncher", "LSFEngineSetLauncher", NULL},
    {"htcondor", "HTCondor", "HTCondorControllerLauncher", "HTCondorEngineSetLauncher", NULL},
    {"slurm", "Slurm", "SlurmControllerLauncher", "SlurmEngineSetLauncher", NULL},
    {"winhpc", "WindowsHPC", "WindowsHPCControllerLauncher", "WindowsHPCEngineSetLauncher",
     NULL},
    {"batch", "Batch", "BatchControllerLauncher", "BatchEngineSetLauncher", NULL},
};

static const struct launcher *find(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *cls = dot ? dot + 1 : name;
    for (size_t i = 0; i < sizeof(launchers) / sizeof(launchers[0]); i++) {
        const struct launcher *l = &launchers[i];
        if (strcasecmp(l->name, name) == 0 ||
            (l->controller_class && strcmp(l->controller_class, cls) == 0) ||
            strcmp(l->engine_class, cls) == 0)
            return l;
    }
    return NULL;
}

const struct launcher *launcher_find(const char *name, struct ersa_error *err)
{
    const struct launcher *l = find(name);
    if (!l) {
        err_set(err, ERSA_ENOENT, "no launcher is called '%.100s'; there is local", name);
        return NULL;
    }
    if (!l->ops) {
        err_set(err, ERSA_EUNSUPPORTED, "launcher '%s' is not in this version; there is local",
                l->name);
        return NULL;
    }
    return l;
}

const char *launcher_title(const char *name)
{
    const struct launcher *l = find(name);
    return l ? l->title : name;
}

int launch_new(const struct launcher *which, struct loop *loop, const struct launch_spec *spec,
               const struct launch_events *events, struct launch **ret, struct ersa_error *err)
{
    struct launch *l = NULL;
    int rc = which->ops->create(spec, &l, err);
    if (rc < 0)
        return rc;
    l->ops = which->ops;
    l->launcher = which;
    l->loop = loop;
    if (events)
        l->events = *events;
    *ret = l;
    return 0;
}

void launch_free(struct launch *l)
{
    if (l)
        l->ops->free(l);
}

char *launch_name(const struct launch *l)
{
    return str_printf("%s%s%s%s%s", l->is_controller ? "ipcontroller" : "ipengine",
                      *l->cluster_id ? "-" : "", l->cluster_id, l->set_id ? "-" : "",
                      l->set_id ? l->set_id : "");
}

int launch_init(struct launch *l, const struct launch_spec *spec)
{
    l->is_controller = !spec->set_id;
    l->profile_dir = str_dup(spec->profile_dir);
    l->log_dir = str_dup(spec->log_dir);
    l->cluster_id = str_dup(spec->cluster_id);
    l->set_id = spec->set_id ? str_dup(spec->set_id) : NULL;
    bool complete =
        l->profile_dir && l->log_dir && l->cluster_id && (l->is_controller || l->set_id);
    return complete ? 0 : ERSA_ENOMEM;
}

void launch_fini(struct launch *l)
{
    free(l->profile_dir);
    free(l->log_dir);
    free(l->cluster_id);
    free(l->set_id);
}
