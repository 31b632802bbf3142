/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/rtproto.h"
#include "engine/runtime_env.h"

/* The value; NULL when it is not there, fails when it is there twice. */
static const char *value(char *const *env, const char *name)
{
    const char *found = NULL;
    size_t len = strlen(name);
    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') {
            assert_null(found);
            found = *env + len + 1;
        }
    return found;
}

static void test_what_is_set(void **state)
{
    setenv("TERM", "dumb", 1);
    setenv("MPLBACKEND", "agg", 1);
    setenv("OF_THE_USER", "1", 1);
    unsetenv("PYDEVD_DISABLE_FILE_VALIDATION");
    char **env = runtime_env(NULL, 17);
    assert_non_null(env);
    assert_string_equal(value(env, RT_ENV_FD), "17");
    assert_string_equal(value(env, "TERM"), "xterm-color");
    assert_string_equal(value(env, "MPLBACKEND"), "agg");
    assert_string_equal(value(env, "PYDEVD_DISABLE_FILE_VALIDATION"), "1");
    assert_string_equal(value(env, "OF_THE_USER"), "1");
    runtime_env_free(env);
}

static void test_path(void **state)
{
    static const struct {
        const char *old, *path, *saved;
    } rows[] = {
        {NULL, "/pkg", NULL},
        {"", "/pkg", ""},
        {"/a:/b", "/pkg:/a:/b", "/a:/b"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsetenv("PYTHONPATH");
        if (rows[i].old)
            setenv("PYTHONPATH", rows[i].old, 1);
        setenv("ERSA_PYTHONPATH", "of another engine", 1);
        char **env = runtime_env("/pkg", 3);
        assert_string_equal(value(env, "PYTHONPATH"), rows[i].path);
        const char *saved = value(env, "ERSA_PYTHONPATH");
        assert_true(!saved == !rows[i].saved);
        if (saved)
            assert_string_equal(saved, rows[i].saved);
        runtime_env_free(env);
    }
    setenv("PYTHONPATH", "/a", 1);
    char **env = runtime_env(NULL, 3); /* the package is installed */
    assert_string_equal(value(env, "PYTHONPATH"), "/a");
    assert_null(value(env, "ERSA_PYTHONPATH"));
    runtime_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_set),
        cmocka_unit_test(test_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
