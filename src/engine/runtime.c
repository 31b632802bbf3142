/* SPDX-License-Identifier: BSD-3-Clause */
/* From the start of the process to the words for its end. */
#include "engine/core.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/death.h"
#include "engine/runtime_env.h"
#include "engine/runtime_says.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "wire/json.h"

#define PATIENCE_MS 1000 /* from the end of the channel to SIGKILL */

/* Its channel */

static void on_message(void *ctx, uint32_t type, const struct frame *parts, unsigned n)
{
    struct engine *e = ctx;
    const char *wrong = runtime_says(e, type, parts, n);
    if (!wrong) {
        engine_balance(e);
        return;
    }
    rtchannel_close(&e->runtime.channel);
    snprintf(e->runtime.why, sizeof(e->runtime.why), "the runtime broke its protocol: %s",
             wrong);
    runtime_kill(e);
}

static void on_closed(void *ctx, const char *why)
{
    struct engine *e = ctx;
    struct runtime *rt = &e->runtime;
    if (why) {
        snprintf(rt->why, sizeof(rt->why), "the runtime broke its protocol: %s", why);
        runtime_kill(e);
    } else if (!rt->is_ending) {
        loop_after(e->loop, &rt->patience, MS_TO_NS(PATIENCE_MS));
    }
}

static const struct rtchannel_ops channel_ops = {.message = on_message, .closed = on_closed};

static void on_patience(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, runtime.patience);
    if (e->life.state < LIFE_STOPPING)
        snprintf(e->runtime.why, sizeof(e->runtime.why),
                 "its channel to the engine was closed: user code may have closed a descriptor "
                 "that is not its own");
    runtime_kill(e);
}

/* Output */

/* The end of stderr is kept, as it may say why there is no runtime any more. */
static void keep_tail(struct runtime *rt, struct slice text)
{
    size_t keep = text.len < RUNTIME_TAIL ? text.len : RUNTIME_TAIL;
    size_t old = rt->tail_len + keep > RUNTIME_TAIL ? RUNTIME_TAIL - keep : rt->tail_len;
    memmove(rt->tail, rt->tail + rt->tail_len - old, old);
    memcpy(rt->tail + old, text.data + text.len - keep, keep);
    rt->tail_len = old + keep;
}

static void on_output(void *ctx, enum output_stream which, struct slice text)
{
    struct engine *e = ctx;
    bool is_stdout = which == OUTPUT_STDOUT;
    if (!is_stdout)
        keep_tail(&e->runtime, text);
    if (e->runtime.is_ready)
        publish_stream(e, which, text);
    else if (write(is_stdout ? STDOUT_FILENO : STDERR_FILENO, text.data, text.len) < 0)
        log_debug("output of the runtime is lost: %s", strerror(errno));
    engine_balance(e);
}

/* The end */

/* The last line on stderr, if it can be the runtime's own: once it is ready, user code writes
 * there. */
static struct slice last_words(const struct runtime *rt)
{
    struct slice s = {rt->tail, rt->tail_len}, prefix = SLICE_LIT(RT_LAST_WORDS);
    while (s.len && (s.data[s.len - 1] == '\n' || s.data[s.len - 1] == ' '))
        s.len--;
    const char *nl = memrchr(s.data, '\n', s.len);
    if (nl) {
        s.len -= (size_t)(nl + 1 - s.data);
        s.data = nl + 1;
    }
    if (s.len > prefix.len && memcmp(s.data, prefix.data, prefix.len) == 0)
        return (struct slice){s.data + prefix.len, s.len - prefix.len};
    return rt->is_ready ? (struct slice){0} : s;
}

