/* SPDX-License-Identifier: BSD-3-Clause */
/* A signalfd on the loop. The mask from before is kept for children, which inherit it. */
#include "loop/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ersa/error.h"
#include "util/list.h"

static sigset_t before;
static bool is_open;

static void on_ready(struct watch *w, unsigned events)
{
    struct signals *s = container_of(w, struct signals, watch);
    struct signalfd_siginfo info;
    while (s->watch.slot && read(w->fd, &info, sizeof(info)) == sizeof(info))
        s->fn(s->ctx, (int)info.ssi_signo);
}

static bool is_ignored(int signo)
{
    struct sigaction sa;
    return sigaction(signo, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

int signals_open(struct signals *s, struct loop *l, const int *signos, signal_fn fn, void *ctx)
{
    sigset_t set;
    *s = (struct signals){.watch.fn = on_ready, .loop = l, .fn = fn, .ctx = ctx};
    sigemptyset(&set);
    for (; *signos; signos++)
        if (*signos != SIGHUP || !is_ignored(SIGHUP)) /* blocked, it would reach us again */
            sigaddset(&set, *signos);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return ERSA_EIO;
    int rc = loop_watch(l, &s->watch, fd, LOOP_READ, LOOP_URGENT);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    pthread_sigmask(SIG_BLOCK, &set, is_open ? NULL : &before);
    is_open = true;
    return 0;
}

void signals_close(struct signals *s)
{
    if (!s->watch.slot)
        return;
    loop_unwatch(s->loop, &s->watch);
    close(s->watch.fd);
    signals_restore_in_child();
    is_open = false;
}

bool signals_hangup_ends(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void signals_restore_in_child(void)
{
    if (is_open)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}
