/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: the programs, the classes with their bases, former names, and the nearest name to one
 * that is not known. */
#include "config/options_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/str.h"

static const struct program_def programs[] = {
    {PROG_CONTROLLER, "ipcontroller", "IPController", "ipcontroller_config",
     "Starts the controller of a cluster: hub, schedulers and task records in one process.",
     "ipcontroller --ip=192.168.0.1 --port=1000\n"
     "ipcontroller --scheme=leastload --hwm=0\n"
     "ipcontroller --profile=mycluster --nodb\n"},
    {PROG_ENGINE, "ipengine", "IPEngine", "ipengine_config",
     "Starts an engine: it registers with the controller and runs what clients send.",
     "ipengine --file=ipcontroller-engine.json\n"
     "ipengine --profile=mycluster -c 'import numpy'\n"
     "ipengine --python=/opt/science/bin/python3\n"},
    {PROG_CLUSTER_START, "ipcluster start", "IPClusterStart", "ipcluster_config",
     "Starts a cluster: a controller and engines. Options of their classes "
     "(--IPEngine.python=..., --TaskScheduler.hwm=...) are handed on to them, words behind -- "
     "to "
     "the controller.",
     "ipcluster start -n 4\n"
     "ipcluster start --profile=mycluster --daemonize\n"
     "ipcluster start -n 4 --IPEngine.python=/opt/science/bin/python3\n"
     "ipcluster start -n 4 -- --nodb\n"},
    {PROG_CLUSTER_ENGINES, "ipcluster engines", "IPClusterEngines", "ipcluster_config",
     "Starts engines for a controller that runs. Options of their class "
     "(--IPEngine.python=...) "
     "are handed on to them.",
     "ipcluster engines -n 4\n"},
    {PROG_CLUSTER_STOP, "ipcluster stop", "IPClusterStop", "ipcluster_config",
     "Stops clusters, by their ids; the one without an id when none is given.",
     "ipcluster stop\nipcluster stop --all\n"},
    {PROG_CLUSTER_LIST, "ipcluster list", "IPClusterList", "ipcluster_config",
     "Lists the clusters that run.", "ipcluster list\nipcluster list -o json\n"},
    {PROG_CLUSTER_CLEAN, "ipcluster clean", "IPClusterClean", "ipcluster_config",
     "Removes files that clusters left behind.", "ipcluster clean --all\n"},
};

const struct program_def *program_find(enum program program)
{
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        if (programs[i].program == program)
            return &programs[i];
    return NULL;
}

/* The tables */

