/* SPDX-License-Identifier: BSD-3-Clause */
/* fork + exec with a pipe that closes on exec: what comes through it is the errno of a failure.
 */
#include "loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/signals.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/list.h"

static void on_end(struct watch *w, unsigned events)
{
    struct child *c = container_of(w, struct child, watch);
    struct rusage usage;
    int status;
    pid_t pid;
    do
        pid = wait4(c->pid, &status, WNOHANG, &usage);
    while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return;
    if (pid < 0) { /* somebody else has reaped it: what it was can't be told */
        status = 0;
        memset(&usage, 0, sizeof(usage));
    }
    child_forget(c);
    c->fn(c, status, &usage);
}

/* In the child from here on: only what is safe after fork(). */

static int redirect(int target, int fd)
{
    if (fd == -1)
        return 0;
    if (fd == CHILD_DEV_NULL)
        fd = open("/dev/null", (target == STDIN_FILENO ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fd == target)
        return fcntl(fd, F_SETFD, 0);
    return dup2(fd, target) < 0 ? -1 : 0;
}

static int prepare(const struct child_spawn *s, pid_t parent)
{
    if (s->new_session && setsid() < 0)
        return -1;
    if (s->new_group && !s->new_session && setpgid(0, 0) < 0) /* a session has its group */
        return -1;
    if (s->parent_death_signal) {
        if (prctl(PR_SET_PDEATHSIG, s->parent_death_signal) < 0)
            return -1;
        if (getppid() != parent) /* it died before the call */
            _exit(127);
    }
    if (s->cwd && chdir(s->cwd) < 0)
        return -1;
    if (redirect(STDIN_FILENO, s->stdin_fd) < 0 || redirect(STDOUT_FILENO, s->stdout_fd) < 0 ||
        redirect(STDERR_FILENO, s->stderr_fd) < 0)
        return -1;
    for (const int *fd = s->keep_fds; fd && *fd >= 0; fd++)
        if (fcntl(*fd, F_SETFD, 0) < 0)
            return -1;
    return 0;
}

static _Noreturn void become(const struct child_spawn *s, pid_t parent, int report)
{
    for (int signo = 1; signo < NSIG; signo++)
        if (signo != SIGKILL && signo != SIGSTOP)
            signal(signo, SIG_DFL);
    signals_restore_in_child();
    if (report <= STDERR_FILENO) /* the parent runs without: these are to be redirected */
        report = fcntl(report, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (prepare(s, parent) == 0)
        execvpe(s->path, s->argv, s->envp ? s->envp : environ);
    int why = errno;
    ssize_t n = write(report, &why, sizeof(why));
    (void)n;
    _exit(127);
}

/* The errno of a failed exec, 0 when the pipe was closed by a successful one. */
static int read_report(int fd)
{
    int why = 0;
    ssize_t n;
    do
        n = read(fd, &why, sizeof(why));
    while (n < 0 && errno == EINTR);
    return n == sizeof(why) ? why : 0;
}

static int watch_end(struct child *c)
{
    int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (fd < 0)
        return ERSA_EIO;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    c->watch = (struct watch){.fn = on_end};
    int rc = loop_watch(c->loop, &c->watch, fd, LOOP_READ, LOOP_NORMAL);
    if (rc < 0)
        close(fd);
    return rc;
}

int child_start(struct child *c, struct loop *l, const struct child_spawn *spawn, child_fn fn,
                struct ersa_error *err)
{
    int report[2];
    *c = (struct child){.loop = l, .fn = fn};
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_errno(err, ERSA_EIO, "%s can't be started", spawn->path);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(spawn, parent, report[1]);
    close(report[1]);
    CLEANUP(close_fd) int from_child = report[0];
    if (pid < 0)
        return err_errno(err, ERSA_EIO, "%s can't be started", spawn->path);
    int why = read_report(from_child);
    if (why) {
        waitpid(pid, NULL, 0);
        errno = why;
        return err_errno(err, why == ENOENT ? ERSA_ENOENT : ERSA_EIO, "%s can't be started",
                         spawn->path);
    }
    c->pid = pid;
    int rc = watch_end(c);
    if (rc < 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        c->pid = 0;
        return err_set(err, rc, "%s can't be watched: no descriptors left", spawn->path);
    }
    return 0;
}

void child_forget(struct child *c)
{
    if (!c->pid)
        return;
    int fd = c->watch.fd;
    loop_unwatch(c->loop, &c->watch);
    close(fd);
    c->pid = 0;
}

const char *child_status_text(int status)
{
    static _Thread_local char text[96];
    if (WIFEXITED(status))
        snprintf(text, sizeof(text), "exit code %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        snprintf(text, sizeof(text), "killed by signal %d (SIG%s)%s", WTERMSIG(status),
                 sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?",
                 WCOREDUMP(status) ? ", core dumped" : "");
    else
        snprintf(text, sizeof(text), "wait status %d", status);
    return text;
}
