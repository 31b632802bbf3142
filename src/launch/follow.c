/* SPDX-License-Identifier: BSD-3-Clause */
/* Following files, as `tail -f` does: a timer looks at each, since inotify misses what other
 * hosts write to a shared directory. Only whole lines are copied, so lines of two files never
 * mix. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch/output.h"
#include "util/cleanup.h"

#define INTERVAL_NS MS_TO_NS(100)
#define CHUNK (64u << 10)

struct followed {
    struct list link;
    int fd;
    off_t at;
};

/* What is there, up to the last line's end; a chunk without any is copied as it is. False: no
 * more. */
static bool copy_lines(struct followed *file, int out_fd, char *chunk)
{
    ssize_t n = pread(file->fd, chunk, CHUNK, file->at);
    if (n <= 0)
        return false;
    const char *end = memrchr(chunk, '\n', (size_t)n);
    size_t len = end ? (size_t)(end - chunk) + 1 : (size_t)n == CHUNK ? CHUNK : 0;
    for (size_t done = 0; done < len;) {
        ssize_t wrote = write(out_fd, chunk + done, len - done);
        if (wrote <= 0)
            break;
        done += (size_t)wrote;
    }
    file->at += (off_t)len;
    return len == CHUNK;
}

void follow_drain(struct follow *f)
{
    CLEANUP(free_ptr) char *chunk = list_is_empty(&f->files) ? NULL : malloc(CHUNK);
    if (!chunk)
        return;
    list_for_each (&f->files, it) {
        struct followed *file = container_of(it, struct followed, link);
        while (copy_lines(file, f->out_fd, chunk))
            ;
    }
}

static void on_timer(struct timer *t)
{
    struct follow *f = container_of(t, struct follow, timer);
    follow_drain(f);
    loop_after(f->loop, t, INTERVAL_NS);
}

void follow_init(struct follow *f, struct loop *loop, int out_fd)
{
    *f = (struct follow){.loop = loop, .timer = {.fn = on_timer}, .out_fd = out_fd};
    list_init(&f->files);
}

void follow_fini(struct follow *f)
{
    if (!f->loop)
        return;
    follow_drain(f);
    loop_cancel(f->loop, &f->timer);
    for (struct list *it; (it = list_pop_front(&f->files));) {
        struct followed *file = container_of(it, struct followed, link);
        close(file->fd);
        free(file);
    }
}

int follow_add(struct follow *f, const char *path)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    struct followed *file = calloc(1, sizeof(*file));
    if (!file)
        return ERSA_ENOMEM;
    file->fd = TAKE_FD(fd);
    list_push_back(&f->files, &file->link);
    if (!timer_is_set(&f->timer))
        loop_after(f->loop, &f->timer, INTERVAL_NS);
    return 0;
}