static const struct {
    const struct option_def *rows;
    const size_t *n;
} tables[] = {
    {options_common, &n_options_common},
    {options_controller, &n_options_controller},
    {options_engine, &n_options_engine},
    {options_cluster, &n_options_cluster},
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

size_t options_n_defs(void)
{
    size_t n = 0;
    for (size_t t = 0; t < N_TABLES; t++)
        n += *tables[t].n;
    return n;
}

const struct option_def *options_def(size_t index)
{
    for (size_t t = 0; t < N_TABLES; index -= *tables[t].n, t++)
        if (index < *tables[t].n)
            return &tables[t].rows[index];
    return NULL;
}

const struct option_def *options_next_def(const struct option_def *prev)
{
    if (!prev)
        return tables[0].rows;
    for (size_t t = 0; t < N_TABLES; t++)
        if (prev >= tables[t].rows && prev < tables[t].rows + *tables[t].n) {
            if (prev + 1 < tables[t].rows + *tables[t].n)
                return prev + 1;
            return t + 1 < N_TABLES ? tables[t + 1].rows : NULL;
        }
    return NULL;
}

/* Classes */

static const struct {
    const char *name;
    const char *bases[2];
    bool is_application;
} classes[] = {
    {"Application", {0}, true},
    {"BaseIPythonApplication", {"Application"}, true},
    {"BaseParallelApplication", {"BaseIPythonApplication"}, true},
    {"IPController", {"BaseParallelApplication"}, true},
    {"IPEngine", {"BaseParallelApplication"}, true},
    {"IPClusterEngines", {"BaseParallelApplication"}, true},
    {"IPClusterStart", {"IPClusterEngines"}, true},
    {"IPClusterStop", {"BaseParallelApplication"}, true},
    {"IPClusterList", {"BaseParallelApplication"}, true},
    {"IPClusterClean", {"BaseParallelApplication"}, true},
    {"ProfileDir", {0}, false},
    {"Session", {0}, false},
    {"Ersa", {0}, false},
    {"Hub", {0}, false}, /* the reference's, where it has no options either */
    {"HeartMonitor", {0}, false},
    {"TaskScheduler", {0}, false},
    {"DictDB", {0}, false},
    {"SQLiteDB", {0}, false},
    {"MongoDB", {0}, false},
    {"Cluster", {0}, false},
    {"BaseLauncher", {0}, false},
    {"ControllerLauncher", {"BaseLauncher"}, false},
    {"EngineLauncher", {"BaseLauncher"}, false},
    {"LocalProcessLauncher", {"BaseLauncher"}, false},
    {"LocalControllerLauncher", {"LocalProcessLauncher", "ControllerLauncher"}, false},
    {"LocalEngineLauncher", {"LocalProcessLauncher", "EngineLauncher"}, false},
    {"LocalEngineSetLauncher", {"LocalEngineLauncher"}, false},
};
#define N_CLASSES (sizeof(classes) / sizeof(classes[0]))

static int class_index(const char *name)
{
    for (size_t i = 0; i < N_CLASSES; i++)
        if (strcmp(classes[i].name, name) == 0)
            return (int)i;
    return -1;
}

bool class_is_known(const char *section)
{
    return class_index(section) >= 0;
}

bool class_is_absent(const char *section)
{
    static const char *const families[] = {"MPI",   "MPIExec", "SSH",         "SSHProxy",
                                           "PBS",   "SGE",     "LSF",         "HTCondor",
                                           "Slurm", "Batch",   "BatchSystem", "WindowsHPC"};
    static const char *const kinds[] = {"Launcher", "ControllerLauncher", "EngineLauncher",
                                        "EngineSetLauncher"};
    static const char *const others[] = {
        "LogWatcher",      "IPClusterNBExtension", "WinHPCJob",      "WinHPCTask",
        "IPControllerJob", "IPControllerTask",     "IPEngineSetJob", "IPEngineTask"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(section, others[i]) == 0)
            return true;
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        size_t len = strlen(families[f]);
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
            if (strncmp(section, families[f], len) == 0 && strcmp(section + len, kinds[k]) == 0)
                return true;
    }
    return false;
}

/* Steps from `cls` up to `base`, -1 when it is none of its bases. */
static int steps_up(const char *cls, const char *base)
{
    if (strcmp(cls, base) == 0)
        return 0;
    int at = class_index(cls);
    if (at < 0)
        return -1;
    int best = -1;
    for (size_t b = 0; b < 2 && classes[at].bases[b]; b++) {
        int up = steps_up(classes[at].bases[b], base);
        if (up >= 0 && (best < 0 || up + 1 < best))
            best = up + 1;
    }
    return best;
}

bool class_distance(const char *section, const char *cls, int *ret)
{
    int at = class_index(cls);
    int derived = at >= 0 && classes[at].is_application ? steps_up(section, cls) : -1;
    if (derived >= 0) {
        *ret = derived;
        return true;
    }
    int base = steps_up(cls, section);
    *ret = -base;
    return base >= 0;
}

bool class_is_for(const char *section, enum program program)
{
    int at = class_index(section);
    if (at < 0 || !classes[at].is_application)
        return at >= 0;
    return steps_up(program_find(program)->class_name, section) >= 0;
}

