/* SPDX-License-Identifier: BSD-3-Clause */
/* A runtime for tests of the engine, in C: it does what the first buffer of a request says.
 * Only engine_rig.h includes it. */
#ifndef ERSA_ENGINE_RUNTIME_RIG_H
#define ERSA_ENGINE_RUNTIME_RIG_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/rtproto.h"

#define UUID "0a1b2c3d-engine"

static int rt_fd;
static char gate[64]; /* a file, see "gate" */

#define ENV_GATE "ERSA_TEST_GATE"

static inline void rt_read(void *out, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(rt_fd, (char *)out + got, len - got, 0);
        if (n <= 0)
            _exit(0);
        got += (size_t)n;
    }
}

#define RT_TEXT 4096

struct rt_message {
    struct rt_head head;
    char parts[16][RT_TEXT];
};

static inline void rt_get(struct rt_message *m)
{
    struct rt_part table[16] = {0};
    rt_read(&m->head, sizeof(m->head));
    rt_read(table, m->head.n_parts * sizeof(*table));
    for (uint32_t i = 0; i < m->head.n_parts; i++) {
        rt_read(m->parts[i], table[i].len);
        m->parts[i][table[i].len] = '\0';
    }
}

static inline void rt_put(uint32_t type, unsigned n, const char *const *parts)
{
    struct rt_head head = {type, n, 0};
    struct rt_part table[16];
    for (unsigned i = 0; i < n; i++) {
        table[i] = (struct rt_part){strlen(parts[i]), 0, 0};
        head.inline_bytes += table[i].len;
    }
    send(rt_fd, &head, sizeof(head), MSG_NOSIGNAL);
    send(rt_fd, table, n * sizeof(*table), MSG_NOSIGNAL);
    for (unsigned i = 0; i < n; i++)
        send(rt_fd, parts[i], table[i].len, MSG_NOSIGNAL);
}

/* Caught as far as the engine can see, but it stays blocked, and "wait" fetches it: TSan can
 * put off a handler for ever. */
static inline void on_sigint(int signo)
{
}

static inline sigset_t sigint_alone(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    return set;
}

static inline void rt_say(const char *text)
{
    ssize_t n = write(STDOUT_FILENO, text, strlen(text));
    (void)n;
}

static inline void rt_complain(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
}

/* Does what the first buffer says and answers. "gate" waits for a file, and removes it when it
 * has answered. */
static inline void rt_obey(const struct rt_message *m)
{
    const char *id = m->parts[1], *word = m->head.n_parts > 5 ? m->parts[5] : "";
    const char *status = "ok", *flags = "", *content = "";
    if (strcmp(word, "die") == 0)
        raise(SIGKILL);
    if (strcmp(word, "exit 7") == 0)
        _exit(7);
    if (strcmp(word, "last words") == 0) {
        rt_complain("a traceback\n");
        rt_complain(RT_LAST_WORDS "it has lost its way\n");
        _exit(3);
    }
    if (strcmp(word, "close") == 0) {
        close(rt_fd);
        pause();
    }
    if (strcmp(word, "garbage") == 0)
        send(rt_fd, "garbage, garbage, garbage", 25, MSG_NOSIGNAL);
    while (strcmp(word, "gate") == 0 && access(gate, F_OK) < 0)
        usleep(1000);
    if (strcmp(word, "print") == 0)
        rt_say("before\n");
    if (strcmp(word, "publish") == 0) {
        rt_say("first\n");
        rt_put(
            RT_PUBLISH, 4,
            (const char *const[]){"display_data", "engine.3.displaypub", "{\"data\": {}}", ""});
    }
    if (strcmp(word, "wait") == 0) {
        const sigset_t set = sigint_alone();
        while (sigwaitinfo(&set, NULL) != SIGINT)
            ;
        status = "error";
        content = "{\"status\": \"error\", \"ename\": \"KeyboardInterrupt\"}";
    }
    if (strcmp(word, "unmet") == 0) {
        status = "error";
        flags = "u";
        content = "{\"status\": \"error\", \"ename\": \"UnmetDependency\"}";
    }
    if (strcmp(word, "abort others") == 0) {
        status = "error";
        flags = "n";
        content = "{\"status\": \"error\", \"ename\": \"ValueError\"}";
    }
    if (strcmp(word, "exit") == 0)
        rt_put(RT_EXIT, 0, NULL);
    rt_put(RT_REPLY, 5, (const char *const[]){id, status, flags, content, word});
    if (strcmp(word, "gate") == 0)
        unlink(gate);
}

static inline void run_runtime(void)
{
    static struct rt_message m;
    rt_fd = atoi(getenv(RT_ENV_FD));
    snprintf(gate, sizeof(gate), "%s", getenv(ENV_GATE));
    signal(SIGINT, on_sigint);
    const sigset_t set = sigint_alone();
    sigprocmask(SIG_BLOCK, &set, NULL);
    rt_get(&m);
    if (m.head.type != RT_HELLO || !strstr(m.parts[0], UUID))
        _exit(9);
    rt_put(RT_READY, 1, (const char *const[]){"{\"v\": 1, \"language\": \"test\"}"});
    for (;;) {
        rt_get(&m);
        if (m.head.type == RT_SHUTDOWN)
            _exit(0);
        rt_obey(&m);
    }
}

#endif
