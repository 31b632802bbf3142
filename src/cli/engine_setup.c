/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the options of ipengine and the connection file. */
#include "cli/engine_setup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/curve_keys.h"
#include "cli/writer.h"
#include "config/python.h"
#include "loop/signals.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"

#define POLL_US 20000
#define KEY_FILE_MAX 4096

static int no_memory(struct ersa_error *err)
{
    return err_set(err, ERSA_ENOMEM, "out of memory");
}

static int64_t to_ms(double seconds)
{
    return (int64_t)(seconds * 1e3);
}

/* Connection file */

static char *file_path(const struct cli *c)
{
    const char *given = options_text(c->options, "IPEngine.url_file");
    const char *name = options_text(c->options, "IPEngine.url_file_name");
    if (*given)
        return path_expand(given);
    if (*name)
        return str_path(c->profile.security_dir, name);
    return profile_connection_file(&c->profile, c->cluster_id, true);
}

/* ERSA_ENOENT also for a file whose controller is gone. */
static int read_living(const char *path, struct connection_info *ret, struct ersa_error *err)
{
    int rc = connection_file_read(path, true, ret, err);
    if (rc < 0 || !writer_is_gone(ret))
        return rc;
    connection_info_fini(ret);
    return err_set(err, ERSA_ENOENT, "the controller that wrote %s is gone", path);
}

/* A file that can't be read as one may still be being written. */
static int wait_for_file(const struct cli *c, const char *path, struct connection_info *ret,
                         struct ersa_error *err)
{
    int64_t wait_ms = to_ms(options_float(c->options, "IPEngine.wait_for_url_file"));
    int64_t until = clock_mono_ms() + wait_ms;
    bool has_said = false;
    for (;;) {
        int rc = read_living(path, ret, err);
        if ((rc != ERSA_ENOENT && rc != ERSA_EPARSE) || clock_mono_ms() >= until)
            return rc;
        if (!has_said) {
            log_warn("url_file '%s' not found", path);
            log_warn("Waiting up to %.1f seconds for it to arrive.", (double)wait_ms / 1e3);
        }
        has_said = true;
        usleep(POLL_US);
    }
}

static int read_connection(struct engine_setup *s, const struct cli *c, struct ersa_error *err)
{
    static const char variable[] = "IPP_CONNECTION_INFO";
    const char *text = getenv(variable);
    if (text && *text)
        return connection_info_parse((struct slice){text, strlen(text)}, variable, true,
                                     &s->conn, err);
    CLEANUP(free_ptr) char *path = file_path(c);
    if (!path)
        return no_memory(err);
    int rc = wait_for_file(c, path, &s->conn, err);
    if (rc == 0)
        log_info("Loading connection file '%s'", path);
    return rc;
}

static bool is_json(const char *packer)
{
    return strcmp(packer, "json") == 0 || strcmp(packer, "orjson") == 0;
}

/* What this version can't do is said at once. */
static int check_connection(const struct engine_setup *s, const struct options *o,
                            struct ersa_error *err)
{
    if (!is_json(s->conn.pack) || !is_json(s->conn.unpack))
        return err_set(err, ERSA_EUNSUPPORTED, "messages packed as '%s' can't be read",
                       s->conn.pack);
    if (*s->conn.ssh || *options_text(o, "IPEngine.sshserver"))
        return err_set(err, ERSA_EUNSUPPORTED, "ssh tunnels are not supported yet");
    return 0;
}

/* --url: another address for registration; then the stock sockets are used. */
static int apply_url(struct engine_setup *s, const struct options *o, struct ersa_error *err)
{
    const char *url = options_text(o, "IPEngine.registration_url");
    const char *colon = strrchr(url, ':');
    long long port;
    if (!*url)
        return 0;
    if (!colon || str_to_i64(colon + 1, &port) < 0 || port < 1 || port > 65535)
        return err_set(err, ERSA_EINVAL, "'%s' is no address like tcp://127.0.0.1:1234", url);
    CLEANUP(free_ptr)
    char *interface = str_dup_slice((struct slice){url, (size_t)(colon - url)});
    if (!interface || connection_info_set(&s->conn.interface, interface) < 0)
        return no_memory(err);
    s->conn.registration = (int)port;
    s->conn.attach = 0;
    return 0;
}

