/* SPDX-License-Identifier: BSD-3-Clause */
/* Simulated engines in a process of their own, as many as its descriptors allow: for the keys
 * about thousands of engines (keys_scale.py), whose tasks come from elsewhere.
 *
 *     engines CLIENT_FILE ENGINE_FILE --engines M [--attach]
 *
 * Stock ones with their eight connections, or with --attach like ours; with CURVE where the
 * connection files have a server key. Prints `waiting` and reads a line, opens all connections
 * without a pause, prints `registered` once every engine has its id, and serves until standard
 * input ends. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sim.h"

#define OTHER_DESCRIPTORS 16
#define STOCK_CONNECTIONS 8

struct crowd {
    struct loop *loop;
    struct sim_target target;
    struct sim_engine **engines;
    unsigned n, registered;
    struct watch orders;
    bool ended;
};

static bool has_descriptors(unsigned long need)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return false;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max >= need + OTHER_DESCRIPTORS;
}

static void on_order(struct watch *w, unsigned events)
{
    struct crowd *c = container_of(w, struct crowd, orders);
    char text[64];
    if (read(w->fd, text, sizeof text) <= 0)
        c->ended = true;
}

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

static bool open_all(struct crowd *c, struct wire *w, bool attached)
{
    for (unsigned i = 0; i < c->n; i++)
        c->engines[i] = sim_engine_new(c->loop, w, &c->target, false, attached);
    return loop_watch(c->loop, &c->orders, STDIN_FILENO, LOOP_READ, LOOP_NORMAL) == 0;
}

static void serve(struct crowd *c)
{
    bool told = false;
    while (!c->ended && loop_turn(c->loop, -1) == 0) {
        if (c->registered == c->n && !told)
            say("registered");
        told = c->registered == c->n;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"engines", required_argument, NULL, 'e'}, {"attach", no_argument, NULL, 'a'}, {0}};
    static struct crowd c = {.orders = {.fn = on_order}};
    bool attached = false;
    char line[16];

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'e')
            c.n = (unsigned)atoi(optarg);
        else if (o == 'a')
            attached = true;
        else
            return 2;
    }
    if (argc - optind != 2 || c.n == 0) {
        fprintf(stderr, "usage: engines CLIENT_FILE ENGINE_FILE --engines M [--attach]\n");
        return 2;
    }
    if (!has_descriptors((unsigned long)c.n * (attached ? 1 : STOCK_CONNECTIONS))) {
        fprintf(stderr, "engines: the limit of descriptors is too low for %u\n", c.n);
        return 1;
    }
    c.engines = calloc(c.n, sizeof(struct sim_engine *));
    sim_target_load(&c.target, argv[optind], argv[optind + 1]);
    c.target.registered = &c.registered;
    c.loop = loop_new();
    struct wire *w = c.loop ? wire_new(c.loop, NULL) : NULL;
    if (!w || !c.engines)
        return 1;
    say("waiting");
    if (!fgets(line, sizeof line, stdin))
        return 1;
    if (open_all(&c, w, attached))
        serve(&c);
    loop_unwatch(c.loop, &c.orders);
    for (unsigned i = 0; i < c.n; i++)
        sim_engine_free(c.engines[i]);
    wire_free(w);
    loop_free(c.loop);
    free(c.engines);
    return c.registered == c.n ? 0 : 1;
}
