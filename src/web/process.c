/* SPDX-License-Identifier: BSD-3-Clause */
/* From /proc/self and getrusage. */
#include "web/process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_ 1024
#define STARTTIME_FIELD 22 /* of /proc/self/stat, counted from 1 */

static double seconds(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static int read_line(const char *path, char out[LINE_MAX_])
{
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    char *got = fgets(out, LINE_MAX_, f);
    fclose(f);
    return got ? 0 : -1;
}

static void put_memory(struct stats_sheet *s)
{
    char line[LINE_MAX_];
    unsigned long all, resident;
    double page = (double)sysconf(_SC_PAGESIZE);
    if (read_line("/proc/self/statm", line) < 0 ||
        sscanf(line, "%lu %lu", &all, &resident) != 2)
        return;
    stats_put(s, STATS_PROCESS_RSS, (double)resident * page);
    stats_put(s, STATS_PROCESS_VSIZE, (double)all * page);
}

static void put_descriptors(struct stats_sheet *s)
{
    struct rlimit limit;
    DIR *dir = opendir("/proc/self/fd");
    if (dir) {
        double n = -3; /* ".", ".." and the directory's own */
        while (readdir(dir))
            n++;
        closedir(dir);
        stats_put(s, STATS_PROCESS_FDS, n);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        stats_put(s, STATS_PROCESS_MAX_FDS, (double)limit.rlim_cur);
}

/* The kernel tells ticks since the machine started. */
static void put_start(struct stats_sheet *s)
{
    char line[LINE_MAX_];
    struct timespec now, up;
    unsigned long long ticks = 0;
    if (read_line("/proc/self/stat", line) < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0 ||
        clock_gettime(CLOCK_BOOTTIME, &up) < 0)
        return;
    char *at = strrchr(line, ')'); /* the name, field 2, may hold anything */
    for (int field = 2; at && field < STARTTIME_FIELD; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%llu", &ticks) != 1)
        return;
    double booted = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
    stats_put(s, STATS_PROCESS_START, booted + (double)ticks / (double)sysconf(_SC_CLK_TCK));
}

void process_put(struct stats_sheet *s)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        stats_put(s, STATS_PROCESS_CPU, seconds(usage.ru_utime) + seconds(usage.ru_stime));
    put_memory(s);
    put_descriptors(s);
    put_start(s);
}
