/* SPDX-License-Identifier: BSD-3-Clause */
/* What is answered in an engine's place: requests that can't be sent to it, and those for
 * control that it has left open at its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/core.h"
#include "router/direct.h"
#include "router/direct_impl.h"
#include "util/clock.h"
#include "wire/caps.h"
#include "wire/jscan.h"
#include "wire/json.h"
#include "wire/reply.h"

bool direct_read_head(struct slice header, struct head *ret)
{
    struct jfield f[] = {{.key = "msg_id"}, {.key = "msg_type"}};
    return jscan(header, f, 2) == 0 &&
           jscan_string(&f[0], ret->buf[0], ID_MAX, &ret->msg_id) == 0 &&
           jscan_string(&f[1], ret->buf[1], ID_MAX, &ret->msg_type) == 0;
}

enum route direct_client_route(enum channel ch)
{
    if (ch == CH_BROADCAST)
        return RT_BROADCAST_ROOT;
    return ch == CH_MUX ? RT_MUX_CLIENT : RT_CONTROL_CLIENT;
}

/* Our answer is the request's result, for its client and for the records. */
static void send_own(struct router *r, struct slice uuid, enum channel ch, struct link *to,
                     struct slice msg_id, struct frame own[SESSION_FRAMES])
{
    struct engine *e = registry_by_uuid(&r->registry, uuid); /* else it was not recorded */
    struct frame front = {(const uint8_t *)uuid.data, uuid.len, NULL};
    if (e && ch == CH_MUX) {
        struct letter letter = {.type = MAIL_RESULT,
                                .queue = 'm',
                                .msg_id = msg_id,
                                .engine = uuid,
                                .frames = own,
                                .n = SESSION_FRAMES};
        mailer_post(r, &letter, NULL);
        ledger_answer(&r->ledger, e, msg_id);
    }
    const struct frame *all = to ? router_prepend(r, &front, 1, own, SESSION_FRAMES) : NULL;
    if (all)
        link_send(to, all, SESSION_FRAMES + 1, NULL);
}

/* In the engine's place; takes `content`. */
static void answer_for(struct router *r, struct slice uuid, enum channel ch,
                       struct slice client, const struct head *h, struct slice header,
                       json_t *content)
{
    char type[MSG_TYPE_MAX], date[CLOCK_ISO_MAX];
    clock_iso(clock_utc_us(), date);
    json_t *metadata =
        json_pack("{s:O, s:o, s:s}", "status", json_object_get(content, "status"), "engine",
                  json_lossy(uuid), "date", date);
    char *content_text = json_text(content), *metadata_text = json_text(metadata);
    struct frame own[SESSION_FRAMES];
    struct outgoing o = {.msg_type = type, .parent = header};
    if (content_text && metadata_text && reply_type(h->msg_type, type)) {
        o.content = (struct slice){content_text, strlen(content_text)};
        o.metadata = (struct slice){metadata_text, strlen(metadata_text)};
        if (router_compose(r, &o, own) == 0)
            send_own(r, uuid, ch, ports_find(r, direct_client_route(ch), client), h->msg_id,
                     own);
    }
    free(content_text);
    free(metadata_text);
    json_decref(content);
    json_decref(metadata);
}

void direct_refuse(struct router *r, struct slice uuid, enum channel ch, struct slice client,
                   struct slice header)
{
    struct head h;
    char sentence[512];
    if (!direct_read_head(header, &h))
        return;
    if (ch == CH_CONTROL)
        control_answer(&r->control, uuid, h.msg_id);
    snprintf(sentence, sizeof(sentence), "Engine b'%.*s' is not connected: '%.*s' was not sent",
             SLICE_FMT(uuid), SLICE_FMT(h.msg_id));
    answer_for(r, uuid, ch, client, &h, header, error_content("EngineError", sentence));
}

/* Who was asked to end, and has ended as far as is known for certain, has done so. */
static void answer_unanswered(void *ctx, struct engine *e, const struct control_request *q)
{
    struct router *r = ctx;
    struct head h;
    char sentence[1024];
    if (!direct_read_head(q->header, &h))
        return;
    bool has_obeyed = e->reported && slice_is(h.msg_type, "shutdown_request");
    const char *cause = r->cfg.caps & CAP_death_cause ? e->cause : NULL;
    snprintf(sentence, sizeof(sentence), "Engine b'%.*s' ended before it answered '%.*s'%s%s",
             SLICE_FMT(e->uuid), SLICE_FMT(h.msg_id), cause ? ": " : "", cause ? cause : "");
    json_t *content = has_obeyed ? json_pack("{s:s, s:b}", "status", "ok", "restart", false)
                                 : error_content("EngineError", sentence);
    answer_for(r, e->uuid, CH_CONTROL, q->client, &h, q->header, content);
}

void direct_on_strand(struct router *r, struct engine *e)
{
    control_close(&r->control, e, answer_unanswered, r);
}
