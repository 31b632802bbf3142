/* SPDX-License-Identifier: BSD-3-Clause */
/* The store of task records from its options (db.md 5). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/controller_setup.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/str.h"

#define URI_MAX 65536

static int no_memory(struct ersa_error *err)
{
    return err_set(err, ERSA_ENOMEM, "out of memory");
}

static struct store_limits store_limits(const struct options *o, const char *class_name)
{
    static const char *const names[] = {"record_limit", "size_limit", "max_age",
                                        "cull_fraction"};
    char name[4][48];
    for (int i = 0; i < 4; i++)
        snprintf(name[i], sizeof(name[i]), "%s.%s", class_name, names[i]);
    return (struct store_limits){
        .records = (uint64_t)options_int(o, name[0]),
        .bytes = (uint64_t)options_int(o, name[1]),
        .max_age_s = (int64_t)options_float(o, name[2]),
        .cull = options_float(o, name[3]),
    };
}

/* As Python joins paths: an absolute second one stands alone. */
static char *join(const char *dir, const char *name)
{
    return *name == '/' ? str_dup(name) : str_path(dir, name);
}

static int open_sqlite(struct store **ret, const struct cli *c, const struct session *session,
                       struct ersa_error *err)
{
    const struct options *o = c->options;
    const char *location = options_text(o, "SQLiteDB.location");
    const char *table = options_text(o, "SQLiteDB.table");
    CLEANUP(free_ptr)
    char *path =
        join(*location ? location : c->profile.dir, options_text(o, "SQLiteDB.filename"));
    CLEANUP(free_ptr) char *own = str_printf("_%s", session_id(session));
    if (!path || !own)
        return no_memory(err);
    for (char *at = own; *at; at++)
        *at = *at == '-' ? '_' : *at;
    struct store_sqlite_config cfg = {
        .path = path, .table = *table ? table : own, .limits = store_limits(o, "SQLiteDB")};
    return store_sqlite_open(ret, &cfg, err);
}

/* MongoDB's address */

/* As pymongo takes them: host (or a whole URI, or several hosts), port, options. */
struct mongo_address {
    const char *user, *password;
    struct buf hosts, options;
    long long port;
};

static int put_percent(struct buf *b, const char *text)
{
    int rc = 0;
    for (; *text && rc == 0; text++)
        rc = isalnum((unsigned char)*text) || strchr("-._~", *text)
                 ? buf_putc(b, *text)
                 : buf_printf(b, "%%%02X", (unsigned char)*text);
    return rc;
}

static int put_host(struct mongo_address *a, const char *host)
{
    int rc = a->hosts.len ? buf_putc(&a->hosts, ',') : 0;
    return rc < 0 ? rc : buf_puts(&a->hosts, host);
}

