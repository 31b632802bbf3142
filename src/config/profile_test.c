/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the profile is, and what is made in it. */
#include "config/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/test_dir.h"

static int resolve(enum program program, char *word, struct profile *p, struct ersa_error *err)
{
    struct options *o;
    char *argv[] = {"program", word};
    *err = (struct ersa_error){0};
    assert_int_equal(options_new(&o, program, err), 0);
    assert_int_equal(options_parse_argv(o, word ? 2 : 1, argv, err), 0);
    int rc = profile_open(p, o, err);
    options_free(o);
    return rc;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mode & 0777 : 0;
}

static void test_default_is_made(void **state)
{
    struct profile p;
    struct ersa_error err;
    assert_int_equal(resolve(PROG_ENGINE, NULL, &p, &err), 0);
    assert_string_equal(p.ipython_dir, in_test_dir(".ipython"));
    assert_string_equal(p.dir, in_test_dir(".ipython/profile_default"));
    assert_string_equal(p.name, "default");
    assert_int_equal(mode_of(p.security_dir), 0700);
    assert_int_equal(mode_of(p.pid_dir), 0700);
    assert_int_not_equal(mode_of(p.log_dir), 0);
    assert_int_not_equal(mode_of(in_test_dir(".ipython/profile_default/startup/README")), 0);
    /* Looser modes are tightened when it is opened again. */
    assert_int_equal(chmod(p.security_dir, 0755), 0);
    profile_close(&p);
    assert_int_equal(resolve(PROG_ENGINE, NULL, &p, &err), 0);
    assert_int_equal(mode_of(p.security_dir), 0700);
    profile_close(&p);
}

/* What others could write into `startup` would be run. */
static void test_nobody_else_writes(void **state)
{
    struct profile p;
    struct ersa_error err;
    mode_t before = umask(0);
    int rc = resolve(PROG_ENGINE, NULL, &p, &err);
    umask(before);
    assert_int_equal(rc, 0);
    const char *const dirs[] = {p.dir, p.log_dir, p.startup_dir};
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        assert_int_equal(mode_of(dirs[i]), 0755);
    profile_close(&p);
}

static void test_missing_profile(void **state)
{
    struct profile p;
    struct ersa_error err;
    assert_int_equal(resolve(PROG_ENGINE, "--profile=nope", &p, &err), ERSA_ENOENT);
    assert_string_equal(err.text, "Profile 'nope' not found.");
    assert_int_equal(resolve(PROG_CLUSTER_STOP, (char *)in_test_dir("--"), &p, &err), ERSA_OK);
    profile_close(&p);
    char word[128];
    snprintf(word, sizeof(word), "--profile-dir=%s", in_test_dir("nowhere"));
    assert_int_equal(resolve(PROG_ENGINE, word, &p, &err), ERSA_ENOENT);
    assert_non_null(strstr(err.text, "Profile directory '"));
    assert_int_equal(resolve(PROG_CONTROLLER, "--profile=nope", &p, &err), 0);
    assert_string_equal(p.dir, in_test_dir(".ipython/profile_nope"));
    profile_close(&p);
    assert_int_equal(resolve(PROG_CONTROLLER, "--profile=../x", &p, &err), ERSA_EINVAL);
}

static void test_who_says_where(void **state)
{
    struct profile p;
    struct ersa_error err;
    setenv("IPP_PROFILE_DIR", in_test_dir("a/../profile_env"), 1);
    assert_int_equal(resolve(PROG_CONTROLLER, NULL, &p, &err), 0);
    assert_string_equal(p.dir, in_test_dir("profile_env"));
    assert_string_equal(p.name, "env");
    profile_close(&p);
    assert_int_equal(resolve(PROG_CONTROLLER, "--profile-dir=~/by-path", &p, &err), 0);
    assert_string_equal(p.dir, in_test_dir("by-path"));
    assert_string_equal(p.name, "");
    profile_close(&p);
    setenv("IPYTHONDIR", in_test_dir("ipy"), 1);
    assert_int_equal(resolve(PROG_CONTROLLER, "--profile=x", &p, &err), 0);
    assert_string_equal(p.dir, in_test_dir("ipy/profile_x"));
    profile_close(&p);
}

static void test_xdg(void **state)
{
    struct profile p;
    struct ersa_error err;
    setenv("XDG_CONFIG_HOME", in_test_dir("xdg"), 1);
    assert_int_equal(mkdir(in_test_dir("xdg"), 0755), 0);
    assert_int_equal(mkdir(in_test_dir("xdg/ipython"), 0755), 0);
    assert_int_equal(resolve(PROG_CONTROLLER, NULL, &p, &err), 0);
    assert_string_equal(p.ipython_dir, in_test_dir("xdg/ipython"));
    profile_close(&p);
    assert_int_equal(mkdir(in_test_dir(".ipython"), 0755), 0);
    assert_int_equal(resolve(PROG_CONTROLLER, NULL, &p, &err), 0);
    assert_string_equal(p.ipython_dir, in_test_dir(".ipython"));
    profile_close(&p);
}

static void test_paths(void **state)
{
    static const char *const rows[][2] = {
        {"/a//b/./c/", "/a/b/c"}, {"/a/b/../../..", "/"}, {"/..a/...", "/..a/..."}, {"/", "/"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *got = path_normal(rows[i][0]);
        assert_string_equal(got, rows[i][1]);
        free(got);
    }
    setenv("THERE", "/x/y", 1);
    unsetenv("NOWHERE");
    static const char *const expand[][2] = {
        {"$THERE/z", "/x/y/z"},
        {"${THERE}z", "/x/yz"},
        {"a$NOWHERE$", "a$NOWHERE$"},
        {"${THERE", "${THERE"},
        {"~nobody-of-that-name/x", "~nobody-of-that-name/x"}};
    for (size_t i = 0; i < sizeof(expand) / sizeof(expand[0]); i++) {
        char *got = path_expand(expand[i][0]);
        assert_string_equal(got, expand[i][1]);
        free(got);
    }
}

static void test_file_names(void **state)
{
    struct profile p = {.security_dir = "/p/security"};
    char *plain = profile_connection_file(&p, "", true);
    char *named = profile_connection_file(&p, "abc", false);
    assert_string_equal(plain, "/p/security/ipcontroller-engine.json");
    assert_string_equal(named, "/p/security/ipcontroller-abc-client.json");
    free(plain);
    free(named);
}

static void test_clean_logs(void **state)
{
    struct profile p = {.log_dir = test_dir};
    static const char *const gone[] = {"ipengine-12.log", "ipengine--12.err",
                                       "ipengine-a-b-12.out"};
    static const char *const kept[] = {"ipengine-x.log", "ipengine-12.txt", "ipengines-12.log",
                                       "ipcontroller-12.log", "ipengine12.log"};
    for (size_t i = 0; i < 3; i++)
        put_file(in_test_dir(gone[i]), "x");
    for (size_t i = 0; i < 5; i++)
        put_file(in_test_dir(kept[i]), "x");
    profile_clean_logs(&p, "ipengine");
    for (size_t i = 0; i < 3; i++)
        assert_int_not_equal(access(in_test_dir(gone[i]), F_OK), 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(access(in_test_dir(kept[i]), F_OK), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)
    const struct CMUnitTest tests[] = {
        T(test_default_is_made),
        T(test_nobody_else_writes),
        T(test_missing_profile),
        T(test_who_says_where),
        T(test_xdg),
        T(test_paths),
        T(test_file_names),
        T(test_clean_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
