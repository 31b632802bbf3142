/* SPDX-License-Identifier: BSD-3-Clause */
/* Three descriptors, and whom to tell that the child has ended. Its pid is 0, so no signal goes
 * anywhere. */
#include "fake_runtime.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/rtfds.h"
#include "engine/rtproto.h"
#include "fuzz.h"
#include "loop/child.h"

static struct {
    struct child *child; /* NULL: it has ended */
    int channel, out, err;
} runtime;

/* loop/child.h */

int child_start(struct child *c, struct loop *l, const struct child_spawn *spawn, child_fn fn,
                struct ersa_error *err)
{
    *c = (struct child){.loop = l, .fn = fn};
    runtime.child = c;
    runtime.channel = dup(spawn->keep_fds[0]);
    runtime.out = dup(spawn->stdout_fd);
    runtime.err = dup(spawn->stderr_fd);
    FUZZ_CHECK(runtime.channel >= 0 && runtime.out >= 0 && runtime.err >= 0);
    FUZZ_CHECK(fcntl(runtime.out, F_SETFL, O_NONBLOCK) == 0);
    FUZZ_CHECK(fcntl(runtime.err, F_SETFL, O_NONBLOCK) == 0);
    return 0;
}

void child_forget(struct child *c)
{
}

const char *child_status_text(int status)
{
    return "an end";
}

/* What the tests do */

void fake_runtime_say_octets(struct slice octets)
{
    (void)!rtfds_send(runtime.channel, octets.data, octets.len, -1, MSG_DONTWAIT);
}

void fake_runtime_say(uint32_t type, const struct slice *parts, uint32_t n)
{
    static uint8_t
        out[sizeof(struct rt_head) + FAKE_PARTS_MAX * (sizeof(struct rt_part) + FAKE_PART_MAX)];
    struct rt_head head = {type, n, 0};
    size_t at = sizeof(head) + n * sizeof(struct rt_part);
    for (uint32_t i = 0; i < n; i++) {
        struct rt_part part = {.len = parts[i].len};
        memcpy(out + sizeof(head) + i * sizeof(part), &part, sizeof(part));
        if (parts[i].len)
            memcpy(out + at, parts[i].data, parts[i].len);
        at += parts[i].len;
        head.inline_bytes += parts[i].len;
    }
    memcpy(out, &head, sizeof(head));
    fake_runtime_say_octets((struct slice){(const char *)out, at});
}

void fake_runtime_write(bool is_stderr, struct slice text)
{
    (void)!write(is_stderr ? runtime.err : runtime.out, text.data, text.len);
}

void fake_runtime_hear(void)
{
    static uint8_t chunk[65536];
    struct rtfds got;
    while (rtfds_receive(runtime.channel, chunk, sizeof(chunk), MSG_DONTWAIT, &got) > 0)
        for (unsigned i = 0; i < got.n; i++)
            close(got.fds[i]);
}

void fake_runtime_cut(void)
{
    shutdown(runtime.channel, SHUT_RDWR);
}

void fake_runtime_end(int status)
{
    const struct rusage usage = {.ru_maxrss = 1};
    struct child *c = runtime.child;
    if (!c)
        return;
    fake_runtime_close();
    runtime.child = NULL;
    c->fn(c, status, &usage);
}

void fake_runtime_close(void)
{
    int *fds[] = {&runtime.channel, &runtime.out, &runtime.err};
    for (size_t i = 0; i < 3; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}