/* The file's key, else a configured one. */
static int set_key(struct engine_setup *s, const struct options *o, struct ersa_error *err)
{
    const char *file = options_text(o, "Session.keyfile");
    s->engine.key = s->conn.key;
    if (*s->conn.key || (!*file && !options_is_set(o, "Session.key")))
        return 0;
    if (!*file) {
        s->engine.key = options_text(o, "Session.key");
        return 0;
    }
    struct buf b;
    buf_init(&b, KEY_FILE_MAX);
    int rc = file_read(file, &b, err);
    const char *text = rc == 0 ? buf_cstr(&b) : NULL;
    if (text && connection_info_set(&s->conn.key, text) < 0)
        rc = no_memory(err);
    s->engine.key = s->conn.key;
    buf_fini(&b);
    return rc;
}

/* The file's server key, else a configured one; our own pair is a fresh one unless configured.
 */
static int set_curve(struct engine_setup *s, const struct options *o, struct ersa_error *err)
{
    const char *key = s->conn.curve_serverkey, *where = "the connection file";
    if (!key || !*key) {
        key = options_text(o, "IPEngine.curve_serverkey");
        where = options_where(o, "IPEngine.curve_serverkey");
    }
    if (!*key) {
        if (!connection_is_loopback(s->interface))
            log_warn("Not using CurveZMQ security");
        return 0;
    }
    if (curve_key_parse(s->curve.server, key) < 0)
        return err_set(err, ERSA_EINVAL, "%s: curve_serverkey is no key of CURVE", where);
    int rc = curve_keys_from_options(&s->curve.own, o, "IPEngine", err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        curve_keys_make(&s->curve.own);
    s->engine.curve = &s->curve;
    log_info("Using CurveZMQ security");
    return 0;
}

/* The runtime */

/* The package beside the program, if it is there (docs/protocol/runtime.md 6). */
static char *find_package(void)
{
    static const char *const places[] = {"/../python", "/../lib/ersa/python"};
    const char *given = getenv("ERSA_PYTHON_DIR");
    if (given && *given)
        return str_dup(given);
    CLEANUP(free_ptr) char *exe_dir = file_exe_dir();
    for (size_t i = 0; exe_dir && i < sizeof(places) / sizeof(places[0]); i++) {
        CLEANUP(free_ptr) char *dir = str_printf("%s%s", exe_dir, places[i]);
        CLEANUP(free_ptr) char *probe = dir ? str_printf("%s/ersa/runtime", dir) : NULL;
        if (probe && access(probe, F_OK) == 0)
            return path_normal(dir);
    }
    return NULL;
}

static int set_runtime(struct engine_setup *s, const struct options *o, struct ersa_error *err)
{
    const char *source;
    int rc = python_find(options_text(o, "IPEngine.python"), &s->python, &source, err);
    if (rc < 0)
        return rc;
    s->python_dir = find_package();
    s->label = str_printf("%s, %s", s->python, source);
    if (!s->label)
        return no_memory(err);
    s->runtime_argv[0] = s->python;
    s->runtime_argv[1] = (char *)"-m";
    s->runtime_argv[2] = (char *)"ersa.runtime";
    s->engine.runtime_argv = s->runtime_argv;
    s->engine.runtime_label = s->label;
    s->engine.python_dir = s->python_dir;
    return 0;
}

/* Trait of IPython's own classes: where the first has it there, else in the second. */
static json_t *startup_list(const struct options *o, const char *trait)
{
    static const char *const classes[] = {"IPKernelApp", "InteractiveShellApp"};
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        json_t *list = json_object_get(json_object_get(options_foreign(o), classes[i]), trait);
        if (json_is_array(list))
            return json_incref(list);
        if (json_is_string(list))
            return json_pack("[O]", list);
    }
    return json_array();
}

static json_t *argv_list(int argc, char *const *argv)
{
    json_t *list = json_array();
    for (int i = 0; i < argc; i++)
        json_array_append_new(list, json_lossy((struct slice){argv[i], strlen(argv[i])}));
    return list;
}

static json_t *path_text(const char *path)
{
    return json_lossy((struct slice){path, strlen(path)});
}

