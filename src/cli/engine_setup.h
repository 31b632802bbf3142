/* SPDX-License-Identifier: BSD-3-Clause */
/* From the options of ipengine to what an engine needs: the connection file, which may have to
 * be waited for, the user's Python, and what the runtime is told. */
#ifndef ERSA_CLI_ENGINE_SETUP_H
#define ERSA_CLI_ENGINE_SETUP_H

#include "cli/cli.h"
#include "config/connection_file.h"
#include "engine/engine.h"

struct engine_setup {
    struct engine_config engine; /* borrows from here and from the options */
    struct connection_info conn;
    bool has_conn;
    struct curve_config curve;                     /* used where the server's key is known */
    char *interface, *python, *python_dir, *label; /* owned */
    char *runtime_argv[4];
};

/* ERSA_ENOENT (the file did not come in time, no Python), ERSA_EPARSE, ERSA_EINVAL,
 * ERSA_EUNSUPPORTED, ERSA_ENOMEM. `argv` becomes that of user code. */
int engine_setup(struct engine_setup *s, const struct cli *c, int argc, char *const *argv,
                 struct ersa_error *err);
void engine_setup_end(struct engine_setup *s);

#endif
