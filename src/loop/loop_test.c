/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers, order, what may be done inside callbacks. */
#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char said[64];

static void say(char c)
{
    size_t n = strlen(said);
    said[n] = c;
    said[n + 1] = '\0';
}

struct named_timer {
    struct timer t;
    char name;
};

static void on_timer(struct timer *t)
{
    say(container_of(t, struct named_timer, t)->name);
}

static void test_timers_with_a_fake_clock(void **state)
{
    struct loop *l = loop_new();
    struct named_timer a = {{.fn = on_timer}, 'a'}, b = {{.fn = on_timer}, 'b'},
                       c = {{.fn = on_timer}, 'c'};
    said[0] = '\0';
    loop_set_clock(l, 1000);
    loop_after(l, &a.t, MS_TO_NS(20));
    loop_after(l, &b.t, MS_TO_NS(10));
    loop_after(l, &c.t, MS_TO_NS(5));
    assert_true(timer_is_set(&a.t));
    loop_cancel(l, &c.t);
    loop_cancel(l, &c.t);
    loop_turn(l, 0);
    assert_string_equal(said, "");
    loop_set_clock(l, 1000 + MS_TO_NS(10));
    loop_turn(l, 0);
    assert_string_equal(said, "b");
    loop_after(l, &a.t, MS_TO_NS(100));
    loop_set_clock(l, 1000 + MS_TO_NS(109));
    loop_turn(l, 0);
    assert_string_equal(said, "b");
    loop_set_clock(l, 1000 + MS_TO_NS(110));
    loop_turn(l, 0);
    assert_string_equal(said, "ba");
    assert_false(timer_is_set(&a.t));
    loop_free(l);
}

static void stop_loop(struct timer *t);
struct stopper {
    struct timer t;
    struct loop *l;
};
static void stop_loop(struct timer *t)
{
    loop_stop(container_of(t, struct stopper, t)->l);
}

static void test_real_time(void **state)
{
    struct loop *l = loop_new();
    struct stopper s = {{.fn = stop_loop}, l};
    int64_t start = loop_now_ns(l);
    loop_after(l, &s.t, MS_TO_NS(15));
    assert_int_equal(loop_run(l), 0);
    assert_true(loop_now_ns(l) - start >= MS_TO_NS(15));
    loop_free(l);
}

static void test_stop_before_the_run(void **state)
{
    struct loop *l = loop_new();
    struct stopper s = {{.fn = stop_loop}, l};
    loop_stop(l);
    assert_int_equal(loop_run(l), 0);
    loop_after(l, &s.t, 0); /* the next run is not stopped yet */
    assert_int_equal(loop_run(l), 0);
    assert_false(timer_is_set(&s.t));
    loop_free(l);
}

struct restarting {
    struct timer t;
    struct loop *l;
};

static void on_restart(struct timer *t)
{
    struct restarting *r = container_of(t, struct restarting, t);
    if (strlen(said) < 10)
        say('r');
    loop_after(r->l, t, 0);
}

static void test_timer_that_restarts_at_once(void **state)
{
    struct loop *l = loop_new();
    struct restarting r = {{.fn = on_restart}, l};
    said[0] = '\0';
    loop_set_clock(l, 1000);
    loop_after(l, &r.t, 0);
    loop_turn(l, -1);
    assert_string_equal(said, "r");
    loop_turn(l, -1);
    assert_string_equal(said, "rr");
    loop_cancel(l, &r.t);
    loop_free(l);
}

struct pipe_watch {
    struct watch w;
    int fds[2];
    char name;
    struct loop *l;
    struct pipe_watch *victim;
};

static void on_pipe(struct watch *w, unsigned events)
{
    struct pipe_watch *p = container_of(w, struct pipe_watch, w);
    char c;
    say(p->name);
    if (p->victim)
        loop_unwatch(p->l, &p->victim->w);
    if (read(p->fds[0], &c, 1) == 0)
        say('!');
}

