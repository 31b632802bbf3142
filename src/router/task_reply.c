/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers that the scheduler makes itself (schedulers.md 7 and 10): of type apply_reply
 * whatever was asked, because clients know no other. `engine_info` stays empty, which tells a
 * client not to wait for output. An answer made here has no uuid in front; that for a dead
 * engine has, unless the scheme is a mere relay. */
#include <stdlib.h>
#include <string.h>

#include "router/sched_core.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/json.h"
#include "wire/reply.h"

#define SENTENCE_MAX 1024

struct answer {
    const struct frame *front; /* [client, identities...] of the request */
    unsigned n_front;
    struct slice header, msg_id; /* of the request */
    struct slice metadata, content;
    struct slice uuid; /* the dead engine's, or empty */
};

static void send(struct sched *s, const struct answer *a)
{
    struct frame own[SESSION_FRAMES];
    struct outgoing o = {.msg_type = "apply_reply",
                         .parent = a->header,
                         .metadata = a->metadata,
                         .content = a->content};
    struct parts parts;
    if (session_frames(s->session, &o, &s->scratch, own) < 0 ||
        parts_split(own, SESSION_FRAMES, &parts) < 0) {
        log_error("task::an answer to %.*s was not sent: out of memory", SLICE_FMT(a->msg_id));
        return;
    }
    s->ops->event(s->ctx, TASK_ENDED, a->msg_id, a->uuid, &parts);
    unsigned n_uuid = a->uuid.len > 0 && !s->policy->ops->is_relay, n_idents = a->n_front - 1;
    unsigned n = n_uuid + n_idents + SESSION_FRAMES;
    struct frame *all = calloc(n, sizeof(*all));
    if (!all)
        return;
    if (n_uuid)
        all[0] = (struct frame){(const uint8_t *)a->uuid.data, a->uuid.len, NULL};
    memcpy(all + n_uuid, a->front + 1, n_idents * sizeof(*all));
    memcpy(all + n_uuid + n_idents, own, sizeof(own));
    s->ops->to_client(s->ctx, frame_slice(&a->front[0]), all, n, NULL);
    free(all);
}

static void send_error(struct sched *s, struct answer *a, const char *ename, const char *evalue)
{
    json_t *content = error_content(ename, evalue);
    char *text = json_text(content);
    if (text) {
        a->content = (struct slice){text, strlen(text)};
        send(s, a);
    }
    free(text);
    json_decref(content);
}

static struct answer answer_to(struct sched *s, const struct task *t)
{
    return (struct answer){.front = task_frames(s, t),
                           .n_front = t->n_front,
                           .header = task_header(t),
                           .msg_id = t->msg_id};
}

void reply_error(struct sched *s, struct task *t, const char *ename, const char *evalue)
{
    struct answer a = answer_to(s, t);
    send_error(s, &a, ename, evalue);
}

void reply_aborted(struct sched *s, struct task *t)
{
    struct answer a = answer_to(s, t);
    a.metadata = a.content = SLICE_LIT("{\"status\": \"aborted\"}");
    send(s, &a);
}

void reply_engine_died(struct sched *s, struct task *t, struct sched_engine *e)
{
    char sentence[SENTENCE_MAX], date[CLOCK_ISO_MAX];
    struct answer a = answer_to(s, t);
    snprintf(sentence, sizeof(sentence), "Engine b'%.*s' died while running task '%.*s'%s%s",
             SLICE_FMT(e->uuid), SLICE_FMT(t->msg_id), e->cause ? ": " : "",
             e->cause ? e->cause : "");
    clock_iso(clock_utc_us(), date);
    json_t *uuid = json_lossy(e->uuid);
    json_t *metadata =
        json_pack("{s:s, s:o, s:s}", "status", "error", "engine", uuid, "date", date);
    char *text = json_text(metadata);
    if (text) {
        a.metadata = (struct slice){text, strlen(text)};
        a.uuid = e->uuid;
        send_error(s, &a, "EngineError", sentence);
    }
    free(text);
    json_decref(metadata);
}

void reply_refusal(struct sched *s, const struct frame *front, unsigned n_front,
                   struct slice header, struct slice msg_id, const char *ename,
                   const char *evalue)
{
    struct answer a = {.front = front, .n_front = n_front, .header = header, .msg_id = msg_id};
    send_error(s, &a, ename, evalue);
}