static void explain(struct engine *e, int status, const struct rusage *usage)
{
    struct runtime *rt = &e->runtime;
    struct life *l = &e->life;
    l->exit_code = death_exit_code(status);
    if (rt->why[0]) {
        snprintf(l->cause, sizeof(l->cause), "%s", rt->why);
        l->exit_code = ENGINE_EXIT_RUNTIME;
        return;
    }
    death_sentence(l->cause, sizeof(l->cause), status, usage,
                   death_oom_count() - rt->oom_before);
    size_t at = strlen(l->cause);
    struct slice words = last_words(rt);
    if (rt->is_ready && words.len) {
        snprintf(l->cause + at, sizeof(l->cause) - at, "; %.*s", SLICE_FMT(words));
    } else if (!rt->is_ready) {
        snprintf(l->cause + at, sizeof(l->cause) - at, "; it could not start (%s)%s%.*s",
                 e->cfg.runtime_label, words.len ? ": " : "", SLICE_FMT(words));
        l->exit_code = ENGINE_EXIT_RUNTIME;
    }
}

static void on_end(struct child *c, int status, const struct rusage *usage)
{
    struct engine *e = container_of(c, struct engine, runtime.child);
    struct runtime *rt = &e->runtime;
    rt->is_ending = true;
    loop_cancel(e->loop, &rt->patience);
    rtchannel_read_out(&rt->channel);
    output_close(&e->output);
    if (e->life.state < LIFE_STOPPING)
        explain(e, status, usage);
    life_event(e, EV_RUNTIME_END);
}

/* Start */

struct ends {
    int ours, theirs;
};

static void close_ends(struct ends *x)
{
    close_fd(&x->ours);
    close_fd(&x->theirs);
}

static int open_pipe(struct ends *x)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return ERSA_EIO;
    *x = (struct ends){fds[0], fds[1]};
    return 0;
}

static int open_channel(struct ends *x)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return ERSA_EIO;
    *x = (struct ends){fds[0], fds[1]};
    return 0;
}

static int spawn(struct engine *e, const struct ends *channel, const struct ends *out,
                 const struct ends *err_pipe, struct ersa_error *err)
{
    char **env = runtime_env(e->cfg.python_dir, channel->theirs);
    if (!env)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    const int keep[] = {channel->theirs, -1};
    struct child_spawn spawn = {
        .path = e->cfg.runtime_argv[0],
        .argv = e->cfg.runtime_argv,
        .envp = env,
        .stdin_fd = CHILD_DEV_NULL,
        .stdout_fd = out->theirs,
        .stderr_fd = err_pipe->theirs,
        .keep_fds = keep,
        .new_group = true,
        .parent_death_signal = SIGKILL,
    };
    int rc = child_start(&e->runtime.child, e->loop, &spawn, on_end, err);
    runtime_env_free(env);
    return rc;
}

/* We need many descriptors; user code gets as many as its user has. */
static void restore_limit(const struct engine *e)
{
    pid_t pid = e->runtime.child.pid;
    struct rlimit limit;
    if (!e->cfg.runtime_nofile || prlimit(pid, RLIMIT_NOFILE, NULL, &limit) < 0)
        return;
    limit.rlim_cur = e->cfg.runtime_nofile;
    prlimit(pid, RLIMIT_NOFILE, &limit, NULL);
}

int runtime_start(struct engine *e, struct ersa_error *err)
{
    struct runtime *rt = &e->runtime;
    CLEANUP(close_ends) struct ends channel = {-1, -1}, out = {-1, -1}, err_pipe = {-1, -1};
    rt->patience.fn = on_patience;
    rt->oom_before = death_oom_count();
    if (open_channel(&channel) < 0 || open_pipe(&out) < 0 || open_pipe(&err_pipe) < 0)
        return err_errno(err, ERSA_EIO, "no descriptors for the runtime");
    int rc = spawn(e, &channel, &out, &err_pipe, err);
    if (rc < 0)
        return err_prefix(err, rc, "the runtime can't be started (%s)", e->cfg.runtime_label);
    rt->group = rt->child.pid;
    restore_limit(e);
    log_info("runtime started with pid %d (%s)", (int)rt->child.pid, e->cfg.runtime_label);
    rc = output_open(&e->output, e->loop, TAKE_FD(out.ours), TAKE_FD(err_pipe.ours), on_output,
                     e);
    if (rc == 0)
        rc = rtchannel_open(&rt->channel, e->loop, TAKE_FD(channel.ours), e->pool, &channel_ops,
                            e);
    return rc < 0 ? err_set(err, rc, "the runtime's pipes can't be watched") : 0;
}

