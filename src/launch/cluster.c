/* SPDX-License-Identifier: BSD-3-Clause */
/* A cluster and its file; see cluster.h. */
#include "launch/cluster.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "launch/lockfile.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

int cluster_open(struct cluster *c, struct loop *l, const struct profile *p,
                 const char *cluster_id, struct ersa_error *err)
{
    *c = (struct cluster){.loop = l};
    list_init(&c->sets);
    c->path = cluster_file_path(p->security_dir, cluster_id);
    c->lock_path = c->path ? str_printf("%s.lock", c->path) : NULL;
    c->pid_path = profile_file(p->pid_dir, "ipcluster", cluster_id, ".pid");
    c->log_dir = str_dup(p->log_dir);
    if (cluster_file_init(&c->file, p->dir, cluster_id) < 0 || !c->lock_path || !c->pid_path ||
        !c->log_dir)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    return 0;
}

void cluster_close(struct cluster *c)
{
    launch_free(c->controller);
    for (struct list *it; c->sets.next && (it = list_pop_front(&c->sets));) {
        struct cluster_set *set = container_of(it, struct cluster_set, link);
        launch_free(set->launch);
        free(set->id);
        free(set);
    }
    cluster_file_fini(&c->file);
    free(c->path);
    free(c->lock_path);
    free(c->pid_path);
    free(c->log_dir);
    free(c->unsupported);
    *c = (struct cluster){0};
}

static struct cluster_set *find_set(const struct cluster *c, const char *id)
{
    list_for_each (&c->sets, it) {
        struct cluster_set *set = container_of(it, struct cluster_set, link);
        if (strcmp(set->id, id) == 0)
            return set;
    }
    return NULL;
}

int cluster_add_set(struct cluster *c, const char *id, struct launch *launch)
{
    struct cluster_set *set = calloc(1, sizeof(*set));
    char *copy = str_dup(id);
    if (!set || !copy) {
        free(set);
        free(copy);
        return ERSA_ENOMEM;
    }
    set->id = copy;
    set->launch = launch;
    list_push_back(&c->sets, &set->link);
    return 0;
}

char *cluster_new_set_id(const struct cluster *c)
{
    struct cluster_file disk;
    bool has_disk = cluster_file_read(c->path, &disk, NULL) == 0;
    long long now = (long long)time(NULL);
    char *id = str_printf("%lld", now);
    for (int i = 1;
         id && (find_set(c, id) || (has_disk && json_object_get(disk.engine_sets, id))); i++) {
        free(id);
        id = str_printf("%lld-%d", now, i);
    }
    if (has_disk)
        cluster_file_fini(&disk);
    return id;
}

/* Reading */

/* One part of the file; *ret stays NULL when it doesn't run, or can't be handled here. */
static int load_launch(struct cluster *c, const char *class_name, const char *set_id,
                       const json_t *state, struct launch **ret, struct ersa_error *err)
{
    const struct launcher *which = launcher_find(class_name, NULL);
    if (!which) {
        if (!c->unsupported)
            c->unsupported = str_dup(class_name);
        return c->unsupported ? 0 : ERSA_ENOMEM;
    }
    struct launch_spec spec = {.profile_dir = c->file.profile_dir,
                               .log_dir = c->log_dir,
                               .cluster_id = c->file.cluster_id,
                               .set_id = set_id};
    struct launch *l = NULL;
    int rc = launch_new(which, c->loop, &spec, &c->events, &l, err);
    if (rc == 0)
        rc = l->ops->load(l, state, err);
    if (rc == 0 && l->state == LAUNCH_RUNNING)
        *ret = TAKE_PTR(l);
    launch_free(l);
    return rc;
}

static int load_parts(struct cluster *c, const struct cluster_file *f, struct ersa_error *err)
{
    int rc = 0;
    if (f->controller_state && !c->controller)
        rc =
            load_launch(c, f->controller_class, NULL, f->controller_state, &c->controller, err);
    const char *id;
    json_t *state;
    json_object_foreach(f->engine_sets, id, state)
    {
        struct launch *l = NULL;
        if (rc < 0 || find_set(c, id))
            continue;
        rc = load_launch(c, f->engines_class, id, state, &l, err);
        if (l && (rc = cluster_add_set(c, id, l)) < 0)
            launch_free(l);
    }
    return rc;
}

int cluster_load(struct cluster *c, struct ersa_error *err)
{
    struct cluster_file f;
    int rc = cluster_file_read(c->path, &f, err);
    if (rc < 0)
        return rc;
    c->is_loaded = true;
    free(c->unsupported);
    c->unsupported = NULL;
    rc = load_parts(c, &f, err);
    cluster_file_fini(&c->file);
    c->file = f;
    return rc;
}

/* Writing */

int cluster_lock(struct cluster *c, double timeout_s, struct ersa_error *err)
{
    return lockfile_take(c->lock_path, timeout_s, err);
}

void cluster_unlock(struct cluster *c, int fd)
{
    lockfile_drop(c->lock_path, fd);
}

static bool is_running(const struct launch *l)
{
    return l && l->state == LAUNCH_RUNNING;
}

/* The sets that others put into the file, and ours that have not ended. NULL: out of memory. */
static json_t *merge_sets(const struct cluster *c, const json_t *on_disk)
{
    json_t *sets = on_disk ? json_copy((json_t *)on_disk) : json_object();
    bool complete = sets != NULL;
    for (struct list *it = c->sets.next; complete && it != &c->sets; it = it->next) {
        struct cluster_set *set = container_of(it, struct cluster_set, link);
        if (set->launch->state != LAUNCH_AFTER)
            complete =
                json_object_set_new(sets, set->id, set->launch->ops->save(set->launch)) == 0;
        else
            json_object_del(sets, set->id);
    }
    if (complete)
        return sets;
    json_decref(sets);
    return NULL;
}

