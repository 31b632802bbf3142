/* SPDX-License-Identifier: BSD-3-Clause */
/* The cluster file, in the form that the reference's Cluster reads and writes. */
#include "config/cluster_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/file.h"

#define FILE_MAX ((size_t)64 << 20)
#define CLASS_NAME "ipyparallel.cluster.cluster.Cluster"

int cluster_file_init(struct cluster_file *f, const char *profile_dir, const char *cluster_id)
{
    *f = (struct cluster_file){
        .cluster_id = str_dup(cluster_id),
        .profile_dir = str_dup(profile_dir),
        .controller_ip = str_dup(""),
        .controller_location = str_dup(""),
        .controller_args = json_array(),
        .n = -1,
        .class_name = str_dup(CLASS_NAME),
        .controller_class = str_dup("local"),
        .engines_class = str_dup("local"),
        .engine_sets = json_object(),
    };
    if (f->cluster_id && f->profile_dir && f->controller_ip && f->controller_location &&
        f->controller_args && f->class_name && f->controller_class && f->engines_class &&
        f->engine_sets)
        return 0;
    cluster_file_fini(f);
    return ERSA_ENOMEM;
}

void cluster_file_fini(struct cluster_file *f)
{
    free(f->cluster_id);
    free(f->profile_dir);
    free(f->controller_ip);
    free(f->controller_location);
    json_decref(f->controller_args);
    free(f->class_name);
    free(f->controller_class);
    json_decref(f->controller_state);
    free(f->engines_class);
    json_decref(f->engine_sets);
    *f = (struct cluster_file){0};
}

char *cluster_file_path(const char *security_dir, const char *cluster_id)
{
    return str_printf("%s/cluster-%s.json", security_dir, cluster_id);
}

json_t *cluster_file_json(const struct cluster_file *f)
{
    json_t *all = json_pack(
        "{s:{s:s, s:O, s:s, s:s, s:f, s:o, s:s, s:s}, s:{s:s, s:O}}", "cluster", "cluster_id",
        f->cluster_id, "controller_args", f->controller_args, "controller_ip", f->controller_ip,
        "controller_location", f->controller_location, "delay", f->delay, "n",
        f->n < 0 ? json_null() : json_integer(f->n), "profile_dir", f->profile_dir, "class",
        f->class_name, "engines", "class", f->engines_class, "sets", f->engine_sets);
    if (all && f->controller_state)
        json_object_set_new(all, "controller",
                            json_pack("{s:s, s:O}", "class", f->controller_class, "state",
                                      f->controller_state));
    return all;
}

/* Reading */

static int take_text(char **field, const json_t *object, const char *key, bool optional,
                     struct ersa_error *err)
{
    const json_t *j = json_object_get(object, key);
    if (optional && (!j || json_is_null(j)))
        return 0;
    if (!json_is_string(j))
        return err_set(err, ERSA_EPARSE, "'%s' is missing or not text", key);
    char *copy = str_dup(json_string_value(j));
    if (!copy)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    free(*field);
    *field = copy;
    return 0;
}

static int take_json(json_t **field, json_t *j, bool fits, const char *key,
                     struct ersa_error *err)
{
    if (!j)
        return 0;
    if (!fits)
        return err_set(err, ERSA_EPARSE, "'%s' is of the wrong type", key);
    json_decref(*field);
    *field = json_incref(j);
    return 0;
}

static int read_cluster(struct cluster_file *f, const json_t *j, struct ersa_error *err)
{
    if (!json_is_object(j))
        return err_set(err, ERSA_EPARSE, "'cluster' is missing");
    json_t *args = json_object_get(j, "controller_args");
    const json_t *n = json_object_get(j, "n");
    int rc = take_text(&f->cluster_id, j, "cluster_id", false, err);
    if (rc == 0)
        rc = take_text(&f->profile_dir, j, "profile_dir", false, err);
    if (rc == 0)
        rc = take_text(&f->controller_ip, j, "controller_ip", true, err);
    if (rc == 0)
        rc = take_text(&f->controller_location, j, "controller_location", true, err);
    if (rc == 0)
        rc = take_text(&f->class_name, j, "class", true, err);
    if (rc == 0)
        rc = take_json(&f->controller_args, args, json_is_array(args), "controller_args", err);
    f->delay = json_number_value(json_object_get(j, "delay"));
    json_int_t count = json_is_integer(n) ? json_integer_value(n) : -1;
    f->n = count < 0 || count > 1000000 ? -1 : (int)count;
    return rc;
}

