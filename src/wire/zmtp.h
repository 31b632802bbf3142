/* SPDX-License-Identifier: BSD-3-Clause */
/* The octets of ZMTP 3.1 (RFC 37; 3.0 accepted): greeting, frame heads, commands. Pure
 * functions over complete pieces; nothing here knows of sockets or peers (wire.md 1). */
#ifndef ERSA_WIRE_ZMTP_H
#define ERSA_WIRE_ZMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/str.h"

#define ZMTP_GREETING_SIZE 64
#define ZMTP_MECHANISM_MAX 20
#define ZMTP_HEAD_MAX 9
#define ZMTP_IDENTITY_MAX 255

enum zmtp_flag { ZMTP_MORE = 1, ZMTP_LONG = 2, ZMTP_COMMAND = 4 };

struct zmtp_greeting {
    uint8_t minor; /* the lower of the two sides */
    char mechanism[ZMTP_MECHANISM_MAX + 1];
};

/* Ours: version 3.1. */
void zmtp_put_greeting(uint8_t out[ZMTP_GREETING_SIZE], const char *mechanism);
/* Of the octets that are there, can they be the start of a greeting? Spots other protocols
 * early. */
bool zmtp_may_be_greeting(const uint8_t *in, size_t len);
/* Needs all octets. 0 or ERSA_EPROTO. */
int zmtp_parse_greeting(const uint8_t in[ZMTP_GREETING_SIZE], struct zmtp_greeting *ret);

struct zmtp_head {
    uint8_t flags;
    uint8_t size; /* of the head itself */
    uint64_t len; /* of the body */
};

int zmtp_parse_any_head(const uint8_t *in, size_t len, struct zmtp_head *ret);
size_t zmtp_put_long_head(uint8_t out[ZMTP_HEAD_MAX], unsigned flags, uint64_t len);

/* Octets of the head, 0: more are needed, ERSA_EPROTO: no frame can begin so. Short frames of a
 * message, ten a task, are read here. */
static inline int zmtp_parse_head(const uint8_t *in, size_t len, struct zmtp_head *ret)
{
    if (len < 2 || in[0] > ZMTP_MORE)
        return zmtp_parse_any_head(in, len, ret);
    *ret = (struct zmtp_head){.flags = in[0], .size = 2, .len = in[1]};
    return 2;
}

/* Writes the head of a frame; returns its size. */
static inline size_t zmtp_put_head(uint8_t out[ZMTP_HEAD_MAX], unsigned flags, uint64_t len)
{
    if (len > UINT8_MAX)
        return zmtp_put_long_head(out, flags, len);
    out[0] = (uint8_t)flags;
    out[1] = (uint8_t)len;
    return 2;
}

struct zmtp_command {
    struct slice name, data;
};
/* Splits the body of a command frame. 0 or ERSA_EPROTO. */
int zmtp_parse_command(struct slice body, struct zmtp_command *ret);
/* Appends a whole command frame. 0 or what buf said. */
int zmtp_put_command(struct buf *b, const char *name, const void *data, size_t len);

struct zmtp_ready {
    struct slice socket_type; /* data NULL: not given */
    struct slice identity;    /* len 0: none */
};
/* Reads the properties of READY. 0 or ERSA_EPROTO. */
int zmtp_parse_ready(struct slice data, struct zmtp_ready *ret);
/* Appends the properties that READY carries; likewise. */
int zmtp_put_properties(struct buf *b, const char *socket_type, struct slice identity);
/* Appends the READY frame; identity with data NULL: the property is left out. */
int zmtp_put_ready(struct buf *b, const char *socket_type, struct slice identity);

#endif
