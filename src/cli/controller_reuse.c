/* SPDX-License-Identifier: BSD-3-Clause */
/* --reuse: ports, key, address and location from the connection files of an earlier run, so
 * that peers which know them find the new controller. */
#include "cli/controller_setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/str.h"

int controller_add_port(struct option_ports *p, long long number)
{
    if (number <= 0)
        return 0;
    int *grown = reallocarray(p->numbers, p->n + 1, sizeof(*grown));
    if (!grown)
        return ERSA_ENOMEM;
    p->numbers = grown;
    p->numbers[p->n++] = (int)number;
    return 0;
}

/* The numbers of the files, in the order in which the router takes them. */
static int reuse_ports(struct controller_setup *s)
{
    const struct connection_info *e = &s->engine, *c = &s->client;
    const int before[] = {e->registration, e->control, e->mux,    e->task,
                          e->iopub,        e->hb_ping, e->hb_pong};
    const int client[] = {c->control, c->mux, c->task, c->iopub, c->notification, c->broadcast};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(before) / sizeof(before[0]); i++)
        rc = controller_add_port(&s->engine_ports, before[i]);
    for (size_t i = 0; rc == 0 && i < e->n_broadcast_leaves; i++)
        rc = controller_add_port(&s->engine_ports, e->broadcast_leaves[i]);
    if (rc == 0)
        rc = controller_add_port(&s->engine_ports, e->attach);
    for (size_t i = 0; rc == 0 && i < sizeof(client) / sizeof(client[0]); i++)
        rc = controller_add_port(&s->client_ports, client[i]);
    return rc;
}

static int differs(const char *what, struct ersa_error *err)
{
    return err_set(
        err, ERSA_EINVAL,
        "the connection files do not belong together: '%s' differs; remove both, or start "
        "without --reuse",
        what);
}

static int check_pair(const struct controller_setup *s, const struct options *o,
                      struct ersa_error *err)
{
    const struct connection_info *e = &s->engine, *c = &s->client;
    if (strcmp(e->key, c->key) != 0)
        return differs("key", err);
    if (e->registration != c->registration)
        return differs("registration", err);
    if (strcmp(e->curve_serverkey ? e->curve_serverkey : "",
               c->curve_serverkey ? c->curve_serverkey : "") != 0)
        return differs("curve_serverkey", err);
    if (strcmp(e->signature_scheme, c->signature_scheme) != 0)
        return differs("signature_scheme", err);
    const char *const packers[] = {e->pack, e->unpack, c->pack, c->unpack};
    for (size_t i = 0; i < sizeof(packers) / sizeof(packers[0]); i++)
        if (strcmp(packers[i], "json") != 0 && strcmp(packers[i], "orjson") != 0)
            return err_set(err, ERSA_EUNSUPPORTED,
                           "the connection files ask for '%s', only json is known", packers[i]);
    size_t leaves = (size_t)1 << options_int(o, "IPController.broadcast_scheduler_depth");
    if (e->n_broadcast_leaves != leaves)
        return err_set(
            err, ERSA_EINVAL,
            "the connection files are for %zu broadcast schedulers, the options for %zu",
            e->n_broadcast_leaves, leaves);
    return 0;
}

/* Reads both files. ERSA_ENOENT: neither is there, so this is the first run. */
static int read_pair(struct controller_setup *s, const struct options *o,
                     struct ersa_error *err)
{
    struct connection_info engine = {0}, client = {0};
    struct ersa_error why = {0};
    int rc = connection_file_read(s->engine_path, true, &engine, &why);
    int rc2 = connection_file_read(s->client_path, false, &client,
                                   rc < 0 && rc != ERSA_ENOENT ? NULL : &why);
    if (rc == ERSA_ENOENT && rc2 == ERSA_ENOENT)
        return ERSA_ENOENT;
    if (rc < 0 || rc2 < 0) {
        connection_info_fini(&engine);
        connection_info_fini(&client);
        return err_set(err, rc < 0 && rc != ERSA_ENOENT ? rc : ERSA_EINVAL,
                       "the connection files cannot be used again: %s", why.text);
    }
    connection_info_fini(&s->engine);
    connection_info_fini(&s->client);
    s->engine = engine;
    s->client = client;
    return check_pair(s, o, err);
}

/* The directory of the sockets may be gone since, with the temporary files of the last boot.
 * Who could write to it could take the controller's place. */
static int reuse_ipc_dir(const char *interface, struct ersa_error *err)
{
    if (strncmp(interface, "ipc:///", 7) != 0)
        return 0;
    const char *path = interface + strlen("ipc://");
    CLEANUP(free_ptr) char *dir = str_printf("%.*s", (int)(strrchr(path, '/') - path), path);
    struct stat st;
    if (!dir)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_errno(err, ERSA_EIO, "%s", dir);
    if (lstat(dir, &st) < 0)
        return err_errno(err, ERSA_EIO, "%s", dir);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return err_set(err, ERSA_EIO,
                       "%s: a directory that only its owner may enter is wanted for sockets",
                       dir);
    return 0;
}

/* Peers know the address of the files. An option that names another one is not forgotten in
 * silence: who gives it wants to be reached there. */
static void warn_of_address(const struct options *o, const char *side_option,
                            const char *interface)
{
    const char *name = options_is_set(o, side_option) && *options_text(o, side_option)
                           ? side_option
                           : "IPController.ip";
    CLEANUP(free_ptr) char *address = NULL;
    if (options_origin(o, name) == FROM_DEFAULT || strncmp(interface, "tcp://", 6) != 0 ||
        connection_bind_address(&address, options_text(o, name), NULL) < 0 ||
        strcmp(address, interface + 6) == 0)
        return;
    log_warn("%s has no effect: the connection files are used again, and name %s; remove both, "
             "or start without --reuse",
             options_where(o, name), interface);
}

int controller_reuse(struct controller_setup *s, const struct options *o,
                     struct ersa_error *err)
{
    int rc = read_pair(s, o, err);
    if (rc == ERSA_ENOENT) {
        log_info("No connection files to use again: new ones are written");
        return ERSA_ENOENT;
    }
    if (rc == 0)
        rc = reuse_ipc_dir(s->engine.interface, err);
    if (rc == 0)
        rc = reuse_ipc_dir(s->client.interface, err);
    if (rc == 0 && reuse_ports(s) < 0)
        rc = err_set(err, ERSA_ENOMEM, "out of memory");
    if (rc == 0) {
        warn_of_address(o, "IPController.engine_ip", s->engine.interface);
        warn_of_address(o, "IPController.client_ip", s->client.interface);
    }
    return rc;
}
