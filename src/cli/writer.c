/* SPDX-License-Identifier: BSD-3-Clause */
/* Who wrote a connection file; see writer.h. */
#include "cli/writer.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch/proc.h"
#include "util/cleanup.h"
#include "util/log.h"

#define HOST_MAX 256

static void this_host(char out[HOST_MAX])
{
    if (gethostname(out, HOST_MAX - 1) < 0)
        out[0] = '\0';
    out[HOST_MAX - 1] = '\0';
}

json_t *writer_self(void)
{
    struct proc p;
    char host[HOST_MAX];
    this_host(host);
    if (proc_identify(getpid(), &p) < 0)
        p = (struct proc){.pid = getpid()};
    return json_pack("{s:I, s:I, s:s, s:s}", "pid", (json_int_t)p.pid, "start",
                     (json_int_t)p.start, "boot", p.boot, "host", host);
}

bool writer_is_gone(const struct connection_info *c)
{
    char here[HOST_MAX];
    const char *host = json_str(c->controller, "host"), *boot = json_str(c->controller, "boot");
    json_int_t pid = json_integer_value(json_object_get(c->controller, "pid"));
    json_int_t start = json_integer_value(json_object_get(c->controller, "start"));
    this_host(here);
    if (!host || !boot || !*host || strcmp(host, here) != 0 || pid <= 0 || pid > INT_MAX ||
        start <= 0)
        return false;
    struct proc now;
    return proc_identify((pid_t)pid, &now) < 0 || now.start != (unsigned long long)start ||
           strcmp(now.boot, boot) != 0;
}

void writer_remove_stale(const char *path, bool engine_side)
{
    struct connection_info c;
    if (connection_file_read(path, engine_side, &c, NULL) < 0)
        return;
    if (!c.keep && writer_is_gone(&c) && unlink(path) == 0)
        log_info("Removing %s: its controller is gone", path);
    connection_info_fini(&c);
}

bool writer_remove_own(const char *path, bool engine_side, const json_t *self)
{
    struct connection_info c;
    bool is_own = true;
    if (connection_file_read(path, engine_side, &c, NULL) == 0) {
        is_own = json_equal(c.controller, self);
        connection_info_fini(&c);
    }
    if (is_own)
        unlink(path);
    else
        log_warn("%s stays: another controller has written it", path);
    return is_own;
}

void writer_tidy(const struct profile *p, const char *cluster_id)
{
    for (int engine_side = 0; engine_side < 2; engine_side++) {
        CLEANUP(free_ptr) char *path = profile_connection_file(p, cluster_id, engine_side);
        if (path)
            writer_remove_stale(path, engine_side);
    }
}
