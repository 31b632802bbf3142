/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that others wrote: connection files, cluster files, config files, what Python made of a
 * config file, and key pairs of CURVE.
 *
 * The first octet: which (% 8), the program of a config file (>> 3). The rest is the file.
 * Those that can only be read by name lie in memory, in a folder of their own. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/curve_keys.h"
#include "config/cluster_file.h"
#include "config/config_file.h"
#include "config/connection_file.h"
#include "fuzz.h"
#include "util/log.h"
#include "wire/endpoint.h"
#include "wire/json.h"

#define PATH_MAX_HERE 128

static char dir[] = "/dev/shm/ersa-fuzz-XXXXXX";
static char paths[5][PATH_MAX_HERE];
enum { CONNECTION, CLUSTER, CONFIG_JSON, CONFIG_PYTHON, KEYS };

static void tidy_up(void)
{
    for (int i = 0; i < 5; i++)
        unlink(paths[i]);
    rmdir(dir);
}

static void name_config(const char *base)
{
    snprintf(paths[CONFIG_JSON], PATH_MAX_HERE, "%s/%s.json", dir, base);
    snprintf(paths[CONFIG_PYTHON], PATH_MAX_HERE, "%s/%s.py", dir, base);
}

/* No interpreter is to be found, so that none is run. */
static void set_up(void)
{
    static bool is_done;
    if (is_done)
        return;
    is_done = true;
    log_set_level(LOG_CRITICAL + 1);
    FUZZ_CHECK(mkdtemp(dir));
    snprintf(paths[CONNECTION], PATH_MAX_HERE, "%s/connection.json", dir);
    snprintf(paths[CLUSTER], PATH_MAX_HERE, "%s/cluster-x.json", dir);
    snprintf(paths[KEYS], PATH_MAX_HERE, "%s/keys", dir);
    setenv("PATH", "/nonexistent", 1);
    unsetenv("VIRTUAL_ENV");
    unsetenv("CONDA_PREFIX");
    atexit(tidy_up);
}

static void put_file(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len && close(fd) == 0);
}

/* Connection files */

/* Where it is an address, its text is one, and the same. */
static void check_endpoint(const char *url)
{
    struct endpoint e, again;
    struct ersa_error err = {0};
    char text[256];
    int rc = endpoint_parse(&e, url, false, &err);
    FUZZ_CHECK(rc == 0 || (rc == ERSA_EINVAL && err.text[0]));
    if (rc < 0)
        return;
    endpoint_text(&e, text, sizeof(text));
    FUZZ_CHECK(endpoint_parse(&again, text, false, &err) == 0);
    FUZZ_CHECK(e.len == again.len && memcmp(&e.addr, &again.addr, e.len) == 0);
}

static void check_server_key(const char *text)
{
    uint8_t key[CURVE_KEY_SIZE], again[CURVE_KEY_SIZE];
    char written[CURVE_TEXT_LEN + 1];
    if (!text || curve_key_parse(key, text) < 0)
        return;
    curve_key_text(written, key);
    FUZZ_CHECK(strcmp(written, text) == 0);
    FUZZ_CHECK(curve_key_parse(again, written) == 0 && memcmp(key, again, sizeof(key)) == 0);
}

/* What was read is written, and reads the same. */
static void check_connection(const struct connection_info *c)
{
    struct connection_info again;
    FUZZ_CHECK(strstr(c->interface, "://") && c->pack && c->unpack && c->key && c->location);
    FUZZ_CHECK(c->registration > 0 && c->registration < 65536);
    (void)connection_is_loopback(c->interface);
    char *text = connection_info_text(c), *url = connection_url(c->interface, c->registration);
    FUZZ_CHECK(text && url);
    check_endpoint(url);
    check_server_key(c->curve_serverkey);
    FUZZ_CHECK(connection_file_write(paths[CONNECTION], c, NULL) == 0);
    FUZZ_CHECK(connection_file_read(paths[CONNECTION], c->engine_side, &again, NULL) == 0);
    char *text_again = connection_info_text(&again);
    FUZZ_CHECK(text_again && strcmp(text, text_again) == 0);
    connection_info_fini(&again);
    free(text);
    free(text_again);
    free(url);
}

static void read_connection(const uint8_t *data, size_t len, bool engine_side)
{
    struct connection_info c;
    struct ersa_error err = {0};
    int rc = connection_info_parse((struct slice){(const char *)data, len}, "file", engine_side,
                                   &c, &err);
    FUZZ_CHECK(rc == 0 || (err.text[0] && err.code == rc));
    if (rc < 0)
        return;
    check_connection(&c);
    connection_info_fini(&c);
}

static void read_as_client(const uint8_t *data, size_t len, unsigned program)
{
    read_connection(data, len, false);
}

static void read_as_engine(const uint8_t *data, size_t len, unsigned program)
{
    read_connection(data, len, true);
}

/* Cluster files */

static int take_path(void *ctx, const char *path)
{
    FUZZ_CHECK(strcmp(path, paths[CLUSTER]) == 0);
    ++*(int *)ctx;
    return 0;
}

