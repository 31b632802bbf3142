/* SPDX-License-Identifier: BSD-3-Clause */
/* One function a request. Each answers before it returns, and none waits for user code: what
 * has to happen in the runtime is put in front of the queue. */
#include "engine/requests.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core.h"
#include "engine/usage.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "wire/json.h"
#include "wire/reply.h"

static json_t *ok(void)
{
    return json_pack("{s:s}", "status", "ok");
}

/* msg_ids is a list, one id, or nothing at all: then every execute received so far. */
void on_abort_request(struct engine *e, struct request *r)
{
    json_t *content = json_parse(r->parts.content, NULL);
    const json_t *ids = json_object_get(content, "msg_ids"), *id;
    int64_t now = loop_now_ns(e->loop);
    size_t at;
    int rc = 0;
    if (json_is_string(ids)) {
        rc = queue_abort(&e->queue,
                         (struct slice){json_string_value(ids), json_string_length(ids)}, now);
    } else if (json_array_size(ids) == 0) {
        queue_abort_executes(&e->queue, now);
    } else {
        json_array_foreach(ids, at, id) if (rc == 0 && json_is_string(id)) rc = queue_abort(
            &e->queue, (struct slice){json_string_value(id), json_string_length(id)}, now);
    }
    json_decref(content);
    engine_answer(e, r, rc == 0 ? ok() : error_content("MemoryError", ersa_strerror(rc)));
}

/* Answered at once, done before the next task: never in the middle of one. */
void on_clear_request(struct engine *e, struct request *r)
{
    engine_answer(e, r, ok());
    dispatch_first(e, r);
}

/* That takes the engine out at the hub, and may get there before the last notes. */
static void publish_shutdown(struct engine *e, const struct request *r, struct slice answer)
{
    json_t *metadata = json_pack("{s:s}", "engine", session_id(e->session));
    if (e->caps & CAP_begun)
        json_object_set_new(metadata, "ersa",
                            json_pack("{s:o}", "begun", registration_begun(e)));
    CLEANUP(free_ptr) char *text = metadata ? json_text(metadata) : NULL;
    publish_message(e, "shutdown_reply", buf_slice(&e->publish.topics[TOPIC_SHUTDOWN]),
                    r->parts.header, answer, (struct slice){text, text ? strlen(text) : 0},
                    NULL, 0);
    json_decref(metadata);
}

void on_shutdown_request(struct engine *e, struct request *r)
{
    json_t *content = json_parse(r->parts.content, NULL);
    bool restart = json_truth(content, "restart");
    json_decref(content);
    const char *text = restart ? "{\"status\": \"ok\", \"restart\": true}"
                               : "{\"status\": \"ok\", \"restart\": false}";
    struct slice answer = {text, strlen(text)};
    engine_send_reply(e, r, SLICE_LIT("ok"), false, answer, NULL, 0);
    publish_shutdown(e, r, answer);
    log_info("shutdown requested");
    e->life.is_unregistered = true;
    life_stop(e, STOP_SHUTDOWN);
}

/* -1: there is no signal of that name. */
static int signal_by_name(const char *name)
{
    if (strncmp(name, "SIG", 3) != 0)
        return -1;
    for (int signo = 1; signo < NSIG; signo++) {
        const char *known = sigabbrev_np(signo);
        if (known && strcmp(known, name + 3) == 0)
            return signo;
    }
    return -1;
}

static json_t *send_signal(struct engine *e, int signo)
{
    char text[64];
    switch (signo) {
    case SIGINT: /* between tasks it would hit the wrong one, or the runtime itself */
        if (!runtime_interrupt(e, false))
            log_warn("Ignoring SIGINT. Terminate with SIGTERM.");
        return ok();
    case SIGTERM:
        life_stop(e, STOP_SIGTERM);
        return ok();
    default:
        break;
    }
    int code = runtime_signal(e, signo);
    if (code == 0)
        return ok();
    snprintf(text, sizeof(text), "[Errno %d] %s", code, strerrordesc_np(code));
    return error_content(code == ESRCH ? "NoSuchProcess" : "OSError", text);
}

void on_signal_request(struct engine *e, struct request *r)
{
    char text[128];
    json_t *content = json_parse(r->parts.content, NULL), *answer;
    const json_t *sig = json_object_get(content, "sig");
    int signo = json_is_string(sig) ? signal_by_name(json_string_value(sig)) : 0;
    if (!sig) {
        answer = error_content_key("sig");
    } else if (signo < 0) {
        snprintf(text, sizeof(text), "there is no signal '%.64s'", json_string_value(sig));
        answer = error_content("AttributeError", text);
    } else if (json_is_integer(sig)) {
        json_int_t number = json_integer_value(sig);
        answer = number >= 0 && number < NSIG
                     ? send_signal(e, (int)number)
                     : error_content("OSError", "[Errno 22] Invalid argument");
    } else if (json_is_string(sig)) {
        answer = send_signal(e, signo);
    } else {
        answer = error_content("TypeError", "sig must be a number or a name");
    }
    json_decref(content);
    engine_answer(e, r, answer);
}

void on_interrupt_request(struct engine *e, struct request *r)
{
    if (!runtime_interrupt(e, true))
        log_warn("Ignoring SIGINT. Terminate with SIGTERM.");
    engine_answer(e, r, ok());
}

/* Ports for direct frontends: none are bound. */
void on_connect_request(struct engine *e, struct request *r)
{
    engine_answer(e, r, ok());
}

/* The runtime comes first: its pid is the one that user code sees. */
void on_usage_request(struct engine *e, struct request *r)
{
    const pid_t pids[] = {e->runtime.child.pid, getpid()};
    engine_answer(e, r, usage_content(pids, sizeof(pids) / sizeof(pids[0])));
}
