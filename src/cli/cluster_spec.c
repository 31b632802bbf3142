/* SPDX-License-Identifier: BSD-3-Clause */
/* From options to what is launched; see cluster_spec.h. */
#include "cli/cluster_spec.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/ipcluster.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/file.h"
#include "util/str.h"

#define CLASS_NAME_MAX 128

const struct launcher *cluster_spec_launcher(const struct cli *c, const char *option)
{
    struct ersa_error err = {0};
    const struct launcher *l = launcher_find(options_text(c->options, option), &err);
    if (!l)
        cli_die(EXIT_CLUSTER_FAILED, "%s: %s (%s)", option, err.text,
                options_where(c->options, option));
    return l;
}

/* Takes `text`. */
static int push(struct cluster_spec *s, char *text)
{
    char **more = text ? reallocarray(s->argv, s->argc + 2, sizeof(*more)) : NULL;
    if (!more) {
        free(text);
        return ERSA_ENOMEM;
    }
    s->argv = more;
    s->argv[s->argc++] = text;
    s->argv[s->argc] = NULL;
    return 0;
}

static int push_list(struct cluster_spec *s, const struct option_list *list)
{
    int rc = 0;
    for (size_t i = 0; i < list->n && rc == 0; i++)
        rc = push(s, str_dup(list->items[i]));
    return rc;
}

static int push_text(struct cluster_spec *s, const char *flag, const char *text)
{
    return *text ? push(s, str_printf("%s%s", flag, text)) : 0;
}

/* The configured command, else the program of that name beside us. */
static int push_program(struct cluster_spec *s, const struct cli *c, const char *option,
                        const char *program, struct ersa_error *err)
{
    const struct option_list *cmd = options_list(c->options, option);
    if (cmd->n)
        return push_list(s, cmd);
    CLEANUP(free_ptr) char *dir = file_exe_dir();
    char *path = dir ? str_path(dir, program) : NULL;
    if (path && access(path, X_OK) < 0) {
        err_errno(err, ERSA_ENOENT, "%s", path);
        free(path);
        return ERSA_ENOENT;
    }
    return push(s, path);
}

static const char *trait(char out[CLASS_NAME_MAX], const char *cls, const char *name)
{
    snprintf(out, CLASS_NAME_MAX, "%s.%s", cls, name);
    return out;
}

static void fill_common(struct cluster_spec *s, const struct cli *c, const char *cls)
{
    char name[CLASS_NAME_MAX];
    s->launch.profile_dir = c->profile.dir;
    s->launch.log_dir = c->profile.log_dir;
    s->launch.cluster_id = c->cluster_id;
    if (options_is_set(c->options, trait(name, cls, "environment")))
        s->launch.environment = options_dict(c->options, name);
}

static int finish(struct cluster_spec *s, int rc, struct ersa_error *err)
{
    s->launch.argv = s->argv;
    if (rc == ERSA_ENOMEM)
        err_set(err, rc, "out of memory");
    return rc;
}

int cluster_spec_controller(struct cluster_spec *s, const struct cli *c, struct ersa_error *err)
{
    char name[CLASS_NAME_MAX];
    const struct options *o = c->options;
    *s = (struct cluster_spec){
        .launcher = cluster_spec_launcher(c, "Cluster.controller_launcher_class")};
    const char *cls = s->launcher->controller_class;
    fill_common(s, c, cls);
    int rc = push_program(s, c, trait(name, cls, "controller_cmd"), "ipcontroller", err);
    if (rc == 0)
        rc = push_list(s, options_list(o, trait(name, cls, "controller_args")));
    if (rc == 0)
        rc = push_text(s, "--ip=", options_text(o, "Cluster.controller_ip"));
    if (rc == 0)
        rc = push_text(s, "--location=", options_text(o, "Cluster.controller_location"));
    if (rc == 0)
        rc = push_list(s, options_list(o, "Cluster.controller_args"));
    if (rc == 0)
        rc = push_list(s, options_handed_on(o, PROG_CONTROLLER));
    if (rc == 0)
        rc = push_list(s, options_rest(o));
    return finish(s, rc, err);
}

int cluster_spec_engines(struct cluster_spec *s, const struct cli *c, const char *set_id,
                         const char *engine_file, struct ersa_error *err)
{
    char name[CLASS_NAME_MAX];
    const struct options *o = c->options;
    *s = (struct cluster_spec){.launcher =
                                   cluster_spec_launcher(c, "Cluster.engine_launcher_class")};
    const char *cls = s->launcher->engine_class;
    fill_common(s, c, cls);
    s->launch.set_id = set_id;
    s->launch.delay_s = options_float(o, trait(name, cls, "delay"));
    int rc = push_program(s, c, trait(name, cls, "engine_cmd"), "ipengine", err);
    if (rc == 0 && engine_file)
        rc = push_text(s, "--file=", engine_file);
    if (rc == 0)
        rc = push_list(s, options_list(o, trait(name, cls, "engine_args")));
    if (rc == 0)
        rc = push_list(s, options_handed_on(o, PROG_ENGINE));
    return finish(s, rc, err);
}

void cluster_spec_fini(struct cluster_spec *s)
{
    for (size_t i = 0; i < s->argc; i++)
        free(s->argv[i]);
    free(s->argv);
    *s = (struct cluster_spec){0};
}

int cluster_spec_n(const struct cli *c)
{
    if (options_is_set(c->options, "Cluster.n"))
        return (int)options_int(c->options, "Cluster.n");
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

static double larger(const struct cli *c, const char *name)
{
    char ctl[CLASS_NAME_MAX], eng[CLASS_NAME_MAX];
    double a = options_float(c->options, trait(ctl, "LocalControllerLauncher", name));
    double b = options_float(c->options, trait(eng, "LocalEngineSetLauncher", name));
    return a > b ? a : b;
}

struct launch_stop cluster_spec_stop(const struct cli *c)
{
    return (struct launch_stop){.signo = SIGTERM,
                                .kill_after_s = larger(c, "stop_seconds_until_kill"),
                                .timeout_s = larger(c, "stop_timeout")};
}

static int replace_text(char **field, const char *text)
{
    char *copy = str_dup(text);
    if (!copy)
        return ERSA_ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int append_all(json_t *array, const struct option_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (json_array_append_new(array, json_string(list->items[i])) < 0)
            return ERSA_ENOMEM;
    return 0;
}

int cluster_spec_head(const struct cli *c, struct cluster_file *f)
{
    const struct options *o = c->options;
    f->delay = options_float(o, "Cluster.delay");
    f->n = options_is_set(o, "Cluster.n") ? (int)options_int(o, "Cluster.n") : -1;
    int rc = replace_text(&f->engines_class,
                          cluster_spec_launcher(c, "Cluster.engine_launcher_class")->name);
    if (rc < 0 || options_program(o) != PROG_CLUSTER_START)
        return rc;
    if (append_all(f->controller_args, options_list(o, "Cluster.controller_args")) < 0 ||
        append_all(f->controller_args, options_handed_on(o, PROG_CONTROLLER)) < 0 ||
        append_all(f->controller_args, options_rest(o)) < 0 ||
        replace_text(&f->controller_ip, options_text(o, "Cluster.controller_ip")) < 0 ||
        replace_text(&f->controller_location, options_text(o, "Cluster.controller_location")) <
            0)
        return ERSA_ENOMEM;
    return replace_text(&f->controller_class,
                        cluster_spec_launcher(c, "Cluster.controller_launcher_class")->name);
}
