/* SPDX-License-Identifier: BSD-3-Clause */
/* A temporary directory for one test, with what is in it removed at its end; for tests only. */
#ifndef ERSA_CONFIG_TEST_DIR_H
#define ERSA_CONFIG_TEST_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char test_dir[64];

static int test_dir_remove_one(const char *path, const struct stat *st, int kind,
                               struct FTW *ftw)
{
    return remove(path);
}

/* For cmocka: setup and teardown. The environment loses what would reach the options. */
static int test_dir_make(void **state)
{
    static const char *const names[] = {
        "IPP_CLUSTER_ID",   "IPP_PROFILE_DIR", "IPP_SESSION_KEY",
        "IPP_ENABLE_CURVE", "IPYTHONDIR",      "IPYTHON_DIR",
        "XDG_CONFIG_HOME",  "VIRTUAL_ENV",     "CONDA_PREFIX"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    snprintf(test_dir, sizeof(test_dir), "/tmp/ersa-config-XXXXXX");
    return mkdtemp(test_dir) ? setenv("HOME", test_dir, 1) : -1;
}

static int test_dir_remove(void **state)
{
    return nftw(test_dir, test_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "<test_dir>/<name>", in one of a few buffers in turn. */
static const char *in_test_dir(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", test_dir, name);
    return path;
}

static inline void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
    chmod(path, 0644);
}

#endif
