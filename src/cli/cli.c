/* SPDX-License-Identifier: BSD-3-Clause */
/* The start that all programs share. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config/config_file.h"
#include "config/options_out.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"

#define TEMPLATE_MAX ((size_t)1 << 20)

void cli_die(int code, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    log_critical("%s", text);
    exit(code);
}

/* An option that is not known is told in one line, a value that is wrong as the reference does.
 */
static _Noreturn void die_of_options(const struct cli *c, int rc, const struct ersa_error *err)
{
    int code = options_exit_code(rc);
    if (code == 1)
        cli_die(1, "Bad config encountered during initialization: %s", err->text);
    fprintf(stderr, "%s: %s\n", c->program->command, err->text);
    exit(code);
}

static void answer_request(enum program program, int argc, char *const *argv)
{
    enum options_request what = options_request(argc, argv);
    switch (what) {
    case ASK_NOTHING:
        return;
    case ASK_HELP:
    case ASK_HELP_ALL:
        options_print_help(stdout, program, what == ASK_HELP_ALL);
        break;
    case ASK_VERSION:
        printf("%s\n", ERSA_VERSION);
        break;
    case ASK_GENERATE:
        options_print_template(stdout, program);
        break;
    }
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static bool has_option(const struct cli *c, const char *name)
{
    const char *dot = strchr(name, '.');
    for (const struct option_def *d = options_next_def(NULL); d; d = options_next_def(d))
        if ((d->programs & c->program->program) &&
            strncmp(d->cls, name, (size_t)(dot - name)) == 0 && strcmp(d->trait, dot + 1) == 0)
            return true;
    return false;
}

static bool is_on(const struct cli *c, const char *name)
{
    return has_option(c, name) && options_bool(c->options, name);
}

static void show_config(const struct cli *c)
{
    bool as_json = is_on(c, "Application.show_config_json");
    if (!as_json && !is_on(c, "Application.show_config"))
        return;
    (as_json ? options_print_config_json : options_print_config)(stdout, c->options);
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static void open_log(struct cli *c)
{
    log_set_level((int)options_int(c->options, "Application.log_level"));
    char command[32];
    snprintf(command, sizeof(command), "%.*s", (int)strcspn(c->program->command, " "),
             c->program->command);
    if (is_on(c, "BaseParallelApplication.clean_logs"))
        profile_clean_logs(&c->profile, command);
    if (!is_on(c, "BaseParallelApplication.log_to_file"))
        return;
    CLEANUP(free_ptr)
    char *path = str_printf("%s/%s-%s-%d.log", c->profile.log_dir, command, c->cluster_id,
                            (int)getpid());
    if (!path || log_open_file(path) < 0)
        cli_die(1, "the log file %s cannot be written", path ? path : "");
    fprintf(stderr, "Sending logs to %s\n", path);
}

static void change_dir(const struct cli *c)
{
    const char *given = has_option(c, "BaseParallelApplication.work_dir")
                            ? options_text(c->options, "BaseParallelApplication.work_dir")
                            : "";
    if (!*given)
        return;
    CLEANUP(free_ptr) char *dir = path_expand(given);
    if (!dir || chdir(dir) < 0)
        cli_die(1, "cannot work in %s: %s", given, strerror(errno));
    log_info("Changing to working dir: %s", dir);
}

/* --init: the config file with everything commented out, where none is. */
static void write_template(const struct cli *c)
{
    if (!is_on(c, "BaseIPythonApplication.copy_config_files"))
        return;
    CLEANUP(free_ptr) char *path = str_printf("%s/%s.py", c->profile.dir, c->program->config);
    if (!path)
        cli_die(1, "out of memory");
    if (access(path, F_OK) == 0 && !is_on(c, "BaseIPythonApplication.overwrite"))
        return;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        cli_die(1, "out of memory");
    options_print_template(out, c->program->program);
    fclose(out);
    struct ersa_error err = {0};
    log_info("Generating default config file: '%s'", path);
    if (file_write_atomic(path, text, len, 0644, &err) < 0)
        cli_die(1, "%s", err.text);
    free(text);
}

void cli_start(struct cli *c, enum program program, int argc, char **argv)
{
    struct ersa_error err = {0};
    *c = (struct cli){.program = program_find(program), .cluster_id = ""};
    log_set_name(c->program->class_name);
    answer_request(program, argc, argv);
    int rc = options_new(&c->options, program, &err);
    if (rc == 0)
        rc = options_parse_argv(c->options, argc, argv, &err);
    if (rc == 0)
        rc = profile_resolve(&c->profile, c->options, &err);
    if (rc == 0)
        rc = config_files_load(c->options, &c->profile, &err);
    if (rc < 0)
        die_of_options(c, rc, &err);
    show_config(c);
    profile_close(&c->profile);
    if (profile_open(&c->profile, c->options, &err) < 0)
        cli_die(1, "%s", err.text);
    if (has_option(c, "BaseParallelApplication.cluster_id"))
        c->cluster_id = options_text(c->options, "BaseParallelApplication.cluster_id");
    if (strchr(c->cluster_id, '/'))
        cli_die(1, "'%s' cannot be a cluster id: it becomes part of file names", c->cluster_id);
    open_log(c);
    const struct option_list *warnings = options_warnings(c->options);
    for (size_t i = 0; i < warnings->n; i++)
        log_warn("%s", warnings->items[i]);
    write_template(c);
    change_dir(c);
}

void cli_end(struct cli *c)
{
    profile_close(&c->profile);
    options_free(c->options);
    *c = (struct cli){0};
}

void cli_raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warn("the number of descriptors stays limited: %s", strerror(errno));
}
