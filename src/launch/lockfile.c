/* SPDX-License-Identifier: BSD-3-Clause */
/* Advisory locks in files; see lockfile.h. */
#include "launch/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "launch/proc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"

#define RETRY_NS 5000000

/* Is the file that we hold still the one that has the name? */
static bool is_current(int fd, const char *path)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

static int take(const char *path, int flags, double timeout_s, struct ersa_error *err)
{
    int64_t deadline = clock_mono_ns() + (int64_t)(timeout_s * 1e9);
    for (;;) {
        CLEANUP(close_fd) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
        if (fd < 0)
            return errno == ENOENT && !(flags & O_CREAT) ? ERSA_ENOENT
                                                         : err_errno(err, ERSA_EIO, "%s", path);
        bool is_held = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (!is_held && errno != EWOULDBLOCK && errno != EINTR) {
            log_debug("no lock on %s: %s", path, strerror(errno));
            return TAKE_FD(fd);
        }
        if (is_held && is_current(fd, path))
            return TAKE_FD(fd);
        if (!is_held && clock_mono_ns() > deadline)
            return err_set(err, ERSA_ETIMEDOUT, "%s is held by another process", path);
        if (!is_held)
            nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    }
}

int lockfile_take(const char *path, double timeout_s, struct ersa_error *err)
{
    return take(path, O_CREAT, timeout_s, err);
}

void lockfile_drop(const char *path, int fd)
{
    if (fd < 0)
        return;
    unlink(path);
    close(fd);
}

int pidfile_create(const char *path, double timeout_s, struct ersa_error *err)
{
    CLEANUP(close_fd) int fd = take(path, O_CREAT, timeout_s, err);
    if (fd < 0)
        return fd;
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
        return err_errno(err, ERSA_EIO, "%s", path);
    return TAKE_FD(fd);
}

int pidfile_wait_gone(const char *path, double timeout_s, struct ersa_error *err)
{
    int fd = take(path, 0, timeout_s, err);
    if (fd == ERSA_ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    lockfile_drop(path, fd);
    return 0;
}

static bool is_held(int fd)
{
    return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

bool pidfile_signal(const char *path, int signo)
{
    char text[16] = "";
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || !is_held(fd) || read(fd, text, sizeof(text) - 1) <= 0)
        return false;
    long pid = strtol(text, NULL, 10);
    if (pid <= 0 || pid > INT_MAX)
        return false;
    CLEANUP(close_fd) int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    /* Still held: the pid that we have got hold of is the holder's. */
    if (pidfd < 0 || !is_held(fd))
        return false;
    proc_signal(pidfd, signo);
    return true;
}
