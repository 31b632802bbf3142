/* SPDX-License-Identifier: BSD-3-Clause */
/* Locals that clean themselves, and the explicit hand-over of what they own.
 *
 *     CLEANUP(free_ptr) char *path = str_printf(...);
 *     ...
 *     return TAKE_PTR(path);
 */
#ifndef ERSA_UTIL_CLEANUP_H
#define ERSA_UTIL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define TAKE_PTR(p)                 \
    ({                              \
        __typeof__(p) taken_ = (p); \
        (p) = NULL;                 \
        taken_;                     \
    })

#define TAKE_FD(fd)        \
    ({                     \
        int taken_ = (fd); \
        (fd) = -1;         \
        taken_;            \
    })

static inline void free_ptr(void *pp)
{
    free(*(void **)pp);
}

static inline void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#endif