static void open_pipe(struct pipe_watch *p, struct loop *l, char name, enum loop_prio prio)
{
    *p = (struct pipe_watch){.w.fn = on_pipe, .name = name, .l = l};
    assert_int_equal(pipe(p->fds), 0);
    assert_int_equal(loop_watch(l, &p->w, p->fds[0], LOOP_READ, prio), 0);
}

static void close_pipe(struct pipe_watch *p)
{
    loop_unwatch(p->l, &p->w);
    close(p->fds[0]);
    if (p->fds[1] >= 0)
        close(p->fds[1]);
}

static void test_urgent_first_and_unwatch_inside(void **state)
{
    struct loop *l = loop_new();
    struct pipe_watch bulk, urgent, normal;
    said[0] = '\0';
    open_pipe(&bulk, l, 'b', LOOP_BULK);
    open_pipe(&urgent, l, 'u', LOOP_URGENT);
    open_pipe(&normal, l, 'n', LOOP_NORMAL);
    assert_int_equal(write(bulk.fds[1], "x", 1), 1);
    assert_int_equal(write(urgent.fds[1], "x", 1), 1);
    assert_int_equal(write(normal.fds[1], "x", 1), 1);
    normal.victim = &bulk;
    loop_turn(l, 0);
    assert_string_equal(said, "un");
    close_pipe(&bulk);
    close_pipe(&urgent);
    close_pipe(&normal);
    loop_free(l);
}

static struct pipe_watch newcomer;

/* Unwatches the victim and gives its slot to another. */
static void on_swap(struct watch *w, unsigned events)
{
    struct pipe_watch *p = container_of(w, struct pipe_watch, w);
    unsigned slot = p->victim->w.slot;
    say(p->name);
    loop_unwatch(p->l, &p->victim->w);
    newcomer.w = (struct watch){.fn = on_pipe};
    loop_watch(p->l, &newcomer.w, newcomer.fds[0], LOOP_READ, LOOP_BULK);
    if (newcomer.w.slot == slot)
        say('='); /* or else this tests nothing */
    loop_unwatch(p->l, w);
}

static void test_stale_event_reaches_nobody(void **state)
{
    struct loop *l = loop_new();
    struct pipe_watch victim, swapper;
    said[0] = '\0';
    newcomer = (struct pipe_watch){.name = 'n', .l = l};
    assert_int_equal(pipe2(newcomer.fds, O_NONBLOCK), 0);
    open_pipe(&victim, l, 'v', LOOP_BULK);
    open_pipe(&swapper, l, 's', LOOP_URGENT);
    swapper.w.fn = on_swap;
    swapper.victim = &victim;
    assert_int_equal(write(victim.fds[1], "x", 1), 1);
    assert_int_equal(write(swapper.fds[1], "x", 1), 1);
    loop_turn(l, 0);
    assert_string_equal(said, "s=");
    loop_turn(l, 0);
    assert_string_equal(said, "s=");
    assert_int_equal(write(newcomer.fds[1], "x", 1), 1);
    loop_turn(l, 0);
    assert_string_equal(said, "s=n");
    close_pipe(&victim);
    close_pipe(&swapper);
    close_pipe(&newcomer);
    loop_free(l);
}

static void on_pause(struct watch *w, unsigned events)
{
    struct pipe_watch *p = container_of(w, struct pipe_watch, w);
    say(p->name);
    loop_rewatch(p->l, &p->victim->w, 0);
    loop_unwatch(p->l, w);
}

static void test_paused_inside(void **state)
{
    struct loop *l = loop_new();
    struct pipe_watch victim, pauser;
    said[0] = '\0';
    open_pipe(&victim, l, 'v', LOOP_NORMAL);
    open_pipe(&pauser, l, 'p', LOOP_URGENT);
    pauser.w.fn = on_pause;
    pauser.victim = &victim;
    assert_int_equal(write(victim.fds[1], "x", 1), 1);
    assert_int_equal(write(pauser.fds[1], "x", 1), 1);
    loop_turn(l, 0);
    loop_turn(l, 0);
    assert_string_equal(said, "p");
    loop_rewatch(l, &victim.w, LOOP_READ);
    loop_turn(l, 0);
    assert_string_equal(said, "pv");
    close_pipe(&victim);
    close_pipe(&pauser);
    loop_free(l);
}