static int put_option(struct mongo_address *a, const char *name, const json_t *value)
{
    int rc = buf_printf(&a->options, "%s%s=", a->options.len ? "&" : "", name);
    if (rc < 0)
        return rc;
    if (json_is_string(value))
        return put_percent(&a->options, json_string_value(value));
    if (json_is_integer(value))
        return buf_printf(&a->options, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return buf_printf(&a->options, "%g", json_real_value(value));
    return buf_puts(&a->options, json_is_true(value) ? "true" : "false");
}

static int read_hosts(struct mongo_address *a, const json_t *value)
{
    size_t i;
    json_t *host;
    if (json_is_string(value))
        return put_host(a, json_string_value(value));
    json_array_foreach(value, i, host)
    {
        if (json_is_string(host) && put_host(a, json_string_value(host)) < 0)
            return ERSA_ENOMEM;
    }
    return 0;
}

static int read_keywords(struct mongo_address *a, const json_t *keywords)
{
    const char *name;
    json_t *value;
    int rc = 0;
    json_object_foreach((json_t *)keywords, name, value)
    {
        if (rc < 0)
            break;
        if (strcmp(name, "host") == 0)
            rc = read_hosts(a, value);
        else if (strcmp(name, "port") == 0)
            a->port = json_is_string(value) ? atoll(json_string_value(value))
                                            : json_integer_value(value);
        else if (strcmp(name, "username") == 0)
            a->user = json_string_value(value);
        else if (strcmp(name, "password") == 0)
            a->password = json_string_value(value);
        else if (!json_is_null(value))
            rc = put_option(a, name, value);
    }
    return rc;
}

static int put_uri(struct buf *b, const struct mongo_address *a, const char *hosts)
{
    bool is_uri = strstr(hosts, "://");
    int rc = is_uri ? 0 : buf_puts(b, "mongodb://");
    if (rc == 0 && !is_uri && a->user) {
        rc = put_percent(b, a->user);
        if (rc == 0 && a->password && buf_putc(b, ':') == 0)
            rc = put_percent(b, a->password);
        if (rc == 0)
            rc = buf_putc(b, '@');
    }
    if (rc == 0)
        rc = buf_puts(b, *hosts ? hosts : "localhost");
    if (rc == 0 && !is_uri && a->port && !strchr(hosts, ',') && !strchr(hosts, ':'))
        rc = buf_printf(b, ":%lld", a->port);
    if (rc < 0 || !a->options.len)
        return rc;
    const char *path = is_uri ? strchr(strstr(hosts, "://") + 3, '/') : NULL;
    rc = buf_puts(b, !path ? "/?" : strchr(path, '?') ? "&" : "?");
    return rc < 0 ? rc : buf_append(b, a->options.data, a->options.len);
}

int controller_mongo_uri(char **ret, const struct options *o, struct ersa_error *err)
{
    const struct option_list *args = options_list(o, "MongoDB.connection_args");
    struct mongo_address a = {.port = 0};
    struct buf uri;
    int rc = 0;
    buf_init(&a.hosts, URI_MAX);
    buf_init(&a.options, URI_MAX);
    buf_init(&uri, URI_MAX);
    if (args->n > 0)
        rc = put_host(&a, args->items[0]);
    if (args->n > 1)
        a.port = atoll(args->items[1]);
    if (rc == 0)
        rc = read_keywords(&a, options_dict(o, "MongoDB.connection_kwargs"));
    const char *hosts = rc == 0 ? buf_cstr(&a.hosts) : NULL;
    if (rc == 0)
        rc = hosts ? put_uri(&uri, &a, hosts) : ERSA_ENOMEM;
    const char *text = rc == 0 ? buf_cstr(&uri) : NULL;
    *ret = text ? str_dup(text) : NULL;
    buf_fini(&a.hosts);
    buf_fini(&a.options);
    buf_fini(&uri);
    return *ret ? 0 : no_memory(err);
}

static int open_mongo(struct store **ret, const struct cli *c, const struct session *session,
                      struct ersa_error *err)
{
    const struct options *o = c->options;
    const char *database = options_text(o, "MongoDB.database");
    CLEANUP(free_ptr) char *uri = NULL;
    int rc = controller_mongo_uri(&uri, o, err);
    if (rc < 0)
        return rc;
    struct store_mongo_config cfg = {.uri = uri,
                                     .database = *database ? database : session_id(session),
                                     .limits = store_limits(o, "MongoDB"),
                                     .waiting_max =
                                         (uint64_t)options_int(o, "MongoDB.waiting_limit")};
    rc = store_mongo_open(ret, &cfg, err);
    return rc < 0 ? err_prefix(err, rc, "%s", options_where(o, "IPController.db_class")) : 0;
}

int controller_store(struct store **ret, const struct cli *c, const struct session *session,
                     struct ersa_error *err)
{
    const struct options *o = c->options;
    const char *name = options_text(o, "IPController.db_class");
    struct store_limits limits = store_limits(o, "DictDB");
    int rc;
    if (strcmp(name, "NoDB") == 0)
        rc = store_none_open(ret, err);
    else if (strcmp(name, "DictDB") == 0)
        rc = store_memory_open(ret, &limits, err);
    else if (strcmp(name, "SQLiteDB") == 0)
        rc = open_sqlite(ret, c, session, err);
    else
        rc = open_mongo(ret, c, session, err);
    if (rc == 0)
        log_info("Hub using DB backend: %s", name);
    return rc;
}
