/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing, reading and making files and directories. */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

#define READ_STEP 65536
#define PIPE_MS 3000

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERSA_EIO;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
                      struct ersa_error *err)
{
    CLEANUP(free_ptr) char *temporary = str_printf("%s.%ld.XXXXXX", path, (long)getpid());
    if (!temporary)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    CLEANUP(close_fd) int fd = mkostemp(temporary, O_CLOEXEC); /* made with mode 0600 */
    if (fd < 0)
        return err_errno(err, ERSA_EIO, "%s can't be written", path);
    if (write_all(fd, data, len) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
        rename(temporary, path) < 0) {
        int rc = err_errno(err, ERSA_EIO, "%s can't be written", path);
        unlink(temporary);
        return rc;
    }
    return 0;
}

/* A pipe will do, of a shell's `<(...)` for one, but not one that nobody writes to. */
static int wait_for_writer(int fd, const char *path, struct ersa_error *err)
{
    struct stat st;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (fstat(fd, &st) < 0 || fcntl(fd, F_SETFL, 0) < 0)
        return err_errno(err, ERSA_EIO, "%s can't be read", path);
    int n = 1;
    while (S_ISFIFO(st.st_mode) && (n = poll(&p, 1, PIPE_MS)) < 0 && errno == EINTR)
        ;
    if (n)
        return 0;
    return err_set(err, ERSA_EIO, "%s is a pipe that nobody writes to", path);
}

int file_read(const char *path, struct buf *out, struct ersa_error *err)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, errno == ENOENT ? ERSA_ENOENT : ERSA_EIO, "%s can't be read",
                         path);
    int rc = wait_for_writer(fd, path, err);
    if (rc < 0)
        return rc;
    size_t start = out->len;
    for (;;) {
        size_t room = out->max - out->len;
        char beyond;
        if (room == 0) {
            ssize_t more = read(fd, &beyond, 1);
            if (more < 0 && errno == EINTR)
                continue;
            if (more == 0)
                return 0;
            out->len = start;
            if (more < 0)
                return err_errno(err, ERSA_EIO, "%s can't be read", path);
            return err_set(err, ERSA_EFULL, "%s is larger than %zu octets", path, out->max);
        }
        size_t step = room < READ_STEP ? room : READ_STEP;
        if (buf_reserve(out, step) < 0) {
            out->len = start;
            return err_set(err, ERSA_ENOMEM, "out of memory");
        }
        ssize_t n = read(fd, out->data + out->len, step);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            out->len = start;
            return err_errno(err, ERSA_EIO, "%s can't be read", path);
        }
        if (n == 0)
            return 0;
        out->len += (size_t)n;
    }
}

int file_mkdirs(const char *path, mode_t mode, struct ersa_error *err)
{
    CLEANUP(free_ptr) char *copy = str_dup(path);
    if (!copy)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    for (char *p = copy + (copy[0] == '/'); *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return err_errno(err, ERSA_EIO, "directory %s can't be made", copy);
        *p = '/';
    }
    if (mkdir(copy, mode) < 0 && errno != EEXIST)
        return err_errno(err, ERSA_EIO, "directory %s can't be made", path);
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(err, ERSA_EIO, "%s is not a directory", path);
    return 0;
}

char *file_exe_dir(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return NULL;
    *(slash == path ? slash + 1 : slash) = '\0';
    return str_dup(path);
}
