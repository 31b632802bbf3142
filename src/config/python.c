/* SPDX-License-Identifier: BSD-3-Clause */
/* Chooses the user's Python. Nothing is run here. */
#include "config/python.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/file.h"
#include "util/str.h"

static bool can_run(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* <dir>/<name> when it can be run, else NULL. */
static char *in_dir(const char *dir, size_t len, const char *name)
{
    char *path = str_printf("%.*s/%s", (int)len, dir, name);
    if (path && can_run(path))
        return path;
    free(path);
    return NULL;
}

static char *in_path(const char *name)
{
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
        size_t len = strcspn(at, ":");
        char *found = len ? in_dir(at, len, name) : NULL;
        if (found)
            return found;
        at += len + (at[len] == ':');
    }
    return NULL;
}

static int find_configured(const char *configured, char **ret_path, struct ersa_error *err)
{
    char *path = NULL;
    if (!strchr(configured, '/'))
        path = in_path(configured);
    else if (can_run(configured))
        path = str_dup(configured);
    if (!path)
        return err_set(err, ERSA_ENOENT, "the Python '%s' cannot be run", configured);
    *ret_path = path;
    return 0;
}

int python_find(const char *configured, char **ret_path, const char **ret_source,
                struct ersa_error *err)
{
    const char *unused;
    ret_source = ret_source ? ret_source : &unused;
    if (configured && *configured) {
        *ret_source = "configured";
        return find_configured(configured, ret_path, err);
    }
    static const struct {
        const char *variable, *source;
    } prefixes[] = {{"VIRTUAL_ENV", "$VIRTUAL_ENV"}, {"CONDA_PREFIX", "$CONDA_PREFIX"}};
    for (size_t i = 0; i < 2; i++) {
        const char *prefix = getenv(prefixes[i].variable);
        char *path = prefix && *prefix ? in_dir(prefix, strlen(prefix), "bin/python3") : NULL;
        if (!path && prefix && *prefix)
            path = in_dir(prefix, strlen(prefix), "bin/python");
        if (path) {
            *ret_path = path;
            *ret_source = prefixes[i].source;
            return 0;
        }
    }
    CLEANUP(free_ptr) char *beside = file_exe_dir();
    *ret_source = "beside the program";
    *ret_path = beside ? in_dir(beside, strlen(beside), "python3") : NULL;
    if (!*ret_path) {
        *ret_source = "$PATH";
        *ret_path = in_path("python3");
    }
    return *ret_path ? 0 : err_set(err, ERSA_ENOENT, "no python3 was found");
}
