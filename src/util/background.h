/* SPDX-License-Identifier: BSD-3-Clause */
/* What a thread does first that works for later, as who writes records does. */
#ifndef ERSA_UTIL_BACKGROUND_H
#define ERSA_UTIL_BACKGROUND_H

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKGROUND_NICE 5

/* `name` (up to 15 octets) is what the system shows of the calling thread. Where processors are
 * wanted by more threads than there are, it gets a third of what the first thread of the
 * program gets: with less it may not keep up, and there is no way back without privileges. */
static inline void background(const char *name)
{
    pthread_setname_np(pthread_self(), name);
    setpriority(PRIO_PROCESS, (id_t)gettid(),
                getpriority(PRIO_PROCESS, (id_t)getpid()) + BACKGROUND_NICE);
}

#endif