static void test_hang_up_is_read(void **state)
{
    struct loop *l = loop_new();
    struct pipe_watch p;
    said[0] = '\0';
    open_pipe(&p, l, 'p', LOOP_NORMAL);
    close(p.fds[1]);
    p.fds[1] = -1;
    loop_rewatch(l, &p.w, 0);
    loop_turn(l, 0);
    assert_string_equal(said, "");
    loop_rewatch(l, &p.w, LOOP_READ);
    loop_turn(l, 0);
    assert_string_equal(said, "p!");
    close_pipe(&p);
    loop_free(l);
}

struct named_defer {
    struct defer d;
    char name;
    struct loop *l;
    int again;
};

static void on_defer(struct defer *d)
{
    struct named_defer *n = container_of(d, struct named_defer, d);
    say(n->name);
    if (n->again-- > 0)
        loop_defer(n->l, d);
}

static void test_deferred_work(void **state)
{
    struct loop *l = loop_new();
    struct named_defer a = {.d.fn = on_defer, .name = 'a', .l = l, .again = 1};
    struct named_defer b = {.d.fn = on_defer, .name = 'b', .l = l};
    struct named_defer c = {.d.fn = on_defer, .name = 'c', .l = l};
    said[0] = '\0';
    list_init(&a.d.link);
    list_init(&b.d.link);
    list_init(&c.d.link);
    loop_defer(l, &a.d);
    loop_defer(l, &c.d);
    loop_defer(l, &b.d);
    loop_defer(l, &a.d);
    loop_undefer(&c.d);
    loop_turn(l, -1);
    assert_string_equal(said, "ab");
    loop_turn(l, -1);
    assert_string_equal(said, "aba");
    loop_free(l);
}

static void test_many_watches(void **state)
{
    struct loop *l = loop_new();
    static struct pipe_watch p[100];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            open_pipe(&p[i], l, 'x', LOOP_NORMAL);
        said[0] = '\0';
        for (int i = 0; i < 100; i += 10)
            assert_int_equal(write(p[i].fds[1], "x", 1), 1);
        loop_turn(l, 0);
        assert_string_equal(said, "xxxxxxxxxx");
        for (int i = 0; i < 100; i++)
            close_pipe(&p[i]);
    }
    loop_free(l);
    loop_free(NULL);
}

struct echo {
    struct watch w;
    struct timer idle;
    struct loop *l;
    int left;
    int64_t cpu_ns; /* of the idle time at the end */
};

static int64_t thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void on_echo(struct watch *w, unsigned events)
{
    struct echo *e = container_of(w, struct echo, w);
    char c;
    assert_int_equal(read(w->fd, &c, 1), 1);
    if (--e->left) {
        assert_int_equal(write(w->fd, &c, 1), 1);
        return;
    }
    e->cpu_ns = thread_cpu_ns();
    assert_int_equal(loop_after(e->l, &e->idle, MS_TO_NS(200)), 0);
}

static void on_idle_over(struct timer *t)
{
    struct echo *e = container_of(t, struct echo, idle);
    e->cpu_ns = thread_cpu_ns() - e->cpu_ns;
    loop_stop(e->l);
}

static void *send_back(void *arg)
{
    char c;
    int fd = *(int *)arg;
    while (read(fd, &c, 1) == 1 && write(fd, &c, 1) == 1)
        ;
    return NULL;
}

