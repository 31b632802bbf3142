/* SPDX-License-Identifier: BSD-3-Clause */
/* Log lines in the reference's form (cli_config.md 7):
 *
 *     2026-11-22 12:21:42.146 [IPController] WARNING | <text>
 *
 * The name in brackets is the program's (log_set_name), or that of a part. Output goes to
 * stderr or a file. Never log keys or user payload. Thread-safe. */
#ifndef ERSA_UTIL_LOG_H
#define ERSA_UTIL_LOG_H

#include <stdarg.h>

enum log_level {
    LOG_DEBUG = 10,
    LOG_INFO = 20,
    LOG_WARN = 30,
    LOG_ERROR = 40,
    LOG_CRITICAL = 50
};

void log_set_name(const char *name); /* copied */
void log_set_level(int level);
int log_level(void);
/* Appends to the file from now on. 0 or ERSA_EIO (stderr stays). */
int log_open_file(const char *path);
void log_reopen(void); /* after SIGHUP: opens the file again by its name */

void log_msg(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_at(level, ...)                 \
    do {                                   \
        if ((level) >= log_level())        \
            log_msg((level), __VA_ARGS__); \
    } while (0)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_critical(...) log_at(LOG_CRITICAL, __VA_ARGS__)

#endif