static int read_parts(struct cluster_file *f, const json_t *j, struct ersa_error *err)
{
    int rc = read_cluster(f, json_object_get(j, "cluster"), err);
    const json_t *controller = json_object_get(j, "controller");
    const json_t *engines = json_object_get(j, "engines");
    if (rc == 0 && json_is_object(controller)) {
        json_t *state = json_object_get(controller, "state");
        rc = take_text(&f->controller_class, controller, "class", false, err);
        if (rc == 0)
            rc = take_json(&f->controller_state, state, json_is_object(state), "state", err);
    }
    if (rc == 0 && json_is_object(engines)) {
        json_t *sets = json_object_get(engines, "sets");
        rc = take_text(&f->engines_class, engines, "class", false, err);
        if (rc == 0)
            rc = take_json(&f->engine_sets, sets, json_is_object(sets), "sets", err);
    }
    return rc;
}

int cluster_file_read(const char *path, struct cluster_file *ret, struct ersa_error *err)
{
    struct buf text;
    buf_init(&text, FILE_MAX);
    int rc = file_read(path, &text, err);
    json_t *j = NULL;
    if (rc == 0) {
        j = json_parse((struct slice){(char *)text.data, text.len}, err);
        rc = j ? 0 : err_prefix(err, ERSA_EPARSE, "%s", path);
    }
    buf_fini(&text);
    struct cluster_file f = {0};
    if (rc == 0 && cluster_file_init(&f, "", "") < 0)
        rc = err_set(err, ERSA_ENOMEM, "out of memory");
    if (rc == 0) {
        rc = read_parts(&f, j, err);
        if (rc < 0)
            err_prefix(err, rc, "%s", path);
    }
    json_decref(j);
    if (rc < 0)
        cluster_file_fini(&f);
    else
        *ret = f;
    return rc;
}

/* Writing */

static mode_t mode_by_umask(void)
{
    mode_t mask = umask(077);
    umask(mask);
    return 0666 & ~mask;
}

int cluster_file_write(const char *path, const struct cluster_file *f, struct ersa_error *err)
{
    json_t *j = cluster_file_json(f);
    CLEANUP(free_ptr) char *text = j ? json_dumps(j, 0) : NULL;
    json_decref(j);
    if (!text)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    return file_write_atomic(path, text, strlen(text), mode_by_umask(), err);
}

int cluster_file_remove(const char *path, struct ersa_error *err)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(err, ERSA_EIO, "%s", path);
    return 0;
}

int cluster_file_update(const char *path, const struct cluster_file *f, struct ersa_error *err)
{
    if (!f->controller_state && json_object_size(f->engine_sets) == 0)
        return cluster_file_remove(path, err);
    return cluster_file_write(path, f, err);
}

/* Finding */

static int is_cluster_file(const struct dirent *e)
{
    size_t len = strlen(e->d_name);
    return len >= strlen("cluster-.json") && strncmp(e->d_name, "cluster-", 8) == 0 &&
           strcmp(e->d_name + len - 5, ".json") == 0;
}

int cluster_file_each(const char *security_dir, int (*fn)(void *ctx, const char *path),
                      void *ctx)
{
    struct dirent **entries;
    int n = scandir(security_dir, &entries, is_cluster_file, alphasort);
    int rc = 0;
    for (int i = 0; i < n; i++) {
        CLEANUP(free_ptr) char *path = str_path(security_dir, entries[i]->d_name);
        free(entries[i]);
        if (rc == 0)
            rc = path ? fn(ctx, path) : ERSA_ENOMEM;
    }
    if (n >= 0)
        free(entries);
    return rc;
}
