/* SPDX-License-Identifier: BSD-3-Clause */
/* The way into the background; see daemonize.h. */
#include "cli/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/output.h"
#include "util/err.h"

static volatile pid_t background;

/* Ctrl-C reaches both through the terminal; what is sent to us alone is handed on. */
static void hand_on(int signo)
{
    kill(background, signo);
}

static _Noreturn void wait_for(int fd, pid_t pid)
{
    background = pid;
    struct sigaction sa = {.sa_handler = hand_on, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    sa.sa_handler = SIG_IGN;
    sigaction(SIGINT, &sa, NULL);
    char ready;
    ssize_t n;
    while ((n = read(fd, &ready, 1)) < 0 && errno == EINTR)
        ;
    if (n == 1)
        _exit(0);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int daemonize_begin(struct daemonize *d, struct ersa_error *err)
{
    int fds[2];
    d->fd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return err_errno(err, ERSA_EIO, "socketpair");
    pid_t pid = fork();
    if (pid < 0) {
        int rc = err_errno(err, ERSA_EIO, "fork");
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    if (pid > 0) {
        close(fds[1]);
        wait_for(fds[0], pid);
    }
    close(fds[0]);
    d->fd = fds[1];
    return 0;
}

static void replace(int target, int fd)
{
    if (fd < 0)
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd >= 0 && fd != target) {
        dup2(fd, target);
        close(fd);
    }
}

void daemonize_ready(struct daemonize *d, const char *output_file)
{
    if (d->fd < 0)
        return;
    setsid();
    replace(STDIN_FILENO, -1);
    replace(STDOUT_FILENO, output_open(output_file, NULL));
    replace(STDERR_FILENO, output_open(output_file, NULL));
    (void)!send(d->fd, "", 1, MSG_NOSIGNAL); /* who waited may be gone */
    close(d->fd);
    d->fd = -1;
}
