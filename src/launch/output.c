/* SPDX-License-Identifier: BSD-3-Clause */
/* Log files of launched processes: opening, the last lines, tidying. Following is in follow.c.
 */
#include "launch/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

#define TAIL_MAX (64u << 10)

int output_open(const char *path, struct ersa_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, ERSA_EIO, "%s", path);
    (void)flock(fd, LOCK_SH | LOCK_NB);
    return fd;
}

char *output_tail(const char *path, off_t from, size_t limit)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    if (st.st_size - from > (off_t)TAIL_MAX)
        from = st.st_size - (off_t)TAIL_MAX;
    CLEANUP(free_ptr) char *text = malloc(TAIL_MAX + 1);
    if (!text)
        return NULL;
    ssize_t n = pread(fd, text, TAIL_MAX, from);
    if (n < 0)
        return NULL;
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n] = '\0';
    const char *start = text + n;
    for (size_t lines = 0; start > text; start--)
        if (start[-1] == '\n' && ++lines == limit)
            break;
    return limit ? str_dup(start) : str_dup("");
}

void output_drop_empty(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
        unlink(path);
}

struct log_file {
    char *path;
    struct timespec mtime;
};

static int newest_first(const void *a, const void *b)
{
    const struct timespec *x = &((const struct log_file *)a)->mtime;
    const struct timespec *y = &((const struct log_file *)b)->mtime;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? 1 : -1;
    return x->tv_nsec == y->tv_nsec ? 0 : x->tv_nsec < y->tv_nsec ? 1 : -1;
}

static bool is_process_log(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, ".log") == 0 &&
           (strncmp(name, "ipengine-", 9) == 0 || strncmp(name, "ipcontroller-", 13) == 0);
}

static bool is_in_use(const char *path)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static size_t list_logs(const char *log_dir, struct log_file **ret)
{
    DIR *dir = opendir(log_dir);
    size_t n = 0, cap = 0;
    struct log_file *files = NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        if (!is_process_log(e->d_name) ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        if (n == cap) {
            struct log_file *more = reallocarray(files, cap ? 2 * cap : 64, sizeof(*files));
            if (!more)
                break;
            files = more;
            cap = cap ? 2 * cap : 64;
        }
        files[n] = (struct log_file){str_path(log_dir, e->d_name), st.st_mtim};
        if (!files[n].path)
            break;
        n++;
    }
    if (dir)
        closedir(dir);
    *ret = files;
    return n;
}

size_t output_prune(const char *log_dir, size_t keep)
{
    CLEANUP(free_ptr) struct log_file *files = NULL;
    size_t n = list_logs(log_dir, &files), removed = 0;
    if (n > keep)
        qsort(files, n, sizeof(*files), newest_first);
    for (size_t i = 0; i < n; i++) {
        if (i >= keep && !is_in_use(files[i].path) && unlink(files[i].path) == 0)
            removed++;
        free(files[i].path);
    }
    return removed;
}
