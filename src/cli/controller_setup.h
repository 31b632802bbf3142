/* SPDX-License-Identifier: BSD-3-Clause */
/* From the options of ipcontroller to what its parts need: addresses, ports, key, store; and
 * the two connection files. */
#ifndef ERSA_CLI_CONTROLLER_SETUP_H
#define ERSA_CLI_CONTROLLER_SETUP_H

#include "cli/cli.h"
#include "config/connection_file.h"
#include "router/router.h"
#include "store/store.h"
#include "util/buf.h"
#include "wire/curve.h"

struct controller_setup {
    struct router_config router; /* borrows from here */
    struct option_ports engine_ports, client_ports;
    char *engine_path, *client_path;       /* of the connection files */
    struct connection_info engine, client; /* without port numbers until they are written */
    struct curve_config curve;             /* the router borrows it, if `uses_curve` */
    bool uses_curve;
    bool keeps_pair;  /* in a file, as it is not configured */
    char *curve_path; /* of that */
    char *ipc_dir;    /* made by us; NULL: none */
    char *pid_path;   /* pid/ipcontroller[-<id>].pid, held as long as we run */
    int pid_fd;       /* -1: none */
    char *state_path; /* of the engine state file */
    struct buf state; /* its text, with --restore */
    bool keep_files;
    bool are_written;
};

/* ERSA_EINVAL, ERSA_EPARSE, ERSA_EIO, ERSA_EUNSUPPORTED, ERSA_ENOMEM. */
int controller_setup(struct controller_setup *ret, const struct cli *c, struct ersa_error *err);
/* Fills `s` from the files at its paths. ERSA_ENOENT: neither is there, so this is the first
 * run. */
int controller_reuse(struct controller_setup *s, const struct options *o,
                     struct ersa_error *err);
/* Decides whether the ports speak CURVE, and with which pair. */
int controller_curve(struct controller_setup *s, const struct options *o, bool is_reused,
                     struct ersa_error *err);
int controller_curve_publish(struct controller_setup *s, struct ersa_error *err);
void controller_curve_end(struct controller_setup *s);
int controller_add_port(struct option_ports *p, long long number); /* 0: nothing to add */
/* One controller for one pair of connection files: ERSA_EEXIST names the one that runs. */
int controller_claim(struct controller_setup *s, const struct cli *c, struct ersa_error *err);
/* The engine state file; with --restore it is read. ERSA_EIO, ERSA_EFULL, ERSA_ENOMEM. */
int controller_state(struct controller_setup *s, const struct cli *c, struct ersa_error *err);
void controller_state_end(struct controller_setup *s);
int controller_session(struct session **ret, const struct controller_setup *s,
                       const struct cli *c, struct ersa_error *err);
int controller_store(struct store **ret, const struct cli *c, const struct session *session,
                     struct ersa_error *err);
/* mongodb://... from connection_args and connection_kwargs, as pymongo takes them; owned. */
int controller_mongo_uri(char **ret, const struct options *o, struct ersa_error *err);

/* Writes both files, the clients' last: who finds it finds the other. */
int controller_publish(struct controller_setup *s, const struct router *r,
                       struct ersa_error *err);
/* Removes the files, unless they are to be kept; frees everything. */
void controller_setup_end(struct controller_setup *s);

#endif
