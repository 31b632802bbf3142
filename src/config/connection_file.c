/* SPDX-License-Identifier: BSD-3-Clause */
/* Connection files, read and written by one table of fields. */
#include "config/connection_file.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/file.h"
#include "wire/caps.h"
#include "wire/json.h"

#define FILE_MAX ((size_t)1 << 20)
#define LEAVES_MAX 65536

enum side { BOTH, CLIENT, ENGINE };
enum kind { TEXT, TEXT_OR_NULL, PORT, PORT_LIST };

struct field {
    const char *key;
    enum kind kind;
    enum side side;
    size_t offset;
    bool optional;
};

#define AT(member) offsetof(struct connection_info, member)

/* In the order in which the reference writes them. */
static const struct field fields[] = {
    {"ssh", TEXT, BOTH, AT(ssh), true},
    {"interface", TEXT, BOTH, AT(interface)},
    {"registration", PORT, BOTH, AT(registration)},
    {"control", PORT, BOTH, AT(control)},
    {"mux", PORT, BOTH, AT(mux)},
    {"task", PORT, BOTH, AT(task)},
    {"task_scheme", TEXT, CLIENT, AT(task_scheme)},
    {"iopub", PORT, BOTH, AT(iopub)},
    {"notification", PORT, CLIENT, AT(notification)},
    {"broadcast", PORT, CLIENT, AT(broadcast)},
    {"hb_ping", PORT, ENGINE, AT(hb_ping)},
    {"hb_pong", PORT, ENGINE, AT(hb_pong)},
    {"broadcast", PORT_LIST, ENGINE, AT(broadcast_leaves), true},
    {"key", TEXT, BOTH, AT(key), true},
    {"curve_serverkey", TEXT_OR_NULL, BOTH, AT(curve_serverkey), true},
    {"location", TEXT, BOTH, AT(location), true},
    {"pack", TEXT, BOTH, AT(pack)},
    {"unpack", TEXT, BOTH, AT(unpack)},
    {"signature_scheme", TEXT, BOTH, AT(signature_scheme)},
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static bool is_of_side(const struct field *f, bool engine_side)
{
    return f->side == BOTH || (f->side == ENGINE) == engine_side;
}

static char **text_at(const struct connection_info *c, const struct field *f)
{
    return (char **)((char *)c + f->offset);
}

static int *port_at(const struct connection_info *c, const struct field *f)
{
    return (int *)((char *)c + f->offset);
}

int connection_info_set(char **field, const char *text)
{
    char *copy = str_dup(text);
    if (!copy)
        return ERSA_ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

int connection_info_init(struct connection_info *c, bool engine_side)
{
    *c = (struct connection_info){.engine_side = engine_side};
    int rc = 0;
    for (size_t i = 0; i < N_FIELDS; i++)
        if (fields[i].kind == TEXT && connection_info_set(text_at(c, &fields[i]), "") < 0)
            rc = ERSA_ENOMEM;
    if (rc < 0 || connection_info_set(&c->pack, "json") < 0 ||
        connection_info_set(&c->unpack, "json") < 0 ||
        connection_info_set(&c->signature_scheme, "hmac-sha256") < 0) {
        connection_info_fini(c);
        return ERSA_ENOMEM;
    }
    return 0;
}

void connection_info_fini(struct connection_info *c)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (fields[i].kind == TEXT || fields[i].kind == TEXT_OR_NULL)
            free(*text_at(c, &fields[i]));
    free(c->broadcast_leaves);
    free(c->metrics);
    json_decref(c->controller);
    *c = (struct connection_info){0};
}

/* Reading */

static int to_port(const json_t *j, int *ret)
{
    json_int_t n = json_integer_value(j);
    if (!json_is_integer(j) || n < 1 || n > 65535)
        return ERSA_EPARSE;
    *ret = (int)n;
    return 0;
}

static int read_leaves(struct connection_info *c, const json_t *j)
{
    size_t n = json_array_size(j);
    if (!json_is_array(j) || n > LEAVES_MAX)
        return ERSA_EPARSE;
    c->broadcast_leaves = calloc(n + 1, sizeof(int));
    if (!c->broadcast_leaves)
        return ERSA_ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (to_port(json_array_get(j, i), &c->broadcast_leaves[i]) < 0)
            return ERSA_EPARSE;
    c->n_broadcast_leaves = n;
    return 0;
}

static int read_field(struct connection_info *c, const struct field *f, const json_t *j)
{
    if (!j || (json_is_null(j) && f->optional))
        return f->optional ? 0 : ERSA_ENOENT;
    switch (f->kind) {
    case PORT:
        return to_port(j, port_at(c, f));
    case PORT_LIST:
        return read_leaves(c, j);
    default:
        break;
    }
    if (!json_is_string(j))
        return ERSA_EPARSE;
    if (f->kind == TEXT_OR_NULL && json_string_length(j) == 0)
        return 0;
    return connection_info_set(text_at(c, f), json_string_value(j));
}

static void read_ersa(struct connection_info *c, const json_t *file)
{
    const json_t *ersa = json_object_get(file, "ersa");
    if (json_integer_value(json_object_get(ersa, "v")) != 1)
        return;
    c->is_ersa = true;
    c->caps = caps_read(file);
    (void)to_port(json_object_get(ersa, "attach"), &c->attach);
    c->keep = json_is_true(json_object_get(ersa, "keep"));
    if (json_is_object(json_object_get(ersa, "controller")))
        c->controller = json_incref(json_object_get(ersa, "controller"));
    const char *metrics = json_string_value(json_object_get(ersa, "metrics"));
    if (metrics && !c->engine_side)
        (void)connection_info_set(&c->metrics, metrics);
}

static int read_object(struct connection_info *c, const json_t *j, const char *where,
                       struct ersa_error *err)
{
    if (!json_is_object(j))
        return err_set(err, ERSA_EPARSE, "%s: not a JSON object", where);
    for (size_t i = 0; i < N_FIELDS; i++) {
        const struct field *f = &fields[i];
        if (!is_of_side(f, c->engine_side))
            continue;
        switch (read_field(c, f, json_object_get(j, f->key))) {
        case 0:
            break;
        case ERSA_ENOENT:
            return err_set(err, ERSA_EPARSE, "%s: '%s' is missing", where, f->key);
        case ERSA_ENOMEM:
            return err_set(err, ERSA_ENOMEM, "out of memory");
        default:
            return err_set(err, ERSA_EPARSE, "%s: '%s' is not %s", where, f->key,
                           f->kind == PORT        ? "a port"
                           : f->kind == PORT_LIST ? "a list of ports"
                                                  : "text");
        }
    }
    if (!strstr(c->interface, "://"))
        return err_set(err, ERSA_EPARSE, "%s: '%s' is no interface", where, c->interface);
    read_ersa(c, j);
    return 0;
}

int connection_info_parse(struct slice text, const char *where, bool engine_side,
                          struct connection_info *ret, struct ersa_error *err)
{
    struct connection_info c;
    if (connection_info_init(&c, engine_side) < 0)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    json_t *j = json_parse(text, err);
    int rc = j ? read_object(&c, j, where, err) : err_prefix(err, ERSA_EPARSE, "%s", where);
    json_decref(j);
    if (rc < 0)
        connection_info_fini(&c);
    else
        *ret = c;
    return rc;
}

int connection_file_read(const char *path, bool engine_side, struct connection_info *ret,
                         struct ersa_error *err)
{
    struct buf text;
    buf_init(&text, FILE_MAX);
    int rc = file_read(path, &text, err);
    if (rc == 0)
        rc = connection_info_parse((struct slice){(char *)text.data, text.len}, path,
                                   engine_side, ret, err);
    buf_fini(&text);
    return rc;
}

/* Writing */

static json_t *field_json(const struct connection_info *c, const struct field *f)
{
    const char *text = f->kind <= TEXT_OR_NULL ? *text_at(c, f) : NULL;
    switch (f->kind) {
    case PORT:
        return json_integer(*port_at(c, f));
    case PORT_LIST: {
        json_t *list = json_array();
        for (size_t i = 0; i < c->n_broadcast_leaves; i++)
            json_array_append_new(list, json_integer(c->broadcast_leaves[i]));
        return list;
    }
    default:
        return text ? json_string(text) : json_null();
    }
}

static json_t *ersa_json(const struct connection_info *c)
{
    json_t *ersa = caps_json(c->caps);
    if (ersa && c->engine_side && c->attach)
        json_object_set_new(ersa, "attach", json_integer(c->attach));
    if (ersa && !c->engine_side && c->metrics)
        json_object_set_new(ersa, "metrics", json_string(c->metrics));
    if (ersa && c->keep)
        json_object_set_new(ersa, "keep", json_true());
    if (ersa && c->controller)
        json_object_set(ersa, "controller", c->controller);
    return ersa;
}

char *connection_info_text(const struct connection_info *c)
{
    json_t *j = json_object();
    bool ok = j != NULL;
    for (size_t i = 0; ok && i < N_FIELDS; i++)
        if (is_of_side(&fields[i], c->engine_side))
            ok = json_object_set_new(j, fields[i].key, field_json(c, &fields[i])) == 0;
    if (ok && c->is_ersa)
        ok = json_object_set_new(j, "ersa", ersa_json(c)) == 0;
    char *text = ok ? json_dumps(j, JSON_INDENT(2)) : NULL;
    json_decref(j);
    return text;
}

int connection_file_write(const char *path, const struct connection_info *c,
                          struct ersa_error *err)
{
    CLEANUP(free_ptr) char *text = connection_info_text(c);
    if (!text)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    return file_write_atomic(path, text, strlen(text), 0600, err);
}

char *connection_url(const char *interface, int port)
{
    return str_printf("%s:%d", interface, port);
}
