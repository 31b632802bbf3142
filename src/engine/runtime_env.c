/* SPDX-License-Identifier: BSD-3-Clause */
/* Two tables: what is always set, and what is ours and replaces the user's. */
#include "engine/runtime_env.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/rtproto.h"
#include "util/str.h"

#define PATH_VAR "PYTHONPATH"
#define SAVED_PATH_VAR "ERSA_PYTHONPATH" /* what the user had; absent: nothing */

/* What user code finds set, so that its output is readable where it is read. */
static const struct {
    const char *name, *value;
    bool is_default; /* only where the user has none */
} fixed[] = {
    {"TERM", "xterm-color", false},
    {"CLICOLOR", "1", false},
    {"PAGER", "cat", false},
    {"GIT_PAGER", "cat", false},
    {"PYDEVD_DISABLE_FILE_VALIDATION", "1", true},
    {"MPLBACKEND", "module://matplotlib_inline.backend_inline", true},
};

#define N_FIXED (sizeof(fixed) / sizeof(fixed[0]))
#define N_OWN 3 /* descriptor, path, saved path */

static bool is_named(const char *entry, const char *name)
{
    size_t len = strlen(name);
    return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

/* Is the user's entry replaced by one of ours? */
static bool is_replaced(const char *entry, bool has_dir)
{
    for (size_t i = 0; i < N_FIXED; i++)
        if (!fixed[i].is_default && is_named(entry, fixed[i].name))
            return true;
    return is_named(entry, RT_ENV_FD) || is_named(entry, SAVED_PATH_VAR) ||
           (has_dir && is_named(entry, PATH_VAR));
}

static bool add(char **env, size_t *n, char *entry)
{
    if (entry)
        env[(*n)++] = entry;
    return entry;
}

static bool add_path(char **env, size_t *n, const char *dir)
{
    const char *old = getenv(PATH_VAR);
    if (!old)
        return add(env, n, str_printf(PATH_VAR "=%s", dir));
    return add(env, n, str_printf(PATH_VAR "=%s%s%s", dir, *old ? ":" : "", old)) &&
           add(env, n, str_printf(SAVED_PATH_VAR "=%s", old));
}

char **runtime_env(const char *python_dir, int channel_fd)
{
    size_t n_old = 0, n = 0;
    while (environ[n_old])
        n_old++;
    char **env = calloc(n_old + N_FIXED + N_OWN + 1, sizeof(*env));
    bool is_ok = env;
    for (size_t i = 0; is_ok && i < n_old; i++)
        if (!is_replaced(environ[i], python_dir))
            is_ok = add(env, &n, str_dup(environ[i]));
    for (size_t i = 0; is_ok && i < N_FIXED; i++)
        if (!fixed[i].is_default || !getenv(fixed[i].name))
            is_ok = add(env, &n, str_printf("%s=%s", fixed[i].name, fixed[i].value));
    if (is_ok)
        is_ok = add(env, &n, str_printf(RT_ENV_FD "=%d", channel_fd));
    if (is_ok && python_dir)
        is_ok = add_path(env, &n, python_dir);
    if (is_ok)
        return env;
    runtime_env_free(env);
    return NULL;
}

void runtime_env_free(char **env)
{
    for (size_t i = 0; env && env[i]; i++)
        free(env[i]);
    free(env);
}
