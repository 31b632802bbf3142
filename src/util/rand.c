/* SPDX-License-Identifier: BSD-3-Clause */
/* getrandom() for secrets, xoshiro256** for choices. */
#include "util/rand.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#include "util/str.h"

void rand_bytes(void *out, size_t len)
{
    char *p = out;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort();
        p += n;
        len -= (size_t)n;
    }
}

static inline uint64_t rotate(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

uint64_t rand_u64(void)
{
    static _Thread_local uint64_t s[4];
    static _Thread_local bool seeded;
    if (!seeded) {
        rand_bytes(s, sizeof(s));
        s[0] |= 1; /* all zero would stay so */
        seeded = true;
    }
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

void rand_session_id(char out[RAND_SESSION_ID_LEN + 1])
{
    uint8_t raw[16];
    char hex[2 * sizeof(raw) + 1];
    rand_bytes(raw, sizeof(raw));
    str_hex(raw, sizeof(raw), hex);
    memcpy(out, hex, 8);
    out[8] = '-';
    memcpy(out + 9, hex + 8, 25);
}
