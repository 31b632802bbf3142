/* SPDX-License-Identifier: BSD-3-Clause */
/* Output becomes part of its request's record (controller.md 13): streams are appended in
 * place, of everything else the last one counts. Output of an id that nobody has asked for (a
 * part of a broadcast) makes a record of its own; that of a record which is gone is dropped. */
#include "records/core.h"

static bool find_record(struct records *r, struct slice msg_id)
{
    if (records_has(r, msg_id))
        return true;
    if (seen_get(&r->seen, msg_id) != SEEN_NEVER)
        return false;
    struct store_record skeleton = {.set = 0};
    set_text(&skeleton, F_msg_id, msg_id);
    records_put(r, &skeleton);
    return true;
}

static void put_one(struct records *r, struct slice msg_id, enum store_field f,
                    struct slice text)
{
    struct store_record rec = {.set = 0};
    set_text(&rec, F_msg_id, msg_id);
    set_text(&rec, f, text);
    records_update(r, &rec);
}

static void on_stream(struct records *r, struct slice msg_id, struct slice content)
{
    struct jfield f[] = {{.key = "name"}, {.key = "text"}};
    struct ersa_error err = {0};
    struct slice text;
    if (jscan(content, f, 2) < 0 || f[0].type != J_STRING || !records_text(r, &f[1], &text))
        return;
    /* The names are those of the fields; other streams are not recorded. */
    enum store_field field = store_field_find(f[0].raw);
    if ((field == F_stdout || field == F_stderr) && find_record(r, msg_id) &&
        r->st->ops->append(r->st, msg_id, field, text, &err) < 0)
        records_complain(r, &err);
}

static void on_execute_input(struct records *r, struct slice msg_id, struct slice content)
{
    struct jfield code = {.key = "code"};
    struct slice text;
    if (jscan(content, &code, 1) == 0 && records_text(r, &code, &text) &&
        find_record(r, msg_id))
        put_one(r, msg_id, F_execute_input, text);
}

static void on_execute_result(struct records *r, struct slice msg_id, struct slice content)
{
    if (find_record(r, msg_id))
        put_one(r, msg_id, F_execute_result, content);
}

static void on_display_data(struct records *r, struct slice msg_id, struct slice content)
{
    if (!(r->st->ops->without & STORE_FIELD(F_display_data)) && find_record(r, msg_id))
        put_one(r, msg_id, F_display_data, content);
}

static void on_error(struct records *r, struct slice msg_id, struct slice content)
{
    if (find_record(r, msg_id))
        put_one(r, msg_id, F_error, content);
}

void output_on_iopub(struct records *r, const struct mail *m)
{
    static const struct {
        const char *msg_type;
        void (*record)(struct records *r, struct slice msg_id, struct slice content);
    } types[] = {
        {"stream", on_stream},
        {"execute_input", on_execute_input},
        {"execute_result", on_execute_result},
        {"display_data", on_display_data},
        {"error", on_error},
    };
    struct parts p;
    struct jfield f = {.key = "msg_type"};
    char buf[ID_MAX];
    struct slice type;
    if (!r->keeps || !m->msg || parts_split(m->msg->frames, m->msg->n, &p) < 0 ||
        jscan(p.header, &f, 1) < 0 || jscan_string(&f, buf, sizeof(buf), &type) < 0)
        return;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (slice_is(type, types[i].msg_type))
            types[i].record(r, m->msg_id, p.content);
}
