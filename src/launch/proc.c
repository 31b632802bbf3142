/* SPDX-License-Identifier: BSD-3-Clause */
/* Identity of processes; see proc.h. */
#include "launch/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/file.h"

#define STAT_MAX 4096
#define ENVIRON_MAX (4u << 20)

static int read_proc(pid_t pid, const char *name, struct buf *out)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return file_read(path, out, NULL);
}

/* Fields of /proc/<pid>/stat behind the command, which may hold anything. */
static int parse_stat(const char *text, char *ret_state, unsigned long long *ret_start)
{
    enum { STATE = 3, START_TIME = 22 };
    const char *p = strrchr(text, ')');
    if (!p || p[1] != ' ')
        return ERSA_EPARSE;
    p += 2;
    *ret_state = *p;
    for (int field = STATE; field < START_TIME; field++) {
        p = strchr(p, ' ');
        if (!p)
            return ERSA_EPARSE;
        p++;
    }
    *ret_start = strtoull(p, NULL, 10);
    return *ret_start ? 0 : ERSA_EPARSE;
}

static int read_boot(char out[PROC_BOOT_MAX])
{
    CLEANUP(buf_fini) struct buf b;
    buf_init(&b, STAT_MAX);
    int rc = file_read("/proc/sys/kernel/random/boot_id", &b, NULL);
    if (rc < 0)
        return rc;
    size_t len = b.len < PROC_BOOT_MAX - 1 ? b.len : PROC_BOOT_MAX - 1;
    memcpy(out, b.data, len);
    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return 0;
}

int proc_identify(pid_t pid, struct proc *ret)
{
    CLEANUP(buf_fini) struct buf b;
    buf_init(&b, STAT_MAX);
    char state;
    struct proc p = {.pid = pid};
    if (pid <= 0 || read_proc(pid, "stat", &b) < 0 || !buf_cstr(&b) ||
        parse_stat((char *)b.data, &state, &p.start) < 0)
        return ERSA_ENOENT;
    if (state == 'Z' || state == 'X')
        return ERSA_ENOENT;
    read_boot(p.boot);
    *ret = p;
    return 0;
}

int proc_save(const struct proc *p, json_t *state)
{
    if (json_object_set_new(state, "pid", json_integer(p->pid)) < 0)
        return ERSA_ENOMEM;
    if (!p->start)
        return 0;
    json_t *ersa = json_pack("{s:I, s:s}", "start", (json_int_t)p->start, "boot", p->boot);
    return json_object_set_new(state, "ersa", ersa) < 0 ? ERSA_ENOMEM : 0;
}

int proc_load(struct proc *ret, const json_t *state)
{
    json_t *pid = json_object_get(state, "pid");
    if (!json_is_integer(pid) || json_integer_value(pid) <= 0 ||
        json_integer_value(pid) > INT_MAX)
        return ERSA_EPARSE;
    *ret = (struct proc){.pid = (pid_t)json_integer_value(pid)};
    json_t *ersa = json_object_get(state, "ersa");
    json_t *start = json_object_get(ersa, "start");
    const char *boot = json_string_value(json_object_get(ersa, "boot"));
    if (json_is_integer(start) && json_integer_value(start) > 0 && boot) {
        ret->start = (unsigned long long)json_integer_value(start);
        snprintf(ret->boot, sizeof(ret->boot), "%s", boot);
    }
    return 0;
}

static bool has_variable(const struct buf *environ_text, const char *name, const char *value)
{
    size_t n = strlen(name), v = strlen(value);
    const char *end = (const char *)environ_text->data + environ_text->len;
    for (const char *p = (const char *)environ_text->data; p < end;) {
        size_t len = strnlen(p, (size_t)(end - p));
        if (len == n + 1 + v && memcmp(p, name, n) == 0 && p[n] == '=' &&
            memcmp(p + n + 1, value, v) == 0)
            return true;
        p += len + 1;
    }
    return false;
}

static bool carries_cluster(pid_t pid, const char *profile_dir, const char *cluster_id)
{
    CLEANUP(buf_fini) struct buf b;
    buf_init(&b, ENVIRON_MAX);
    return read_proc(pid, "environ", &b) == 0 && b.len &&
           has_variable(&b, "IPP_PROFILE_DIR", profile_dir) &&
           has_variable(&b, "IPP_CLUSTER_ID", cluster_id);
}

int proc_open(const struct proc *p, const char *profile_dir, const char *cluster_id,
              int *ret_fd)
{
    CLEANUP(close_fd) int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (fd < 0)
        return errno == ESRCH || errno == EINVAL ? ERSA_ENOENT : ERSA_EIO;
    struct proc now;
    if (proc_identify(p->pid, &now) < 0)
        return ERSA_ENOENT;
    bool is_it = p->start ? now.start == p->start && strcmp(now.boot, p->boot) == 0
                          : carries_cluster(p->pid, profile_dir, cluster_id);
    if (!is_it)
        return ERSA_ENOENT;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

void proc_signal(int pidfd, int signo)
{
    (void)!syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0);
}

void proc_kill_group(int pidfd)
{
    enum { TO_PROCESS_GROUP = 1 << 2 }; /* PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9 */
    (void)!syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, TO_PROCESS_GROUP);
}
