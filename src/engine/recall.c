/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in the queue has not begun, and what leaves it here never will: that is all of the
 * decision, made in one step of one thread. Tasks given back are forgotten, so that the same
 * message may come again. */
#include "engine/recall.h"

#include <jansson.h>

#include "engine/core.h"
#include "util/log.h"
#include "wire/json.h"

/* Came from the task scheduler, and is no answered request's second half. */
static bool is_the_schedulers(void *ctx, const struct request *r)
{
    const struct engine *e = ctx;
    return channels_is_task(&e->channels, &r->parts.idents[0]) && !r->is_answered;
}

/* The ids stay in the content. */
static int read_ids(const json_t *content, struct map *ret)
{
    const json_t *id;
    size_t at;
    int rc = 0;
    map_init(ret);
    json_array_foreach(json_object_get(content, "msg_ids"), at, id)
    {
        if (json_is_string(id) && rc != ERSA_ENOMEM)
            rc = map_put(ret, json_string_value(id), json_string_length(id), ret);
    }
    return rc == ERSA_ENOMEM ? rc : 0;
}

/* {"msg_ids": [...]} in e->text. */
static int write_ids(struct engine *e, const struct list *given)
{
    const char *before = "";
    buf_reset(&e->text);
    int rc = buf_puts(&e->text, "{\"msg_ids\": [");
    list_for_each (given, it) {
        const struct request *r = container_of(it, struct request, link);
        if (rc == 0)
            rc = buf_puts(&e->text, before);
        if (rc == 0)
            rc = buf_put_json(&e->text, r->msg_id.data, r->msg_id.len);
        before = ", ";
    }
    return rc < 0 ? rc : buf_puts(&e->text, "]}");
}

static int send_given(struct engine *e, const struct request *r, const struct list *given)
{
    struct frame *vec = engine_vec(e, 1 + SESSION_FRAMES);
    int rc = vec ? write_ids(e, given) : ERSA_ENOMEM;
    struct outgoing o = {
        .msg_type = "ersa_recalled", .parent = r->parts.header, .content = buf_slice(&e->text)};
    if (rc == 0)
        rc = session_frames(e->session, &o, &e->scratch, vec + 1);
    if (rc < 0)
        return rc;
    vec[0] = r->parts.idents[0];
    channels_reply(&e->channels, r->channel, vec, 1 + SESSION_FRAMES);
    return 0;
}

/* Nothing runs, and nothing is about to. */
static bool is_free(const struct engine *e)
{
    return !e->current && !e->next && e->queue.n == 0 && life_is_serving(e) &&
           runtime_is_free(e);
}

void recall_tell_free(struct engine *e)
{
    if (e->tell_free_to.len == 0 || !is_free(e))
        return;
    struct frame *vec = engine_vec(e, 1 + SESSION_FRAMES);
    struct outgoing o = {.msg_type = "ersa_free"};
    if (!vec || session_frames(e->session, &o, &e->scratch, vec + 1) < 0) {
        log_error("out of memory: an ersa_free message is lost");
    } else {
        vec[0] = (struct frame){e->tell_free_to.data, e->tell_free_to.len, NULL};
        channels_reply(&e->channels, CHAN_SHELL, vec, 1 + SESSION_FRAMES);
    }
    buf_reset(&e->tell_free_to);
}

/* The controller wants to know. Who asked is known by its connection. */
static void note_wish(struct engine *e, const struct request *r, const json_t *content)
{
    const struct frame *to = &r->parts.idents[0];
    if (!json_is_true(json_object_get(content, "tell_free")))
        return;
    buf_reset(&e->tell_free_to);
    if (buf_append(&e->tell_free_to, to->data, to->len) < 0)
        log_error("out of memory: a wish for an ersa_free message is lost");
}

/* What can't be told to be given back is kept. */
static void let_go(struct engine *e, struct list *given, bool is_told)
{
    struct list *it;
    while ((it = list_pop_front(given))) {
        struct request *task = container_of(it, struct request, link);
        if (!is_told && queue_push(&e->queue, task) == 0)
            continue;
        replay_forget(e->replay, task->parts.signature);
        request_free(task);
    }
}

void on_recall(struct engine *e, struct request *r)
{
    struct map ids;
    struct list given;
    if (!(e->caps & CAP_recall) || r->parts.n_idents != 1 || !is_the_schedulers(e, r)) {
        engine_reject(e, "it is a recall that the task scheduler did not send");
        return;
    }
    json_t *content = json_parse(r->parts.content, NULL);
    list_init(&given);
    if (read_ids(content, &ids) == 0)
        queue_give_back(&e->queue, &ids, is_the_schedulers, e, &given);
    int rc = send_given(e, r, &given);
    if (rc < 0)
        log_error("a recall was not answered: %s", ersa_strerror(rc));
    let_go(e, &given, rc == 0);
    note_wish(e, r, content);
    recall_tell_free(e);
    map_fini(&ids);
    json_decref(content);
}
