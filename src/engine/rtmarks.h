/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue of descriptors that travel with the octets of a channel. */
#ifndef ERSA_ENGINE_RTMARKS_H
#define ERSA_ENGINE_RTMARKS_H

#include <stdbool.h>
#include <stddef.h>

/* Descriptors on their way: in front of which octet of a buffer they stand. */
struct rtmark {
    size_t at;
    int fd;
};

struct rtmarks {
    struct rtmark *items; /* owned */
    size_t n, cap, first;
};

/* 0 or ERSA_ENOMEM. */
int rtmarks_push(struct rtmarks *m, size_t at, int fd);
/* The oldest, NULL when there is none; the ones behind it follow in memory. */
const struct rtmark *rtmarks_front(const struct rtmarks *m);
void rtmarks_pop(struct rtmarks *m);
/* Closes the descriptors that are left, if they are its own. */
void rtmarks_fini(struct rtmarks *m, bool is_owner);

#endif
