/* SPDX-License-Identifier: BSD-3-Clause */
/* An engine (design.md 2, engine.md): connections, queue and life in this process, user code in
 * another one, the runtime, over docs/protocol/runtime.md. */
#ifndef ERSA_ENGINE_ENGINE_H
#define ERSA_ENGINE_ENGINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "config/connection_file.h"
#include "ersa/error.h"
#include "wire/curve.h"

/* Everything borrowed for the engine's life. */
struct engine_config {
    const struct connection_info *conn;
    const char *interface; /* resolved */
    const char *key, *signature_scheme;
    const struct curve_config *curve; /* NULL: unencrypted */
    const char *uuid;                 /* NULL: a random one */
    const char *username;
    int64_t wish;  /* the id it would like to have, -1: any */
    unsigned caps; /* what this program announces: bits of ersa_caps.def */
    int64_t registration_timeout_ms;
    int64_t heartbeat_misses_max; /* 0: never give the controller up */
    int64_t stop_on_error_ms;     /* executes that come so soon after an error are aborted */
    size_t digest_history;
    size_t queue_max_bytes; /* 0: a quarter of RAM */
    bool hangup_ends; /* SIGHUP: true, an orderly end; false, log files are opened again */

    /* The runtime: argv[0] is the program, found in PATH or absolute. */
    char *const *runtime_argv;
    rlim_t runtime_nofile;     /* soft limit of descriptors for user code; 0: ours */
    const char *python_dir;    /* goes in front of PYTHONPATH; NULL: it stays as it is */
    const char *runtime_label; /* for messages: which interpreter, and who chose it */
    json_t *hello;             /* members of HELLO besides v, uuid, id */
};

#define ENGINE_EXIT_REFUSED 255 /* no registration */
#define ENGINE_EXIT_RUNTIME 1   /* the runtime can't be started */

/* Runs an engine to its end; *ret_exit is the exit status (engine.md 1.5). Signals must not
 * have been taken over, and no thread started before. Errors: it could not even begin. */
int engine_run(const struct engine_config *cfg, int *ret_exit, struct ersa_error *err);

#endif
