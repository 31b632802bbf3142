/* SPDX-License-Identifier: BSD-3-Clause */
/* Pid files under a lock. */
#include "cli/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/str.h"

static bool is_same_file(int fd, const char *path)
{
    struct stat mine, there;
    return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino &&
           mine.st_dev == there.st_dev;
}

static int refuse(int fd, const char *path, struct ersa_error *err)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? strcspn(text, "\n") : 0] = 0;
    return err_set(err, ERSA_EEXIST, "already running as process %s (%s)", *text ? text : "?",
                   path);
}

/* The open and locked file; the one who had it before may remove it between open and lock. */
static int lock_file(const char *path, struct ersa_error *err)
{
    for (;;) {
        CLEANUP(close_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_errno(err, ERSA_EIO, "%s", path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            if (errno == EWOULDBLOCK)
                return refuse(fd, path, err);
            log_warn("%s cannot be locked: %s", path, strerror(errno));
            return TAKE_FD(fd);
        }
        if (is_same_file(fd, path))
            return TAKE_FD(fd);
    }
}

int instance_claim(struct instance *ret, const char *pid_dir, const char *name,
                   struct ersa_error *err)
{
    *ret = (struct instance){.fd = -1};
    CLEANUP(free_ptr) char *path = str_printf("%s/%s.pid", pid_dir, name);
    if (!path)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    int fd = lock_file(path, err);
    if (fd < 0)
        return fd;
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        int rc = err_errno(err, ERSA_EIO, "%s", path);
        close(fd);
        return rc;
    }
    *ret = (struct instance){.fd = fd, .path = TAKE_PTR(path)};
    return 0;
}

void instance_release(struct instance *i)
{
    if (i->path)
        unlink(i->path);
    if (i->fd >= 0)
        close(i->fd);
    free(i->path);
    *i = (struct instance){.fd = -1};
}