void runtime_fini(struct engine *e)
{
    struct runtime *rt = &e->runtime;
    loop_cancel(e->loop, &rt->patience);
    if (rt->child.pid) {
        runtime_signal_group(e, SIGKILL);
        child_forget(&rt->child);
    }
    if (rt->channel.loop)
        rtchannel_fini(&rt->channel);
}

/* Speaking to it */

int runtime_hello(struct engine *e)
{
    json_t *hello = e->cfg.hello ? json_copy(e->cfg.hello) : json_object();
    json_t *own = json_pack("{s:i, s:s, s:I}", "v", RT_VERSION, "uuid", session_id(e->session),
                            "id", (json_int_t)e->id);
    if (hello && own)
        json_object_update(hello, own);
    CLEANUP(free_ptr) char *text = hello && own ? json_text(hello) : NULL;
    json_decref(hello);
    json_decref(own);
    if (!text)
        return ERSA_ENOMEM;
    struct frame part = {(const uint8_t *)text, strlen(text), NULL};
    int rc = rtchannel_send(&e->runtime.channel, RT_HELLO, &part, 1);
    return rc == ERSA_ECLOSED ? 0 : rc; /* its end is an event of its own */
}

static struct frame to_frame(struct slice s)
{
    return (struct frame){(const uint8_t *)s.data, s.len, NULL};
}

enum { WIRE_HEADER = 2, WIRE_METADATA = 4, WIRE_CONTENT = 5 };

int runtime_run(struct engine *e, const struct request *r)
{
    const struct frame head[] = {
        to_frame(r->msg_type),        to_frame(r->msg_id),         r->parts.wire[WIRE_HEADER],
        r->parts.wire[WIRE_METADATA], r->parts.wire[WIRE_CONTENT],
    };
    const unsigned n_head = sizeof(head) / sizeof(head[0]);
    struct frame *vec = engine_vec(e, n_head + r->parts.n_buffers);
    if (!vec)
        return ERSA_ENOMEM;
    memcpy(vec, head, sizeof(head));
    for (unsigned i = 0; i < r->parts.n_buffers; i++)
        vec[n_head + i] = r->parts.buffers[i];
    return rtchannel_send(&e->runtime.channel, RT_RUN, vec, n_head + r->parts.n_buffers);
}

void runtime_shutdown(struct engine *e)
{
    rtchannel_send(&e->runtime.channel, RT_SHUTDOWN, NULL, 0);
}

bool runtime_is_free(const struct engine *e)
{
    return e->runtime.is_ready && !e->runtime.is_ending && e->runtime.channel.is_open;
}

void runtime_hold(struct engine *e, bool on)
{
    rtchannel_hold(&e->runtime.channel, on);
}

/* Signals */

int runtime_signal(struct engine *e, int signo)
{
    if (e->runtime.child.pid == 0)
        return ESRCH;
    return kill(e->runtime.child.pid, signo) < 0 ? errno : 0;
}

/* By the mask that the kernel shows; where it shows none, nothing is handled. */
bool runtime_handles(const struct engine *e, int signo)
{
    char path[64], line[256];
    unsigned long long mask = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)e->runtime.child.pid);
    FILE *f = e->runtime.child.pid ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "SigCgt:", 7) == 0)
            mask = strtoull(line + 7, NULL, 16);
    if (f)
        fclose(f);
    return mask >> (signo - 1) & 1;
}

bool runtime_signal_group(struct engine *e, int signo)
{
    return e->runtime.group && (kill(-e->runtime.group, signo) == 0 || errno == EPERM);
}

bool runtime_interrupt(struct engine *e, bool group)
{
    if (!e->current || e->runtime.child.pid == 0)
        return false;
    return group ? runtime_signal_group(e, SIGINT) : runtime_signal(e, SIGINT) == 0;
}

void runtime_kill(struct engine *e)
{
    if (e->runtime.child.pid)
        runtime_signal_group(e, SIGKILL);
}
