/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes of the local launcher in a cluster file, written down and taken over again
 * (launchers.md 3): those of them that still are what they were. */
#include <stdio.h>
#include <stdlib.h>

#include "launch/local_impl.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

static const char *const state_names[] = {
    [LAUNCH_BEFORE] = "before", [LAUNCH_RUNNING] = "running", [LAUNCH_AFTER] = "after"};

static json_t *save_common(const struct launch *l, enum launch_state state)
{
    return json_pack("{s:s, s:s, s:s}", "cluster_id", l->cluster_id, "profile_dir",
                     l->profile_dir, "state", state_names[state]);
}

static json_t *save_proc(const struct local_proc *p)
{
    const struct launch *l = &p->owner->base;
    json_t *state = save_common(l, p->is_running ? LAUNCH_RUNNING : LAUNCH_AFTER);
    if (!state || proc_save(&p->id, state) < 0 ||
        json_object_set_new(state, "output_file", json_string(p->output_file)) < 0 ||
        (!l->is_controller && json_object_set_new(state, "n", json_integer(1)) < 0)) {
        json_decref(state);
        return NULL;
    }
    return state;
}

json_t *local_save(const struct launch *launch)
{
    const struct local *l = container_of(launch, struct local, base);
    if (launch->is_controller && l->n_begun)
        return save_proc(&l->procs[0]);
    json_t *state = save_common(launch, launch->state);
    if (!state || launch->is_controller)
        return state;
    json_t *engines = json_object();
    json_object_set_new(state, "n", json_integer(l->n_running));
    json_object_set_new(state, "pid", json_integer(-1));
    int rc = json_object_set_new(state, "engines", engines);
    for (int i = 0; i < l->n_begun && rc == 0; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", l->procs[i].index);
        if (l->procs[i].is_running)
            rc = json_object_set_new(engines, key, save_proc(&l->procs[i]));
    }
    if (rc == 0)
        return state;
    json_decref(state);
    return NULL;
}

/* ERSA_ENOENT: it does not run. */
static int load_proc(struct local *l, int index, const json_t *state, struct ersa_error *err)
{
    struct local_proc *p = &l->procs[l->n_begun];
    *p = (struct local_proc){
        .owner = l, .index = index, .watch = {.fd = -1, .fn = local_on_pidfd}};
    if (proc_load(&p->id, state) < 0)
        return err_set(err, ERSA_EPARSE, "a launcher state without a pid");
    const char *dir = json_str(state, "profile_dir"), *id = json_str(state, "cluster_id");
    CLEANUP(close_fd) int fd = -1;
    int rc =
        proc_open(&p->id, dir ? dir : l->base.profile_dir, id ? id : l->base.cluster_id, &fd);
    if (rc < 0)
        return rc;
    const char *output = json_str(state, "output_file");
    p->output_file = str_dup(output ? output : "");
    if (!p->output_file)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    rc = loop_watch(l->base.loop, &p->watch, fd, LOOP_READ, LOOP_NORMAL);
    if (rc < 0) {
        free(p->output_file);
        return rc;
    }
    /* Recorded from now on, also where only the pid was. */
    proc_identify(p->id.pid, &p->id);
    p->watch.fd = TAKE_FD(fd);
    p->is_running = true;
    l->n_begun++;
    l->n_running++;
    return 0;
}

static int load_set(struct local *l, const json_t *engines, struct ersa_error *err)
{
    const char *key;
    json_t *state;
    json_object_foreach((json_t *)engines, key, state)
    {
        long long index = 0;
        if (str_to_i64(key, &index) < 0 || index < 0 || index > LOCAL_ENGINES_MAX)
            return err_set(err, ERSA_EPARSE, "engine '%.20s' in a launcher state", key);
        int rc = load_proc(l, (int)index, state, err);
        if (rc < 0 && rc != ERSA_ENOENT)
            return rc;
    }
    return 0;
}

int local_load(struct launch *launch, const json_t *state, struct ersa_error *err)
{
    struct local *l = container_of(launch, struct local, base);
    const json_t *engines = json_object_get(state, "engines");
    if (!json_is_object(state) || (!launch->is_controller && !json_is_object(engines)))
        return err_set(err, ERSA_EPARSE, "not the state of a local launcher");
    size_t n = launch->is_controller ? 1 : json_object_size(engines);
    l->procs = calloc(n ? n : 1, sizeof(*l->procs));
    if (!l->procs)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    l->n = (int)n;
    int rc = launch->is_controller ? load_proc(l, 0, state, err) : load_set(l, engines, err);
    launch->state = l->n_running ? LAUNCH_RUNNING : LAUNCH_AFTER;
    return rc == ERSA_ENOENT ? 0 : rc;
}