static json_t *make_hello(const struct cli *c, int argc, char *const *argv)
{
    const struct options *o = c->options;
    char cwd[PATH_MAX];
    if (!getcwd(cwd, sizeof(cwd)))
        cwd[0] = '\0';
    json_t *startup =
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "command",
                  path_text(options_text(o, "IPEngine.startup_command")), "script",
                  path_text(options_text(o, "IPEngine.startup_script")), "lines",
                  startup_list(o, "exec_lines"), "files", startup_list(o, "exec_files"), "dir",
                  path_text(c->profile.startup_dir));
    json_t *session =
        json_pack("{s:I, s:I}", "buffer_threshold",
                  (json_int_t)options_int(o, "Session.buffer_threshold"), "item_threshold",
                  (json_int_t)options_int(o, "Session.item_threshold"));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:s, s:O}", "profile_dir",
                     path_text(c->profile.dir), "work_dir", path_text(cwd), "argv",
                     argv_list(argc, argv), "startup", startup, "session", session, "mpi",
                     options_bool(o, "IPEngine.use_mpi"), "init_mpi",
                     options_text(o, "IPEngine.init_mpi"), "config", options_foreign(o));
}

/* The id to ask for */

/* Rank in a job of more than one, as its launcher tells it; -1: none. */
static int64_t mpi_rank(void)
{
    static const char *const names[][2] = {
        {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
        {"PMI_RANK", "PMI_SIZE"},
        {"PMIX_RANK", "PMIX_SIZE"},
        {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"},
        {"SLURM_PROCID", "SLURM_NTASKS"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *rank = getenv(names[i][0]), *size = getenv(names[i][1]);
        long long r, n;
        if (rank && size && str_to_i64(rank, &r) == 0 && str_to_i64(size, &n) == 0 && n > 1)
            return r;
    }
    return -1;
}

static int64_t wished_id(const struct options *o)
{
    if (options_is_set(o, "IPEngine.id"))
        return options_int(o, "IPEngine.id");
    return options_bool(o, "IPEngine.use_mpi") ? mpi_rank() : -1;
}

static double foreign_seconds(const struct options *o, const char *cls, const char *trait)
{
    const json_t *value = json_object_get(json_object_get(options_foreign(o), cls), trait);
    if (json_is_string(value))
        return strtod(json_string_value(value), NULL);
    return json_number_value(value);
}

int engine_setup(struct engine_setup *s, const struct cli *c, int argc, char *const *argv,
                 struct ersa_error *err)
{
    const struct options *o = c->options;
    *s = (struct engine_setup){0};
    int rc = set_runtime(s, o, err); /* what the user can mend is told before any waiting */
    if (rc == 0)
        rc = read_connection(s, c, err);
    if (rc < 0)
        return rc;
    s->has_conn = true;
    if ((rc = check_connection(s, o, err)) < 0 || (rc = apply_url(s, o, err)) < 0 ||
        (rc = set_key(s, o, err)) < 0)
        return rc;
    s->interface = connection_interface(&s->conn, options_text(o, "IPEngine.location"));
    s->engine.hello = make_hello(c, argc, argv);
    if (!s->interface || !s->engine.hello)
        return no_memory(err);
    if ((rc = set_curve(s, o, err)) < 0)
        return rc;
    const char *uuid = options_text(o, "Session.session");
    s->engine.conn = &s->conn;
    s->engine.interface = s->interface;
    s->engine.signature_scheme = s->conn.signature_scheme;
    s->engine.uuid = *uuid ? uuid : NULL;
    s->engine.username = options_text(o, "Session.username");
    s->engine.wish = wished_id(o);
    s->engine.caps = options_caps(o);
    s->engine.registration_timeout_ms = to_ms(options_float(o, "IPEngine.timeout"));
    s->engine.heartbeat_misses_max = options_int(o, "IPEngine.max_heartbeat_misses");
    s->engine.stop_on_error_ms =
        to_ms(foreign_seconds(o, "IPythonKernel", "stop_on_error_timeout"));
    s->engine.hangup_ends = signals_hangup_ends();
    s->engine.digest_history = (size_t)options_int(o, "Session.digest_history_size");
    return 0;
}

void engine_setup_end(struct engine_setup *s)
{
    if (s->has_conn)
        connection_info_fini(&s->conn);
    json_decref(s->engine.hello);
    curve_wipe(&s->curve, sizeof(s->curve));
    free(s->interface);
    free(s->python);
    free(s->python_dir);
    free(s->label);
    *s = (struct engine_setup){0};
}