/* What is in the file of sets that were read and do not run: nobody holds them any more. */
static void drop_dead(const struct cluster *c, json_t *sets)
{
    const char *id;
    json_t *state;
    json_object_foreach(c->file.engine_sets, id, state)
    {
        if (!find_set(c, id) && json_equal(json_object_get(sets, id), state))
            json_object_del(sets, id);
    }
}

/* A new reference, or NULL. */
static json_t *controller_state(const struct cluster *c, const struct cluster_file *disk)
{
    if (is_running(c->controller))
        return c->controller->ops->save(c->controller);
    bool is_others = !c->controller && (c->is_guest || c->unsupported || !c->is_loaded);
    return is_others && disk ? json_incref(disk->controller_state) : NULL;
}

int cluster_save(struct cluster *c, struct ersa_error *err)
{
    struct cluster_file disk;
    bool has_disk = cluster_file_read(c->path, &disk, NULL) == 0;
    json_t *sets = merge_sets(c, has_disk ? disk.engine_sets : NULL);
    if (!sets) {
        if (has_disk)
            cluster_file_fini(&disk);
        return err_set(err, ERSA_ENOMEM, "out of memory");
    }
    if (c->is_loaded && !c->is_guest && !c->unsupported)
        drop_dead(c, sets);
    json_t *controller = controller_state(c, has_disk ? &disk : NULL);
    struct cluster_file out = c->is_guest && has_disk ? disk : c->file;
    out.controller_state = controller;
    out.engine_sets = sets;
    int rc = cluster_file_update(c->path, &out, err);
    json_decref(controller);
    json_decref(sets);
    if (has_disk)
        cluster_file_fini(&disk);
    return rc;
}

/* All of it */

bool cluster_has_controller(const struct cluster *c)
{
    return is_running(c->controller) ||
           (c->unsupported && !c->controller && c->file.controller_state);
}

int cluster_n_engines(const struct cluster *c)
{
    int n = 0;
    list_for_each (&c->sets, it) {
        struct launch *l = container_of(it, struct cluster_set, link)->launch;
        if (is_running(l))
            n += l->ops->poll(l);
    }
    return n;
}

int cluster_n_running(const struct cluster *c)
{
    int n = is_running(c->controller);
    list_for_each (&c->sets, it) {
        n += is_running(container_of(it, struct cluster_set, link)->launch);
    }
    return n;
}

void cluster_stop(struct cluster *c, const struct launch_stop *how)
{
    list_for_each (&c->sets, it) {
        struct launch *l = container_of(it, struct cluster_set, link)->launch;
        if (is_running(l))
            l->ops->stop(l, how);
    }
    if (is_running(c->controller))
        c->controller->ops->stop(c->controller, how);
}

void cluster_signal_engines(struct cluster *c, int signo)
{
    list_for_each (&c->sets, it) {
        struct launch *l = container_of(it, struct cluster_set, link)->launch;
        if (is_running(l))
            l->ops->signal(l, LAUNCH_ALL, signo);
    }
}

static void signal_unsaved(struct launch *l, const json_t *on_disk, int signo)
{
    json_t *state = l->ops->save(l);
    const char *key;
    json_t *engine;
    json_object_foreach(json_object_get(state, "engines"), key, engine)
    {
        long long index;
        if (!json_object_get(on_disk, key) && str_to_i64(key, &index) == 0)
            l->ops->signal(l, (int)index, signo);
    }
    json_decref(state);
}

void cluster_signal_unsaved(struct cluster *c, int signo)
{
    struct cluster_file disk;
    bool has_disk = cluster_file_read(c->path, &disk, NULL) == 0;
    list_for_each (&c->sets, it) {
        struct cluster_set *set = container_of(it, struct cluster_set, link);
        json_t *state = has_disk ? json_object_get(disk.engine_sets, set->id) : NULL;
        if (is_running(set->launch))
            signal_unsaved(set->launch, json_object_get(state, "engines"), signo);
    }
    if (has_disk)
        cluster_file_fini(&disk);
}

int cluster_stop_wait(struct cluster **clusters, size_t n, const struct launch_stop *how)
{
    int left = 0, alive = 0;
    for (size_t i = 0; i < n; i++)
        cluster_stop(clusters[i], how);
    do {
        left = 0;
        for (size_t i = 0; i < n; i++)
            left += cluster_n_running(clusters[i]);
    } while (left && loop_turn(clusters[0]->loop, -1) == 0);
    for (size_t i = 0; i < n; i++) {
        const struct cluster *c = clusters[i];
        alive += c->controller ? c->controller->ops->poll(c->controller) : 0;
        list_for_each (&c->sets, it) {
            struct launch *l = container_of(it, struct cluster_set, link)->launch;
            alive += l->ops->poll(l);
        }
    }
    return alive ? ERSA_ETIMEDOUT : 0;
}

json_t *cluster_json(const struct cluster *c)
{
    struct cluster_file now = c->file;
    json_t *controller = NULL, *sets = json_object();
    if (is_running(c->controller))
        controller = c->controller->ops->save(c->controller);
    else if (cluster_has_controller(c))
        controller = json_incref(c->file.controller_state);
    const char *id;
    json_t *state;
    json_object_foreach(c->file.engine_sets, id, state)
    {
        const struct cluster_set *set = find_set(c, id);
        if (set && is_running(set->launch))
            json_object_set_new(sets, id, set->launch->ops->save(set->launch));
        else if (!set && !launcher_find(c->file.engines_class, NULL))
            json_object_set(sets, id, state);
    }
    now.controller_state = controller;
    now.engine_sets = sets;
    json_t *all = cluster_file_json(&now);
    json_decref(controller);
    json_decref(sets);
    return all;
}
