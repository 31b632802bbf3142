/* SPDX-License-Identifier: BSD-3-Clause */
/* What the runtime says (docs/protocol/runtime.md 3): one row a type. */
#include "engine/runtime_says.h"

#include <string.h>

#include "engine/core.h"
#include "util/log.h"
#include "wire/json.h"
#include "wire/reply.h"

#define TOPIC_MAX_LEN 4096
#define LOG_LINE_MAX 4096

/* A handler returns what was wrong, NULL when all was well. */

static bool is_object(struct slice text)
{
    return jscan(text, NULL, 0) == 0;
}

static const char *on_ready(struct engine *e, const struct frame *parts, unsigned n)
{
    json_t *about = n == 1 ? json_parse(frame_slice(&parts[0]), NULL) : NULL;
    const char *language = json_str(about, "language"), *version = json_str(about, "version");
    bool is_ours = json_integer_value(json_object_get(about, "v")) == RT_VERSION;
    if (is_ours && !e->runtime.is_ready) {
        log_info("runtime ready: %s %s", language ? language : "?", version ? version : "");
        output_drain(&e->output); /* what the startup code wrote is no task's */
        e->runtime.is_ready = true;
        publish_starting(e);
        registration_ready(e);
        dispatch_next(e);
    }
    json_decref(about);
    return is_ours ? NULL : "READY of another version";
}

enum { REPLY_ID, REPLY_STATUS, REPLY_FLAGS, REPLY_CONTENT, REPLY_PARTS };

static const char *on_reply(struct engine *e, const struct frame *parts, unsigned n)
{
    static const char *const known[] = {"ok", "error", "aborted", "none"};
    if (n < REPLY_PARTS)
        return "a REPLY with too few parts";
    if (!e->current || !slice_eq(frame_slice(&parts[REPLY_ID]), e->current->msg_id))
        return "a REPLY to what was not asked";
    struct slice status = frame_slice(&parts[REPLY_STATUS]);
    struct slice content = frame_slice(&parts[REPLY_CONTENT]);
    bool is_known = false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        is_known |= slice_is(status, known[i]);
    if (!is_known)
        return "a REPLY with an unknown status";
    if (content.len && !is_object(content))
        return "a REPLY whose content is not JSON";
    output_drain(&e->output);
    dispatch_reply(e, status, frame_slice(&parts[REPLY_FLAGS]),
                   content.len ? content : (struct slice){0}, parts + REPLY_PARTS,
                   n - REPLY_PARTS);
    life_on_idle(e);
    dispatch_next(e);
    return NULL;
}

enum { PUB_TYPE, PUB_TOPIC, PUB_CONTENT, PUB_METADATA, PUB_PARTS };

static const char *on_publish(struct engine *e, const struct frame *parts, unsigned n)
{
    char type[MSG_TYPE_MAX];
    if (n < PUB_PARTS)
        return "a PUBLISH with too few parts";
    if (parts[PUB_TYPE].len >= sizeof(type) || parts[PUB_TOPIC].len > TOPIC_MAX_LEN)
        return "a PUBLISH with too long a type or topic";
    struct slice content = frame_slice(&parts[PUB_CONTENT]);
    struct slice metadata = frame_slice(&parts[PUB_METADATA]);
    if (!is_object(content) || (metadata.len && !is_object(metadata)))
        return "a PUBLISH that is not JSON";
    memcpy(type, parts[PUB_TYPE].data, parts[PUB_TYPE].len);
    type[parts[PUB_TYPE].len] = '\0';
    output_drain(&e->output);
    publish_output(e, type, frame_slice(&parts[PUB_TOPIC]), content,
                   metadata.len ? metadata : (struct slice){0}, parts + PUB_PARTS,
                   n - PUB_PARTS);
    return NULL;
}

static const char *on_log(struct engine *e, const struct frame *parts, unsigned n)
{
    char level[16];
    long long number;
    if (n != 2 || parts[0].len >= sizeof(level))
        return "a malformed LOG";
    memcpy(level, parts[0].data, parts[0].len);
    level[parts[0].len] = '\0';
    if (str_to_i64(level, &number) < 0 || number < 0 || number > LOG_CRITICAL)
        return "a LOG with an unknown level";
    int len = (int)(parts[1].len < LOG_LINE_MAX ? parts[1].len : LOG_LINE_MAX);
    log_at((int)number, "runtime: %.*s", len, (const char *)parts[1].data);
    return NULL;
}

static const char *on_exit_wish(struct engine *e, const struct frame *parts, unsigned n)
{
    life_stop(e, STOP_EXIT);
    return NULL;
}

static const struct {
    uint32_t type;
    const char *(*handle)(struct engine *e, const struct frame *parts, unsigned n);
} rows[] = {
    {RT_READY, on_ready}, {RT_REPLY, on_reply},    {RT_PUBLISH, on_publish},
    {RT_LOG, on_log},     {RT_EXIT, on_exit_wish},
};

const char *runtime_says(struct engine *e, uint32_t type, const struct frame *parts, unsigned n)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].type == type)
            return rows[i].handle(e, parts, n);
    return "a message that it does not send";
}
