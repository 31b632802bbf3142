/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipes to pieces of text. */
#include "engine/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "ersa/error.h"

#define READ_SIZE 65536u
#define SHORT_READ 4096u /* less than that: no hurry to look again */

/* Length of the text without a character at its end that may still be finished. */
static size_t whole_characters(const uint8_t *s, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        uint8_t c = s[len - back];
        if ((c & 0xc0) == 0x80)
            continue;
        size_t want = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        if (c >= 0xf5)
            want = 1;
        return want > back ? len - back : len;
    }
    return len;
}

static void hand_on(struct output_pipe *p, bool is_end)
{
    size_t n = is_end ? p->text.len : whole_characters(p->text.data, p->text.len);
    if (n == 0)
        return;
    struct output *o = p->output;
    o->fn(o->ctx, p->which, (struct slice){(const char *)p->text.data, n});
    buf_consume(&p->text, n);
    if (p->text.len == 0 && p->text.cap > READ_SIZE) {
        buf_fini(&p->text);
        buf_init(&p->text, 2 * OUTPUT_PIECE);
    }
}

static void hand_on_all(struct output *o, bool is_end)
{
    loop_cancel(o->loop, &o->delay);
    for (int i = 0; i < OUTPUT_MAX; i++)
        hand_on(&o->pipes[i], is_end);
}

static void on_delay(struct timer *t)
{
    hand_on_all(container_of(t, struct output, delay), false);
}

static void close_pipe(struct output_pipe *p)
{
    if (!p->is_open)
        return;
    p->is_open = false;
    loop_cancel(p->output->loop, &p->pause);
    loop_unwatch(p->output->loop, &p->watch);
    close(p->watch.fd);
}

/* Octets read; 0: there is nothing now, or for good. */
static size_t read_once(struct output_pipe *p)
{
    if (buf_reserve(&p->text, p->text.cap ? READ_SIZE : SHORT_READ) < 0)
        return 0;
    ssize_t n;
    do
        n = read(p->watch.fd, p->text.data + p->text.len, p->text.cap - p->text.len);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        close_pipe(p);
    if (n <= 0)
        return 0;
    p->text.len += (size_t)n;
    if (p->text.len >= OUTPUT_PIECE)
        hand_on(p, false);
    return (size_t)n;
}

static void set_events(struct output_pipe *p)
{
    bool on = !p->output->is_held && !timer_is_set(&p->pause);
    unsigned events = on ? LOOP_READ : 0;
    if (p->is_open && p->watch.events != events)
        loop_rewatch(p->output->loop, &p->watch, events);
}

static void on_pause(struct timer *t)
{
    set_events(container_of(t, struct output_pipe, pause));
}

static void on_readable(struct watch *w, unsigned events)
{
    struct output_pipe *p = container_of(w, struct output_pipe, watch);
    struct output *o = p->output;
    size_t n = read_once(p);
    if (n == 0)
        return;
    if (p->text.len && !timer_is_set(&o->delay))
        loop_after(o->loop, &o->delay, MS_TO_NS(OUTPUT_DELAY_MS));
    if (n < SHORT_READ && p->is_open) {
        loop_after(o->loop, &p->pause, MS_TO_NS(OUTPUT_PAUSE_MS));
        set_events(p);
    }
}

/* Two pipes, one system call while they are empty. */
static bool has_input(struct output *o, short revents[OUTPUT_MAX])
{
    struct pollfd fds[OUTPUT_MAX];
    for (int i = 0; i < OUTPUT_MAX; i++) {
        const struct output_pipe *p = &o->pipes[i];
        fds[i] = (struct pollfd){p->is_open ? p->watch.fd : -1, POLLIN, 0};
    }
    if (poll(fds, OUTPUT_MAX, 0) <= 0)
        return false;
    for (int i = 0; i < OUTPUT_MAX; i++)
        revents[i] = fds[i].revents;
    return true;
}

static void read_all(struct output *o)
{
    short revents[OUTPUT_MAX];
    size_t budget = OUTPUT_DRAIN_MAX;
    while (budget && has_input(o, revents)) {
        for (int i = 0; i < OUTPUT_MAX; i++) {
            size_t n = revents[i] ? read_once(&o->pipes[i]) : 0;
            budget -= n < budget ? n : budget;
        }
    }
}

void output_drain(struct output *o)
{
    read_all(o);
    hand_on_all(o, false);
}

void output_hold(struct output *o, bool on)
{
    o->is_held = on;
    for (int i = 0; i < OUTPUT_MAX; i++)
        set_events(&o->pipes[i]);
}

int output_open(struct output *o, struct loop *l, int out_fd, int err_fd, output_fn fn,
                void *ctx)
{
    int fds[OUTPUT_MAX] = {out_fd, err_fd}, rc = 0;
    *o = (struct output){.loop = l, .fn = fn, .ctx = ctx, .delay.fn = on_delay};
    for (int i = 0; i < OUTPUT_MAX; i++) {
        struct output_pipe *p = &o->pipes[i];
        *p = (struct output_pipe){.output = o,
                                  .which = (enum output_stream)i,
                                  .watch.fn = on_readable,
                                  .pause.fn = on_pause};
        buf_init(&p->text, 2 * OUTPUT_PIECE);
        int flags = fcntl(fds[i], F_GETFL);
        if (rc == 0 && (flags < 0 || fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) < 0))
            rc = ERSA_EIO;
        if (rc == 0)
            rc = loop_watch(l, &p->watch, fds[i], LOOP_READ, LOOP_NORMAL);
        if (rc == 0)
            p->is_open = true;
        else
            close(fds[i]);
    }
    if (rc < 0)
        output_close(o);
    return rc;
}

void output_close(struct output *o)
{
    if (!o->loop)
        return;
    read_all(o);
    hand_on_all(o, true);
    for (int i = 0; i < OUTPUT_MAX; i++) {
        close_pipe(&o->pipes[i]);
        buf_fini(&o->pipes[i].text);
    }
    o->loop = NULL;
}
