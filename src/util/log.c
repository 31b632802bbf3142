/* SPDX-License-Identifier: BSD-3-Clause */
/* One line, one write(): lines of threads and processes don't mix. */
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ersa/error.h"
#include "util/cleanup.h"
#include "util/str.h"

#define LINE_MAX_OCTETS 4096
#define NAME_MAX_OCTETS 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* name, path, fd */
static char name[NAME_MAX_OCTETS] = "ersa";
static char *path;
static int fd = STDERR_FILENO;
static atomic_int level = LOG_INFO;

static const char *level_word(int l)
{
    if (l >= LOG_CRITICAL)
        return "CRITICAL | ";
    if (l >= LOG_ERROR)
        return "ERROR | ";
    if (l >= LOG_WARN)
        return "WARNING | ";
    return "";
}

void log_set_name(const char *new_name)
{
    pthread_mutex_lock(&lock);
    snprintf(name, sizeof(name), "%s", new_name);
    pthread_mutex_unlock(&lock);
}

void log_set_level(int l)
{
    atomic_store_explicit(&level, l, memory_order_relaxed);
}

int log_level(void)
{
    return atomic_load_explicit(&level, memory_order_relaxed);
}

/* With the lock held. */
static int open_at(const char *where)
{
    int opened = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (opened < 0)
        return ERSA_EIO;
    if (fd != STDERR_FILENO)
        close(fd);
    fd = opened;
    return 0;
}

int log_open_file(const char *new_path)
{
    char *copy = str_dup(new_path);
    if (!copy)
        return ERSA_EIO;
    pthread_mutex_lock(&lock);
    int rc = open_at(copy);
    if (rc == 0) {
        free(path);
        path = TAKE_PTR(copy);
    }
    pthread_mutex_unlock(&lock);
    free(copy);
    return rc;
}

void log_reopen(void)
{
    pthread_mutex_lock(&lock);
    if (path)
        open_at(path);
    pthread_mutex_unlock(&lock);
}

void log_msg(int l, const char *fmt, ...)
{
    char line[LINE_MAX_OCTETS];
    struct timespec now;
    struct tm tm;
    int saved = errno;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    size_t n = strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S", &tm);
    pthread_mutex_lock(&lock);
    n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03d [%s] %s",
                          (int)(now.tv_nsec / 1000000), name, level_word(l));
    va_list ap;
    va_start(ap, fmt);
    int text = vsnprintf(line + n, sizeof(line) - n, fmt, ap);
    va_end(ap);
    if (text > 0)
        n += (size_t)text;
    if (n > sizeof(line) - 1)
        n = sizeof(line) - 1;
    line[n++] = '\n';
    ssize_t written = write(fd, line, n);
    pthread_mutex_unlock(&lock);
    (void)written; /* where a log line can't go, nothing can be said */
    errno = saved;
}
