/* SPDX-License-Identifier: BSD-3-Clause */
/* Straight from /proc; what can't be read there counts as zero. */
#include "engine/usage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/file.h"

#define FILE_MAX 65536
#define PATH_LEN 64

/* Ticks of user and system time, and resident octets; zeroes for a process that is gone. */
static void read_process(pid_t pid, unsigned long long *ticks, long long *resident)
{
    char path[PATH_LEN];
    unsigned long long user = 0, system = 0;
    long long pages = 0;
    struct buf b;
    buf_init(&b, FILE_MAX);
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    const char *text = file_read(path, &b, NULL) == 0 ? buf_cstr(&b) : NULL;
    const char *behind = text ? strrchr(text, ')') : NULL; /* a name may hold anything */
    if (behind)
        sscanf(behind + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d "
               "%*d %*u %*u %lld",
               &user, &system, &pages);
    buf_fini(&b);
    *ticks += user + system;
    *resident += pages * sysconf(_SC_PAGESIZE);
}

/* Percent of one CPU since the last call. */
static double kernel_cpu(unsigned long long ticks)
{
    static unsigned long long last_ticks;
    static int64_t last_ns;
    int64_t now = clock_mono_ns();
    double percent = 0;
    if (last_ns && now > last_ns && ticks >= last_ticks)
        percent = 100.0 * (double)(ticks - last_ticks) / (double)sysconf(_SC_CLK_TCK) /
                  ((double)(now - last_ns) / 1e9);
    last_ticks = ticks;
    last_ns = now;
    return percent;
}

/* Percent of all CPUs that was not idle since the last call; negative in the first. */
static double host_cpu(void)
{
    static unsigned long long last_all, last_idle;
    unsigned long long t[8] = {0}, all = 0;
    struct buf b;
    buf_init(&b, FILE_MAX * 16);
    const char *text = file_read("/proc/stat", &b, NULL) == 0 ? buf_cstr(&b) : NULL;
    if (text)
        sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
               &t[4], &t[5], &t[6], &t[7]);
    buf_fini(&b);
    for (int i = 0; i < 8; i++)
        all += t[i];
    unsigned long long idle = t[3] + t[4], d_all = all - last_all, d_idle = idle - last_idle;
    double percent = last_all && d_all ? 100.0 * (double)(d_all - d_idle) / (double)d_all : -1;
    last_all = all;
    last_idle = idle;
    return percent;
}

static json_t *host_memory(void)
{
    static const struct {
        const char *line, *name;
    } lines[] = {
        {"MemTotal:", "total"}, {"MemAvailable:", "available"}, {"MemFree:", "free"},
        {"Active:", "active"},  {"Inactive:", "inactive"},      {"Buffers:", "buffers"},
        {"Cached:", "cached"},  {"Shmem:", "shared"},           {"Slab:", "slab"},
    };
    json_t *memory = json_object();
    struct buf b;
    buf_init(&b, FILE_MAX);
    const char *text = file_read("/proc/meminfo", &b, NULL) == 0 ? buf_cstr(&b) : NULL;
    for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : "") {
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
            long long kib;
            size_t len = strlen(lines[i].line);
            if (strncmp(at, lines[i].line, len) == 0 && sscanf(at + len, "%lld", &kib) == 1)
                json_object_set_new(memory, lines[i].name, json_integer(kib * 1024));
        }
    }
    buf_fini(&b);
    json_int_t total = json_integer_value(json_object_get(memory, "total"));
    json_int_t available = json_integer_value(json_object_get(memory, "available"));
    json_object_set_new(memory, "used", json_integer(total - available));
    json_object_set_new(
        memory, "percent",
        json_real(total ? 100.0 * (double)(total - available) / (double)total : 0));
    return memory;
}

json_t *usage_content(const pid_t *pids, size_t n)
{
    char host[256] = "";
    unsigned long long ticks = 0;
    long long resident = 0;
    gethostname(host, sizeof(host) - 1);
    for (size_t i = 0; i < n; i++)
        read_process(pids[i], &ticks, &resident);
    json_t *content = json_pack(
        "{s:s, s:i, s:f, s:I, s:I, s:o}", "hostname", host, "pid", n ? (int)pids[0] : 0,
        "kernel_cpu", kernel_cpu(ticks), "kernel_memory", (json_int_t)resident, "cpu_count",
        (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "host_virtual_memory", host_memory());
    double percent = host_cpu();
    if (percent >= 0)
        json_object_set_new(content, "host_cpu_percent", json_real(percent));
    return content;
}
