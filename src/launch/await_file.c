/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for a connection file; see await_file.h. */
#include "launch/await_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "config/connection_file.h"
#include "util/err.h"
#include "util/str.h"

#define POLL_NS MS_TO_NS(100)

void file_mark_take(struct file_mark *m, const char *path)
{
    m->exists = stat(path, &m->st) == 0;
}

bool file_mark_is_newer(const struct file_mark *m, const char *path)
{
    struct stat now;
    if (stat(path, &now) < 0)
        return false;
    return !m->exists || now.st_dev != m->st.st_dev || now.st_ino != m->st.st_ino ||
           now.st_size != m->st.st_size ||
           memcmp(&now.st_mtim, &m->st.st_mtim, sizeof(now.st_mtim)) != 0 ||
           memcmp(&now.st_ctim, &m->st.st_ctim, sizeof(now.st_ctim)) != 0;
}

static void finish(struct await_file *a, int rc, const struct ersa_error *err)
{
    await_file_fn fn = a->fn;
    void *ctx = a->ctx;
    await_file_stop(a);
    fn(ctx, rc, err);
}

static void look(struct await_file *a)
{
    if (!file_mark_is_newer(&a->before, a->path))
        return;
    struct connection_info info;
    a->why = (struct ersa_error){0};
    if (connection_file_read(a->path, true, &info, &a->why) < 0)
        return;
    connection_info_fini(&info);
    finish(a, 0, NULL);
}

static void on_inotify(struct watch *w, unsigned events)
{
    char drain[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    while (read(w->fd, drain, sizeof(drain)) > 0)
        ;
    look(container_of(w, struct await_file, inotify));
}

static void on_poll(struct timer *t)
{
    struct await_file *a = container_of(t, struct await_file, poll);
    loop_after(a->loop, t, POLL_NS);
    look(a);
}

static void on_deadline(struct timer *t)
{
    struct await_file *a = container_of(t, struct await_file, deadline);
    struct ersa_error err = {0};
    err_set(&err, ERSA_ETIMEDOUT, "the controller did not write %.150s in time%s%.60s", a->path,
            a->why.code ? ": " : "", a->why.text);
    finish(a, ERSA_ETIMEDOUT, &err);
}

static void watch_folder(struct await_file *a)
{
    char *folder = str_dup(a->path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    int fd = slash ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
    if (fd >= 0) {
        *slash = '\0';
        if (inotify_add_watch(fd, folder, IN_MOVED_TO | IN_CLOSE_WRITE) < 0 ||
            loop_watch(a->loop, &a->inotify, fd, LOOP_READ, LOOP_NORMAL) < 0) {
            close(fd);
            a->inotify.fd = -1;
        }
    }
    free(folder);
}

int await_file_start(struct await_file *a, struct loop *l, const char *path,
                     const struct file_mark *before, double timeout_s, await_file_fn fn,
                     void *ctx)
{
    *a = (struct await_file){.loop = l,
                             .before = *before,
                             .inotify = {.fd = -1, .fn = on_inotify},
                             .poll = {.fn = on_poll},
                             .deadline = {.fn = on_deadline},
                             .fn = fn,
                             .ctx = ctx};
    a->path = str_dup(path);
    if (!a->path) {
        a->loop = NULL;
        return ERSA_ENOMEM;
    }
    watch_folder(a);
    if (timeout_s >= 0)
        loop_after(l, &a->deadline, (int64_t)(timeout_s * 1e9));
    loop_after(l, &a->poll, 0); /* the file may have come before the watch */
    return 0;
}

void await_file_stop(struct await_file *a)
{
    if (!a->loop)
        return;
    if (a->inotify.fd >= 0) {
        loop_unwatch(a->loop, &a->inotify);
        close(a->inotify.fd);
    }
    loop_cancel(a->loop, &a->poll);
    loop_cancel(a->loop, &a->deadline);
    free(a->path);
    *a = (struct await_file){0};
}
