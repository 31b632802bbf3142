/* SPDX-License-Identifier: BSD-3-Clause */
/* ipengine: the process that owns an engine's connections and its life; user code runs in its
 * child, the runtime. Exit status: engine.md 1.5, and that of a runtime that died. */
#include <malloc.h>
#include <sys/resource.h>

#include "cli/cli.h"
#include "cli/engine_setup.h"
#include "util/log.h"

int main(int argc, char **argv)
{
    struct cli cli;
    struct engine_setup setup;
    struct ersa_error err = {0};
    struct rlimit limit;
    int code = 1;
    mallopt(M_ARENA_MAX, 1);
    cli_start(&cli, PROG_ENGINE, argc, argv);
    rlim_t nofile = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
    cli_raise_limits();
    int rc = engine_setup(&setup, &cli, argc, argv, &err);
    setup.engine.runtime_nofile = nofile;
    if (rc == 0)
        rc = engine_run(&setup.engine, &code, &err);
    if (rc < 0)
        log_critical("%s", err.text[0] ? err.text : ersa_strerror(rc));
    engine_setup_end(&setup);
    cli_end(&cli);
    return rc < 0 ? 1 : code;
}