/* Messages and timers come in while it looks; when nothing more comes it sleeps. */
static void test_busy_and_idle(void **state)
{
    int fds[2];
    pthread_t peer;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(pthread_create(&peer, NULL, send_back, &fds[1]), 0);
    struct echo e = {.w.fn = on_echo, .idle.fn = on_idle_over, .l = loop_new(), .left = 500};
    loop_set_busy_poll(e.l, MS_TO_NS(5));
    assert_int_equal(loop_watch(e.l, &e.w, fds[0], LOOP_READ, LOOP_NORMAL), 0);
    assert_int_equal(write(fds[0], "x", 1), 1);
    assert_int_equal(loop_run(e.l), 0);
    assert_int_equal(e.left, 0);
    assert_true(e.cpu_ns < MS_TO_NS(100));
    loop_free(e.l);
    close(fds[0]);
    pthread_join(peer, NULL);
    close(fds[1]);
}

#define CROWD 200 /* ready at once: more than a turn serves */

struct crowd {
    struct watch w[CROWD];
    int fds[2], served;
};

struct listener {
    struct defer d;
    int ran;
};

static struct crowd crowd;
static struct loop *crowd_loop;

static void on_crowd(struct watch *w, unsigned events)
{
    crowd.served++;
    loop_rewatch(crowd_loop, w, 0);
}

static void on_heard(struct defer *d)
{
    container_of(d, struct listener, d)->ran++;
}

static void gather(void)
{
    crowd.served = 0;
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(loop_rewatch(crowd_loop, &crowd.w[i], LOOP_READ), 0);
}

/* Who asks hears when all have been served that were ready, in whatever turn that is. */
static void test_hear_out(void **state)
{
    struct listener a = {.d.fn = on_heard}, b = {.d.fn = on_heard}, c = {.d.fn = on_heard};
    list_init(&a.d.link);
    list_init(&b.d.link);
    list_init(&c.d.link);
    crowd_loop = loop_new();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, crowd.fds), 0);
    assert_int_equal(write(crowd.fds[1], "x", 1), 1);
    for (int i = 0; i < CROWD; i++) {
        crowd.w[i].fn = on_crowd;
        assert_int_equal(
            loop_watch(crowd_loop, &crowd.w[i], dup(crowd.fds[0]), LOOP_READ, LOOP_NORMAL), 0);
    }
    loop_hear_out(crowd_loop, &a.d);
    loop_hear_out(crowd_loop, &a.d);
    loop_turn(crowd_loop, 0);
    assert_int_equal(a.ran, 0);
    assert_in_range(crowd.served, 1, CROWD - 1);
    loop_hear_out(crowd_loop, &b.d);
    loop_hear_out(crowd_loop, &c.d);
    loop_undefer(&c.d);
    while (!a.ran)
        loop_turn(crowd_loop, 0);
    assert_int_equal(crowd.served, CROWD);
    assert_int_equal(b.ran, 0);
    gather();
    loop_turn(crowd_loop, 0);
    assert_int_equal(b.ran, 1); /* asked before these were ready */
    assert_in_range(crowd.served, 1, CROWD - 1);
    gather();
    while (crowd.served < CROWD)
        loop_turn(crowd_loop, 0);
    assert_int_equal(a.ran, 1);
    assert_int_equal(b.ran, 1);
    assert_int_equal(c.ran, 0);
    for (int i = 0; i < CROWD; i++) {
        loop_unwatch(crowd_loop, &crowd.w[i]);
        close(crowd.w[i].fd);
    }
    close(crowd.fds[0]);
    close(crowd.fds[1]);
    loop_free(crowd_loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_with_a_fake_clock),
        cmocka_unit_test(test_real_time),
        cmocka_unit_test(test_stop_before_the_run),
        cmocka_unit_test(test_timer_that_restarts_at_once),
        cmocka_unit_test(test_urgent_first_and_unwatch_inside),
        cmocka_unit_test(test_stale_event_reaches_nobody),
        cmocka_unit_test(test_paused_inside),
        cmocka_unit_test(test_hang_up_is_read),
        cmocka_unit_test(test_deferred_work),
        cmocka_unit_test(test_many_watches),
        cmocka_unit_test(test_busy_and_idle),
        cmocka_unit_test(test_hear_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