/* Former names; `trait` NULL: all of the class. */
static const struct {
    const char *cls, *trait, *new_cls;
} renames[] = {
    {"IPControllerApp", NULL, "IPController"},
    {"HubFactory", NULL, "IPController"},
    {"IPEngineApp", NULL, "IPEngine"},
    {"EngineFactory", NULL, "IPEngine"},
    {"IPClusterStart", "n", "Cluster"},
    {"IPClusterStart", "delay", "Cluster"},
    {"IPClusterStart", "engine_launcher_class", "Cluster"},
    {"IPClusterStart", "controller_launcher_class", "Cluster"},
    {"IPClusterStart", "controller_ip", "Cluster"},
    {"IPClusterStart", "controller_location", "Cluster"},
    {"IPClusterEngines", "n", "Cluster"},
    {"IPClusterEngines", "engine_launcher_class", "Cluster"},
};

bool class_rename(const char **section, const char **trait)
{
    for (size_t i = 0; i < sizeof(renames) / sizeof(renames[0]); i++)
        if (strcmp(renames[i].cls, *section) == 0 &&
            (!renames[i].trait || strcmp(renames[i].trait, *trait) == 0)) {
            *section = renames[i].new_cls;
            return true;
        }
    return false;
}

/* Nearest names */

struct nearest {
    const char *to;
    size_t to_len;
    size_t best; /* distance */
    char name[64];
};

static void consider(struct nearest *n, const char *name, size_t len)
{
    char copy[64];
    if (len >= sizeof(copy) ||
        n->to_len > len + n->best) /* of a name of a megabyte, none is near */
        return;
    memcpy(copy, name, len);
    copy[len] = 0;
    size_t distance = str_distance(n->to, copy);
    /* "--prof" for "--profile": what was begun counts as near. */
    if (strncmp(copy, n->to, n->to_len) == 0 && n->to_len >= 3)
        distance = distance < 2 ? distance : 2;
    if (distance < n->best) {
        n->best = distance;
        memcpy(n->name, copy, len + 1);
    }
}

static struct nearest nearest_to(const char *name)
{
    size_t len = strlen(name), limit = len / 3 + 1;
    return (struct nearest){.to = name, .to_len = len, .best = (limit < 3 ? limit : 3) + 1};
}

const char *nearest_class(const char *section)
{
    static _Thread_local struct nearest n;
    n = nearest_to(section);
    for (size_t i = 0; i < N_CLASSES; i++)
        consider(&n, classes[i].name, strlen(classes[i].name));
    return n.name[0] ? n.name : NULL;
}

const char *nearest_trait(const char *section, const char *trait)
{
    static _Thread_local struct nearest n;
    n = nearest_to(trait);
    int distance;
    size_t count = options_n_defs();
    for (size_t i = 0; i < count; i++) {
        const struct option_def *d = options_def(i);
        if (class_distance(section, d->cls, &distance))
            consider(&n, d->trait, strlen(d->trait));
    }
    return n.name[0] ? n.name : NULL;
}

const char *nearest_row(const char *trait)
{
    static _Thread_local char name[128];
    struct nearest n = nearest_to(trait);
    name[0] = '\0';
    size_t count = options_n_defs();
    for (size_t i = 0; i < count; i++) {
        const struct option_def *d = options_def(i);
        size_t before = n.best;
        consider(&n, d->trait, strlen(d->trait));
        if (n.best < before)
            snprintf(name, sizeof(name), "%s.%s", d->cls, d->trait);
    }
    return name[0] ? name : NULL;
}

const char *nearest_switch(enum program program, const char *name)
{
    static _Thread_local struct nearest n;
    static const char *const always[] = {"help", "help-all", "version", "generate-config"};
    n = nearest_to(name);
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        consider(&n, always[i], strlen(always[i]));
    size_t count = options_n_defs();
    for (size_t i = 0; i < count; i++) {
        const struct option_def *d = options_def(i);
        if (!(d->programs & program))
            continue;
        const char *word = NULL;
        size_t len = 0;
        while (next_word(d->alias, &word, &len))
            if (len > 1)
                consider(&n, word, len);
        word = NULL;
        while (next_word(d->flags, &word, &len)) {
            const char *eq = memchr(word, '=', len);
            consider(&n, word, eq ? (size_t)(eq - word) : len);
        }
    }
    return n.name[0] ? n.name : NULL;
}
