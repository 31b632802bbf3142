/* SPDX-License-Identifier: BSD-3-Clause */
/* {"engines": {"0": "<uuid>", ...}, "next_id": 14}, as the reference writes and reads it. A
 * storm of registrations is a few files, not one an engine: the more engines, the longer a
 * change waits. */
#include "router/state.h"

#include <inttypes.h>
#include <string.h>

#include "router/core.h"
#include "router/registration.h"
#include "util/err.h"
#include "util/log.h"
#include "wire/json.h"

#define DELAY_MS 100
#define ENGINES_A_MS 50 /* added to the delay */
#define TEXT_MAX ((size_t)1 << 30)

static int put_engines(struct buf *b, const struct list *engines, bool only_restored)
{
    list_for_each (engines, it) {
        const struct engine *e = container_of(it, struct engine, link);
        if (only_restored && !e->restored)
            continue;
        const char *comma = b->data[b->len - 1] == '{' ? "" : ", ";
        int rc = buf_printf(b, "%s\"%" PRId64 "\": ", comma, e->id);
        if (rc == 0)
            rc = buf_put_json(b, e->uuid.data, e->uuid.len);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int put_state(struct buf *b, const struct registry *reg)
{
    int rc = buf_puts(b, "{\"engines\": {");
    if (rc == 0)
        rc = put_engines(b, &reg->live, false);
    if (rc == 0)
        rc = put_engines(b, &reg->pending, true);
    return rc < 0 ? rc : buf_printf(b, "}, \"next_id\": %" PRId64 "}", reg->next_id);
}

static void hand_over(struct router *r)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    int rc = put_state(&text, &r->registry);
    struct frame content = {text.data, text.len, NULL};
    struct letter letter = {
        .type = MAIL_FILE,
        .peer = {r->cfg.state_path, strlen(r->cfg.state_path)},
        .frames = &content,
        .n = 1,
    };
    if (rc == 0)
        rc = mailer_post(r, &letter, NULL);
    if (rc < 0)
        log_error("registration::the engine state was not saved: %s", ersa_strerror(rc));
    buf_fini(&text);
}

static void on_due(struct timer *t)
{
    hand_over(container_of(t, struct router, state.due));
}

void state_changed(struct router *r)
{
    const struct registry *reg = &r->registry;
    int64_t ms = DELAY_MS + (int64_t)(reg->n_live + reg->n_pending) / ENGINES_A_MS;
    if (r->cfg.state_path && !timer_is_set(&r->state.due))
        loop_after(r->loop, &r->state.due, MS_TO_NS(ms));
}

void state_stop(struct router *r)
{
    if (!timer_is_set(&r->state.due))
        return;
    loop_cancel(r->loop, &r->state.due);
    hand_over(r);
}

/* What an earlier run left */

static int restore_one(struct router *r, const char *key, const json_t *uuid,
                       struct ersa_error *err)
{
    long long id;
    if (str_to_i64(key, &id) < 0 || id < 0 || id == INT64_MAX)
        return err_set(err, ERSA_EPARSE, "'%s' is no engine id", key);
    if (!json_is_string(uuid))
        return err_set(err, ERSA_EPARSE, "engine %s has no uuid", key);
    struct slice s = {json_string_value(uuid), json_string_length(uuid)};
    return registration_restore(r, s, id, err);
}

static int restore(struct router *r, const json_t *state, struct ersa_error *err)
{
    json_t *engines = json_object_get(state, "engines"), *uuid;
    const json_t *next = json_object_get(state, "next_id");
    const char *key;
    if (!json_is_object(engines) || !json_is_integer(next) || json_integer_value(next) < 0)
        return err_set(err, ERSA_EPARSE, "'engines' and 'next_id' are wanted");
    json_object_foreach(engines, key, uuid)
    {
        int rc = restore_one(r, key, uuid, err);
        if (rc < 0)
            return rc;
    }
    if (json_integer_value(next) > r->registry.next_id)
        r->registry.next_id = json_integer_value(next);
    log_info("registration::restored %zu engines of an earlier run", json_object_size(engines));
    return 0;
}

int state_start(struct router *r, struct ersa_error *err)
{
    r->state.due.fn = on_due;
    if (r->cfg.restore.data) {
        json_t *state = json_parse(r->cfg.restore, err);
        int rc = state ? restore(r, state, err) : ERSA_EPARSE;
        json_decref(state);
        if (rc < 0)
            return err_prefix(err, rc, "the engine state file %s", r->cfg.state_path);
    }
    state_changed(r);
    return 0;
}
