/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel says about the end of a process, put into words. The cgroup's counter is read
 * at the start and at the end: what it rose by was killed in between, in version 1 and 2 alike.
 */
#include "engine/death.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "loop/child.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/str.h"

#define FILE_MAX 65536

/* The number behind `key` in a file of lines "key number"; 0 when it is not there. */
static uint64_t read_counter(const char *path, const char *key)
{
    struct buf b;
    uint64_t n = 0;
    buf_init(&b, FILE_MAX);
    char *text = file_read(path, &b, NULL) == 0 ? buf_cstr(&b) : NULL;
    for (char *save = NULL, *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        size_t len = strlen(key);
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            sscanf(line + len, "%" SCNu64, &n);
    }
    buf_fini(&b);
    return n;
}

/* A line of /proc/self/cgroup is "<n>:<controllers>:<path>"; version 2 has no controllers. */
uint64_t death_oom_count(void)
{
    struct buf b;
    uint64_t n = 0;
    buf_init(&b, FILE_MAX);
    char *text = file_read("/proc/self/cgroup", &b, NULL) == 0 ? buf_cstr(&b) : NULL;
    for (char *save = NULL, *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *dir = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!dir)
            continue;
        *dir++ = '\0';
        bool is_v2 = controllers[1] == '\0';
        if (!is_v2 && !strstr(controllers, "memory"))
            continue;
        CLEANUP(free_ptr)
        char *path = str_printf(is_v2 ? "/sys/fs/cgroup%s/memory.events"
                                      : "/sys/fs/cgroup/memory%s/memory.oom_control",
                                dir);
        if (path)
            n += read_counter(path, "oom_kill");
    }
    buf_fini(&b);
    return n;
}

static void put_memory(char *out, size_t cap, long kib)
{
    double mb = (double)kib / 1024;
    if (mb >= 1024)
        snprintf(out, cap, "%.1f GB", mb / 1024);
    else
        snprintf(out, cap, "%.0f MB", mb);
}

void death_sentence(char *out, size_t cap, int status, const struct rusage *usage,
                    uint64_t oom_kills)
{
    char memory[32];
    bool is_oom = oom_kills && WIFSIGNALED(status) && WTERMSIG(status) == 9;
    put_memory(memory, sizeof(memory), usage->ru_maxrss);
    snprintf(out, cap, "%s%s, peak memory %s", child_status_text(status),
             is_oom ? ", out of memory in its cgroup" : "", memory);
}

int death_exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
