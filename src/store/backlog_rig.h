/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the backlog share: many requests, what of them is in the table and what in
 * files beside it, and a life that is killed. Only tests include it. */
#ifndef ERSA_STORE_BACKLOG_RIG_H
#define ERSA_STORE_BACKLOG_RIG_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "store/pending.h"
#include "store/store_rig.h"

enum { MANY = 8000 }; /* so many are more than may wait in memory */

static inline struct store *open_new(const struct store_limits *limits)
{
    remove_database();
    return reopen_sqlite(limits, 0);
}

/* What another process sees in the table. */
static inline int rows(const char *where)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM 'ipython-tasks' WHERE %s", where);
    return seen_outside(sql);
}

/* Files of what waits; the path of the last one in `path`. */
static inline int files(char *path, size_t cap)
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));)
        if (strncmp(e->d_name, "tasks.db-waiting-", 17) == 0) {
            snprintf(path, cap, "%s/%s", folder, e->d_name);
            n++;
        }
    closedir(dir);
    return n;
}

static inline int n_files(void)
{
    char path[512];
    return files(path, sizeof(path));
}

/* Requests that are in the file, or have been since their slot was written. */
static inline int n_aside(void)
{
    char path[512], head[16];
    int n = 0;
    if (!files(path, sizeof(path)))
        return 0;
    int fd = open(path, O_RDONLY);
    for (off_t at = 0; pread(fd, head, sizeof(head), at) == sizeof(head); at += 65536)
        n += memcmp(head, "ersa-bl1", 8) == 0;
    close(fd);
    return n;
}

static inline void name(int i, char ret[16])
{
    snprintf(ret, 16, "t%d", i);
}

static inline void put_many(struct store *st, int from, int to)
{
    static const struct slice buffers[] = {{"some", 4}, {"", 0}, {"data", 4}};
    for (int i = from; i < to; i++) {
        char id[16];
        name(i, id);
        struct store_record r = request(id, 1000 + i);
        r.set |= STORE_FIELD(F_buffers);
        r.v[F_buffers].binary = (struct store_binary){buffers, 3};
        put(st, &r);
    }
}

static inline void finish(struct store *st, int i)
{
    char id[16];
    name(i, id);
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_result_content, "{\"status\": \"ok\"}");
    set_date(&r, F_completed, 1767323045678901);
    assert_int_equal(st->ops->update(st, &r, NULL), 0);
}

static inline void tick(struct store *st)
{
    struct ersa_error err = {0};
    if (st->ops->tick(st, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void assert_whole(struct store *st, int i)
{
    char id[16];
    name(i, id);
    struct store_record r = get(st, id);
    assert_text(&r, F_header, "{\"msg_id\": 1}");
    assert_text(&r, F_queue, "task");
    assert_text(&r, F_stdout, "");
    assert_int_equal(r.v[F_submitted].date, 1000 + i);
    assert_int_equal(r.v[F_buffers].binary.n, 3);
    assert_true(slice_is(r.v[F_buffers].binary.items[2], "data"));
}

/* Records that wait in memory, as they are or with changes. */
static inline size_t n_pending(const struct store *st)
{
    return map_size(&st->pending->by_id);
}

/* No file may grow beyond `bytes`; 0: the limit of before. */
static inline void limit_files(rlim_t bytes)
{
    static struct rlimit before;
    struct rlimit small;
    if (!bytes) {
        setrlimit(RLIMIT_FSIZE, &before);
        return;
    }
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &small);
}

/* In a process that ends at once. */
static inline void in_a_life_that_is_killed(void (*scene)(struct store *st))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        scene(reopen_sqlite(NULL, 0));
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

#endif
