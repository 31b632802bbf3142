/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the options of ipcontroller; with --reuse also the connection files of an earlier run.
 */
#include "cli/controller_setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cli/writer.h"
#include "launch/lockfile.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/file.h"
#include "util/log.h"
#include "util/rand.h"
#include "util/str.h"

#define GRACE_REPORT_MS 200
#define GRACE_LOST_MS 5500 /* its connection was reset after 5,000 (registration.c) */
#define KEY_FILE_MAX 4096
#define CLAIM_S 0.5 /* one that is just ending is waited for */

static int no_memory(struct ersa_error *err)
{
    return err_set(err, ERSA_ENOMEM, "out of memory");
}

/* Addresses */

static const char *side_text(const struct options *o, const char *own, const char *common)
{
    return options_is_set(o, own) && *options_text(o, own) ? options_text(o, own)
                                                           : options_text(o, common);
}

/* A private directory for ipc sockets, short enough for their names. */
static int make_ipc_dir(struct controller_setup *s, struct ersa_error *err)
{
    if (s->ipc_dir)
        return 0;
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char *dir = str_printf("%s/ersa-XXXXXX", runtime && *runtime == '/' ? runtime : "/tmp");
    if (!dir)
        return no_memory(err);
    if (!mkdtemp(dir)) {
        int rc = err_errno(err, ERSA_EIO, "%s", dir);
        free(dir);
        return rc;
    }
    s->ipc_dir = dir;
    return 0;
}

