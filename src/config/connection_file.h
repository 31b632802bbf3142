/* SPDX-License-Identifier: BSD-3-Clause */
/* Connection files (controller.md 3): what a client or an engine needs to know to connect, as
 * JSON in the profile's security/ or in $IPP_CONNECTION_INFO. Ours carry an "ersa" object
 * besides (docs/protocol/extensions.md 1). */
#ifndef ERSA_CONFIG_CONNECTION_FILE_H
#define ERSA_CONFIG_CONNECTION_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "ersa/error.h"
#include "util/str.h"
#include "wire/json.h"

/* Texts are owned when read by the functions below, and never NULL except `curve_serverkey`;
 * ports that the side does not have are 0. */
struct connection_info {
    bool engine_side;
    char *ssh;       /* "" : none */
    char *interface; /* "tcp://127.0.0.1", "ipc:///absolute/path" */
    int registration, control, mux, task, iopub;
    int notification, broadcast; /* client side */
    char *task_scheme;           /* client side */
    int hb_ping, hb_pong;        /* engine side */
    int *broadcast_leaves;       /* engine side */
    size_t n_broadcast_leaves;
    char *key;             /* "": unsigned */
    char *curve_serverkey; /* Z85, NULL: no CURVE */
    char *location;
    char *pack, *unpack;
    char *signature_scheme;
    bool is_ersa;       /* it carries an "ersa" object of version 1 */
    unsigned caps;      /* bits of ersa_caps.def announced there */
    int attach;         /* engine side: port of `attach`, 0: none */
    char *metrics;      /* client side: URL of the metrics; NULL: not served */
    bool keep;          /* --reuse: stays when its controller is gone */
    json_t *controller; /* owned; which process wrote it, NULL: it does not say */
};

/* Zeroes, then what is common: empty texts, json, hmac-sha256. ERSA_ENOMEM. */
int connection_info_init(struct connection_info *c, bool engine_side);
void connection_info_fini(struct connection_info *c);
/* Replaces an owned text. ERSA_ENOMEM. */
int connection_info_set(char **field, const char *text);

/* `c` needs no init before, fini on success after. ERSA_ENOENT: no such file; ERSA_EPARSE: not
 * JSON, a key that is missing or of another type (named); ERSA_EIO. `where` names the source in
 * messages. */
int connection_file_read(const char *path, bool engine_side, struct connection_info *ret,
                         struct ersa_error *err);
int connection_info_parse(struct slice text, const char *where, bool engine_side,
                          struct connection_info *ret, struct ersa_error *err);

/* The file's text, owned; NULL when out of memory. */
char *connection_info_text(const struct connection_info *c);
/* Mode 0600, never half there. ERSA_EIO, ERSA_ENOMEM. */
int connection_file_write(const char *path, const struct connection_info *c,
                          struct ersa_error *err);

/* The interface with "*" and "0.0.0.0" resolved as a peer does (controller.md 3.1, engine.md
 * 2): `location` NULL or "": the file's. Looks names up; owned. NULL: out of memory. */
char *connection_interface(const struct connection_info *c, const char *location);
/* The address to listen on that `name` stands for: itself where it is an address or a wildcard,
 * else that of the network interface or of the host. Owned. ERSA_EINVAL, ERSA_ENOMEM. */
int connection_bind_address(char **ret, const char *name, struct ersa_error *err);
/* "<interface>:<port>"; owned. */
char *connection_url(const char *interface, int port);
/* "tcp://10.0.0.1" -> true for 127.*; also true for ipc. */
bool connection_is_loopback(const char *interface);

#endif