static void check_cluster(const struct cluster_file *f)
{
    struct cluster_file again;
    int n = 0;
    bool runs = f->controller_state || json_object_size(f->engine_sets) > 0;
    char *path = cluster_file_path(dir, "x");
    FUZZ_CHECK(path && strcmp(path, paths[CLUSTER]) == 0);
    free(path);
    FUZZ_CHECK(cluster_file_update(paths[CLUSTER], f, NULL) == 0);
    FUZZ_CHECK(cluster_file_each(dir, take_path, &n) == 0 && n == runs);
    int rc = cluster_file_read(paths[CLUSTER], &again, NULL);
    FUZZ_CHECK(rc == (runs ? 0 : ERSA_ENOENT));
    if (!runs)
        return;
    json_t *a = cluster_file_json(f), *b = cluster_file_json(&again);
    FUZZ_CHECK(a && b && json_equal(a, b));
    json_decref(a);
    json_decref(b);
    cluster_file_fini(&again);
}

static void read_cluster(const uint8_t *data, size_t len, unsigned program)
{
    struct cluster_file f;
    struct ersa_error err = {0};
    put_file(paths[CLUSTER], data, len);
    int rc = cluster_file_read(paths[CLUSTER], &f, &err);
    FUZZ_CHECK(rc == 0 || err.text[0]);
    if (rc == 0) {
        check_cluster(&f);
        cluster_file_fini(&f);
    }
    FUZZ_CHECK(cluster_file_remove(paths[CLUSTER], NULL) == 0);
}

/* Key pairs */

static void read_keys(const uint8_t *data, size_t len, unsigned program)
{
    struct curve_keys k = {0}, again = {0};
    struct ersa_error err = {0};
    put_file(paths[KEYS], data, len);
    int rc = curve_keys_read(paths[KEYS], &k, &err);
    FUZZ_CHECK(rc == 0 || err.text[0]);
    if (rc < 0)
        return;
    FUZZ_CHECK(curve_keys_write(paths[KEYS], &k, NULL) == 0);
    FUZZ_CHECK(curve_keys_read(paths[KEYS], &again, NULL) == 0);
    FUZZ_CHECK(memcmp(&k, &again, sizeof(k)) == 0);
}

/* Config files */

static struct options *new_options(unsigned program)
{
    struct options *o = NULL;
    FUZZ_CHECK(options_new(&o, (enum program)(1u << program % 7), NULL) == 0);
    return o;
}

static void read_config(const uint8_t *data, size_t len, unsigned program, int which)
{
    struct options *o = new_options(program);
    struct profile p = {.ipython_dir = dir, .dir = dir, .name = dir, .security_dir = dir};
    struct ersa_error err = {0};
    name_config(program & 8 ? "ipython_config" : program_find(options_program(o))->config);
    put_file(paths[which], data, len);
    if (program & 16)
        setenv("IPYTHON_SUPPRESS_CONFIG_ERRORS", "1", 1);
    else
        unsetenv("IPYTHON_SUPPRESS_CONFIG_ERRORS");
    int rc = config_files_load(o, &p, &err);
    FUZZ_CHECK(rc == 0 || err.text[0]);
    FUZZ_CHECK(!(program & 16) || rc == 0 || rc == ERSA_EIO || rc == ERSA_EINVAL);
    unlink(paths[which]);
    options_free(o);
}

static void read_config_json(const uint8_t *data, size_t len, unsigned program)
{
    /* neither another file of the input's choice nor a program of its choice */
    if (!memmem(data, len, "extra", 5) && !memmem(data, len, "python", 6))
        read_config(data, len, program, CONFIG_JSON);
}

static void read_config_python(const uint8_t *data, size_t len, unsigned program)
{
    read_config(data, len, program, CONFIG_PYTHON);
}

static void take_entries(const uint8_t *data, size_t len, unsigned program)
{
    struct options *o = new_options(program);
    struct ersa_error err = {0};
    json_t *entries = json_parse((struct slice){(const char *)data, len}, NULL);
    int rc = config_entries_set(o, entries, "file.py", &err);
    FUZZ_CHECK(rc == 0 || err.text[0]);
    json_decref(entries);
    options_free(o);
}

/* A file that is given by name: with its ending or without, absolute or not. */
static void read_extra(const uint8_t *data, size_t len, unsigned program)
{
    static const char *const names[] = {"extra.json", "extra", "extra.json", "no"};
    struct options *o = new_options(program);
    struct profile p = {.ipython_dir = dir, .dir = dir, .name = dir, .security_dir = dir};
    struct ersa_error err = {0};
    char name[PATH_MAX_HERE];
    bool is_named = !memmem(data, len, "extra", 5) && !memmem(data, len, "python", 6);
    name_config("extra");
    put_file(paths[CONFIG_JSON], data, is_named ? len : 0);
    chmod(paths[CONFIG_JSON], program & 16 ? 0666 : 0600); /* anybody may write it */
    unsigned form = program >> 3 & 3;
    snprintf(name, sizeof(name), "%s%s%s", form < 2 ? dir : "", form < 2 ? "/" : "",
             names[form]);
    json_t *value = json_string(name);
    FUZZ_CHECK(options_set_json(o, "BaseIPythonApplication", "extra_config_file", value, "x",
                                &err) == 0);
    int rc = config_files_load(o, &p, &err);
    FUZZ_CHECK(rc == 0 || err.text[0]);
    json_decref(value);
    unlink(paths[CONFIG_JSON]);
    options_free(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const uint8_t *data, size_t len, unsigned program) = {
        read_as_client,     read_as_engine, read_cluster, read_config_json,
        read_config_python, take_entries,   read_extra,   read_keys,
    };
    set_up();
    if (size)
        readers[data[0] % 8](data + 1, size - 1, data[0] >> 3);
    return 0;
}