static int set_interface(struct controller_setup *s, const struct options *o, bool engine_side,
                         char **field, struct ersa_error *err)
{
    const char *transport = side_text(
        o, engine_side ? "IPController.engine_transport" : "IPController.client_transport",
        "IPController.transport");
    const char *ip =
        side_text(o, engine_side ? "IPController.engine_ip" : "IPController.client_ip",
                  "IPController.ip");
    bool is_ipc = strcmp(transport, "ipc") == 0;
    if (is_ipc && make_ipc_dir(s, err) < 0)
        return err && err->code ? err->code : ERSA_EIO;
    CLEANUP(free_ptr) char *address = NULL;
    int rc = is_ipc ? 0 : connection_bind_address(&address, ip, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", options_where(o, "IPController.ip"));
    CLEANUP(free_ptr)
    char *text =
        is_ipc ? str_printf("ipc://%s/c", s->ipc_dir) : str_printf("tcp://%s", address);
    return text && connection_info_set(field, text) == 0 ? 0 : no_memory(err);
}

static int set_interfaces(struct controller_setup *s, const struct options *o,
                          struct ersa_error *err)
{
    int rc = set_interface(s, o, true, &s->engine.interface, err);
    return rc < 0 ? rc : set_interface(s, o, false, &s->client.interface, err);
}

/* Ports */

static int copy_ports(struct option_ports *to, const struct options *o, const char *name)
{
    const struct option_ports *from = options_ports(o, name);
    int rc = 0;
    for (size_t i = 0; i < from->n && rc == 0; i++)
        rc = controller_add_port(to, from->numbers[i]);
    return rc;
}

/* Each side's pool, with what former options name behind it. */
static int set_pools(struct controller_setup *s, const struct options *o)
{
    int rc = copy_ports(&s->engine_ports, o, "IPController.engine_ports");
    if (rc == 0)
        rc = controller_add_port(&s->engine_ports, options_int(o, "IPController.regport"));
    if (rc == 0)
        rc = copy_ports(&s->engine_ports, o, "IPController.hb");
    if (rc == 0)
        rc = copy_ports(&s->client_ports, o, "IPController.client_ports");
    if (rc == 0)
        rc =
            controller_add_port(&s->client_ports, options_int(o, "IPController.notifier_port"));
    return rc;
}

/* The key and other texts of new files */

static int key_from_file(char **field, const char *path, struct ersa_error *err)
{
    struct buf text;
    buf_init(&text, KEY_FILE_MAX);
    int rc = file_read(path, &text, err);
    while (rc == 0 && text.len && strchr(" \t\r\n", text.data[text.len - 1]))
        text.len--;
    const char *key = rc == 0 ? buf_cstr(&text) : NULL;
    if (rc == 0)
        rc = key && connection_info_set(field, key) == 0 ? 0 : no_memory(err);
    buf_fini(&text);
    return rc;
}

/* CURVE needs no key: without one that is configured, messages are not signed (wire.md 2). */
static int set_key(char **field, const struct options *o, bool uses_curve,
                   struct ersa_error *err)
{
    char fresh[RAND_SESSION_ID_LEN + 1];
    const char *file = options_text(o, "Session.keyfile");
    bool has_key = options_is_set(o, "Session.key");
    if (*file &&
        (!has_key || options_origin(o, "Session.keyfile") >= options_origin(o, "Session.key")))
        return key_from_file(field, file, err);
    if (!has_key && uses_curve)
        return connection_info_set(field, "") == 0 ? 0 : no_memory(err);
    if (!has_key)
        rand_session_id(fresh);
    const char *key = has_key ? options_text(o, "Session.key") : fresh;
    return connection_info_set(field, key) == 0 ? 0 : no_memory(err);
}

static int set_texts(struct controller_setup *s, const struct options *o, bool is_reused,
                     struct ersa_error *err)
{
    char host[256] = "localhost";
    (void)gethostname(host, sizeof(host) - 1);
    const char *given = options_text(o, "IPController.location");
    const char *location = *given ? given : host;
    const char *scheme = options_text(o, "Session.signature_scheme");
    int rc = 0;
    if (!is_reused) {
        rc = set_key(&s->engine.key, o, s->uses_curve, err);
        if (rc < 0)
            return rc;
        if (connection_info_set(&s->client.key, s->engine.key) < 0 ||
            connection_info_set(&s->engine.signature_scheme, scheme) < 0 ||
            connection_info_set(&s->client.signature_scheme, scheme) < 0)
            return no_memory(err);
    }
    if (!is_reused || *given)
        rc = connection_info_set(&s->engine.location, location) |
             connection_info_set(&s->client.location, location);
    const char *ssh = options_text(o, "IPController.ssh_server");
    const char *engine_ssh = options_text(o, "IPController.engine_ssh_server");
    if (rc == 0 && (!is_reused || *ssh))
        rc = connection_info_set(&s->client.ssh, ssh);
    if (rc == 0 && (!is_reused || *engine_ssh))
        rc = connection_info_set(&s->engine.ssh, engine_ssh);
    if (rc == 0)
        rc = connection_info_set(&s->client.task_scheme,
                                 options_text(o, "TaskScheduler.scheme_name"));
    return rc < 0 ? no_memory(err) : 0;
}

static int set_path(char **ret, const struct cli *c, bool engine_side, struct ersa_error *err)
{
    const char *name = options_text(c->options, engine_side ? "IPController.engine_json_file"
                                                            : "IPController.client_json_file");
    *ret = *name ? str_path(c->profile.security_dir, name)
                 : profile_connection_file(&c->profile, c->cluster_id, engine_side);
    return *ret ? 0 : no_memory(err);
}

/* Of a file named after the clients', which may have another name than usual. */
static char *path_beside(const struct controller_setup *s, const char *dir, const char *ending)
{
    static const char usual[] = "-client.json";
    const char *base = strrchr(s->client_path, '/') + 1;
    size_t len = strlen(base), n = sizeof(usual) - 1;
    if (len > n && strcmp(base + len - n, usual) == 0)
        len -= n;
    return str_printf("%s/%.*s%s", dir, (int)len, base, ending);
}

static uint64_t client_limit(const struct options *o)
{
    if (options_is_set(o, "TaskScheduler.client_limit"))
        return (uint64_t)options_int(o, "TaskScheduler.client_limit");
    struct sysinfo info;
    return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit / 4 : 0;
}

static void set_router(struct controller_setup *s, const struct options *o, bool is_reused)
{
    const struct option_ports *common = options_ports(o, "IPController.ports");
    long long hwm = options_int(o, "TaskScheduler.hwm");
    s->router = (struct router_config){
        .engine_interface = s->engine.interface,
        .client_interface = s->client.interface,
        .ports = {common->numbers, common->n},
        .engine_ports = {s->engine_ports.numbers, s->engine_ports.n},
        .client_ports = {s->client_ports.numbers, s->client_ports.n},
        .must_keep_numbers = is_reused,
        .broadcast_depth = (unsigned)options_int(o, "IPController.broadcast_scheduler_depth"),
        .caps = options_caps(o),
        .heart_period_ms = options_int(o, "HeartMonitor.period"),
        .heart_misses_max = (unsigned)options_int(o, "HeartMonitor.max_heartmonitor_misses"),
        .registration_timeout_ms =
            (int64_t)(options_float(o, "IPController.registration_timeout") * 1000),
        .digest_history = (size_t)options_int(o, "Session.digest_history_size"),
        .sched = {.scheme = options_text(o, "TaskScheduler.scheme_name"),
                  .hwm = hwm == OPTION_AUTO ? HWM_AUTO : (unsigned)hwm,
                  .client_limit = client_limit(o),
                  .grace_report_ms = GRACE_REPORT_MS,
                  .grace_lost_ms = GRACE_LOST_MS},
    };
    if (s->uses_curve)
        s->router.curve = &s->curve;
    s->engine.is_ersa = s->client.is_ersa = true;
    s->engine.caps = s->client.caps = s->router.caps;
}

int controller_setup(struct controller_setup *ret, const struct cli *c, struct ersa_error *err)
{
    const struct options *o = c->options;
    struct controller_setup *s = ret;
    *s = (struct controller_setup){.pid_fd = -1,
                                   .keep_files = options_bool(o, "IPController.reuse_files")};
    if (connection_info_init(&s->engine, true) < 0 ||
        connection_info_init(&s->client, false) < 0)
        return no_memory(err);
    int rc = set_path(&s->engine_path, c, true, err);
    if (rc == 0)
        rc = set_path(&s->client_path, c, false, err);
    if (rc == 0 && !(s->curve_path = path_beside(s, c->profile.security_dir, "-curve.key")))
        rc = no_memory(err);
    bool is_reused = false;
    if (rc == 0 && s->keep_files) {
        rc = controller_reuse(s, o, err);
        is_reused = rc == 0;
        rc = rc == ERSA_ENOENT ? 0 : rc;
    }
    if (rc == 0 && !is_reused)
        rc = set_pools(s, o);
    if (rc == 0 && !is_reused)
        rc = set_interfaces(s, o, err);
    if (rc == 0)
        rc = controller_curve(s, o, is_reused, err);
    if (rc == 0)
        rc = set_texts(s, o, is_reused, err);
    if (rc < 0)
        return rc == ERSA_ENOMEM ? no_memory(err) : rc;
    set_router(s, o, is_reused);
    return 0;
}

int controller_claim(struct controller_setup *s, const struct cli *c, struct ersa_error *err)
{
    CLEANUP(free_ptr) char *path = path_beside(s, c->profile.pid_dir, ".pid");
    if (!path)
        return no_memory(err);
    int fd = pidfile_create(path, CLAIM_S, err);
    if (fd >= 0) {
        s->pid_fd = fd;
        s->pid_path = TAKE_PTR(path);
        writer_remove_stale(s->client_path, false);
        writer_remove_stale(s->engine_path, true);
        return 0;
    }
    if (fd != ERSA_ETIMEDOUT)
        return fd;
    struct buf pid;
    buf_init(&pid, 64);
    (void)file_read(path, &pid, NULL);
    int rc =
        err_set(err, ERSA_EEXIST,
                "a controller with these connection files is running already, process %d (%s)",
                pid.len ? atoi(buf_cstr(&pid)) : 0, path);
    buf_fini(&pid);
    return rc;
}

int controller_session(struct session **ret, const struct controller_setup *s,
                       const struct cli *c, struct ersa_error *err)
{
    const struct options *o = c->options;
    const char *key = s->engine.key;
    if (!*key && !s->uses_curve)
        log_warn("Message signing is disabled: whoever reaches a port can run code");
    if (strlen(key) > SESSION_KEY_MAX)
        return err_set(err, ERSA_EINVAL, "Session.key has %zu characters, at most %d",
                       strlen(key), SESSION_KEY_MAX);
    const char *id = options_text(o, "Session.session");
    return session_new(ret, key, strlen(key), s->engine.signature_scheme, *id ? id : NULL,
                       options_text(o, "Session.username"), err);
}

/* Connection files */

static void set_side(struct connection_info *info, const struct router_side *side,
                     int registration)
{
    info->registration = registration;
    info->control = side->control;
    info->mux = side->mux;
    info->task = side->task;
    info->iopub = side->iopub;
}

int controller_publish(struct controller_setup *s, const struct router *r,
                       struct ersa_error *err)
{
    struct router_endpoints ends;
    router_endpoints(r, &ends);
    set_side(&s->engine, &ends.engine, ends.registration);
    set_side(&s->client, &ends.client, ends.registration);
    s->client.notification = ends.notification;
    s->client.broadcast = ends.broadcast;
    s->engine.hb_ping = ends.hb_ping;
    s->engine.hb_pong = ends.hb_pong;
    s->engine.attach = ends.attach;
    free(s->engine.broadcast_leaves);
    s->engine.broadcast_leaves = calloc(ends.n_broadcast_leaves + 1, sizeof(int));
    if (!s->engine.broadcast_leaves)
        return no_memory(err);
    s->engine.n_broadcast_leaves = ends.n_broadcast_leaves;
    memcpy(s->engine.broadcast_leaves, ends.broadcast_leaves,
           ends.n_broadcast_leaves * sizeof(int));
    s->are_written = true;
    s->engine.keep = s->client.keep = s->keep_files;
    json_decref(s->engine.controller); /* of an earlier run */
    json_decref(s->client.controller);
    s->engine.controller = writer_self();
    s->client.controller = json_incref(s->engine.controller);
    int rc = controller_curve_publish(s, err);
    if (rc < 0)
        return rc;
    log_info("writing connection info to %s", s->engine_path);
    rc = connection_file_write(s->engine_path, &s->engine, err);
    if (rc < 0)
        return rc;
    log_info("writing connection info to %s", s->client_path);
    return connection_file_write(s->client_path, &s->client, err);
}

void controller_setup_end(struct controller_setup *s)
{
    if (s->are_written && !s->keep_files) {
        if (!writer_remove_own(s->client_path, false, s->client.controller))
            s->keeps_pair = false; /* of keys: it is the other one's */
        writer_remove_own(s->engine_path, true, s->engine.controller);
    }
    controller_curve_end(s);
    if (s->ipc_dir && !s->keep_files)
        rmdir(s->ipc_dir);
    if (s->pid_path)
        lockfile_drop(s->pid_path, s->pid_fd);
    free(s->pid_path);
    connection_info_fini(&s->engine);
    connection_info_fini(&s->client);
    free(s->engine_ports.numbers);
    free(s->client_ports.numbers);
    free(s->engine_path);
    free(s->client_path);
    free(s->curve_path);
    controller_state_end(s);
    free(s->ipc_dir);
    *s = (struct controller_setup){.pid_fd = -1};
}
