/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fuzz targets share. Each target is one function over octets, linked twice: with
 * libFuzzer (-Dfuzz=true, clang), and with drive.c, which replays files with any compiler.
 *
 * Inputs are small programs: the target takes numbers and pieces from the front until nothing
 * is left; what is missing counts as 0. */
#ifndef ERSA_TESTS_FUZZ_H
#define ERSA_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                              \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

struct input {
    const uint8_t *at, *end;
};

static inline size_t input_left(const struct input *in)
{
    return (size_t)(in->end - in->at);
}

static inline uint8_t input_octet(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

/* Big-endian. */
static inline unsigned input_number(struct input *in)
{
    unsigned high = input_octet(in);
    return high << 8 | input_octet(in);
}

/* At most `want` octets; *ret_len says how many there were. */
static inline const uint8_t *input_piece(struct input *in, size_t want, size_t *ret_len)
{
    const uint8_t *piece = in->at;
    *ret_len = want < input_left(in) ? want : input_left(in);
    in->at += *ret_len;
    return piece;
}

/* A piece of fewer than `max` octets, its length in front. */
static inline struct slice input_slice(struct input *in, unsigned max)
{
    size_t len;
    const uint8_t *data = input_piece(in, input_number(in) % max, &len);
    return (struct slice){(const char *)data, len};
}

static inline struct slice slice_of(const char *s)
{
    return (struct slice){s, strlen(s)};
}

/* A digest that shows whether two runs saw the same (FNV-1a). */
static inline uint64_t digest_add(uint64_t digest, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        digest = (digest ^ p[i]) * 0x100000001b3u;
    return digest;
}
#define DIGEST_START 0xcbf29ce484222325u

#endif
