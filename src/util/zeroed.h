/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of zeros for a table that is read at a place before it is written there. calloc()
 * would do, but of a fresh page it shows the system's page of zeros when it is read first, and
 * at the first write makes all other processors of the process forget it: a fault more, and an
 * interrupt for whoever runs there, for each 4 KiB. Here all of it is written once. */
#ifndef ERSA_UTIL_ZEROED_H
#define ERSA_UTIL_ZEROED_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* n times `size` octets, to be freed by free(); NULL: out of memory. */
static inline void *zeroed(size_t n, size_t size)
{
    void *ret = size && n > SIZE_MAX / size ? NULL : malloc(n * size);
    if (!ret)
        return NULL;
    __asm__ volatile("" : "+r"(ret)); /* or compilers make it calloc() */
    memset(ret, 0, n * size);
    return ret;
}

#endif
