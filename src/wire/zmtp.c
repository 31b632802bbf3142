/* SPDX-License-Identifier: BSD-3-Clause */
/* Straight-line reading and writing; every size is checked before it is used. */
#include "wire/zmtp.h"

#include <string.h>
#include <strings.h>

#include "ersa/error.h"

#define FRAME_LEN_MAX ((uint64_t)INT64_MAX)

static uint64_t get_be(const uint8_t *p, unsigned n)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

static void put_be(uint8_t *p, unsigned n, uint64_t value)
{
    for (unsigned i = n; i-- > 0; value >>= 8)
        p[i] = (uint8_t)value;
}

void zmtp_put_greeting(uint8_t out[ZMTP_GREETING_SIZE], const char *mechanism)
{
    memset(out, 0, ZMTP_GREETING_SIZE);
    out[0] = 0xff;
    out[8] = 1;
    out[9] = 0x7f;
    out[10] = 3;
    out[11] = 1;
    memcpy(out + 12, mechanism, strlen(mechanism));
}

bool zmtp_may_be_greeting(const uint8_t *in, size_t len)
{
    return (len <= 0 || in[0] == 0xff) && (len <= 9 || in[9] == 0x7f) &&
           (len <= 10 || in[10] >= 3);
}

int zmtp_parse_greeting(const uint8_t in[ZMTP_GREETING_SIZE], struct zmtp_greeting *ret)
{
    if (!zmtp_may_be_greeting(in, ZMTP_GREETING_SIZE))
        return ERSA_EPROTO;
    /* A later major version speaks ours when it sees ours. */
    ret->minor = in[10] == 3 && in[11] == 0 ? 0 : 1;
    memcpy(ret->mechanism, in + 12, ZMTP_MECHANISM_MAX);
    ret->mechanism[ZMTP_MECHANISM_MAX] = '\0';
    return 0;
}

int zmtp_parse_any_head(const uint8_t *in, size_t len, struct zmtp_head *ret)
{
    if (len == 0)
        return 0;
    uint8_t flags = in[0];
    if (flags & ~(ZMTP_MORE | ZMTP_LONG | ZMTP_COMMAND) ||
        (flags & ZMTP_COMMAND && flags & ZMTP_MORE))
        return ERSA_EPROTO;
    uint8_t size = flags & ZMTP_LONG ? 9 : 2;
    if (len < size)
        return 0;
    ret->flags = flags;
    ret->size = size;
    ret->len = get_be(in + 1, size - 1u);
    return ret->len > FRAME_LEN_MAX ? ERSA_EPROTO : size;
}

size_t zmtp_put_long_head(uint8_t out[ZMTP_HEAD_MAX], unsigned flags, uint64_t len)
{
    out[0] = (uint8_t)(flags | ZMTP_LONG);
    put_be(out + 1, 8, len);
    return ZMTP_HEAD_MAX;
}

int zmtp_parse_command(struct slice body, struct zmtp_command *ret)
{
    if (body.len < 1)
        return ERSA_EPROTO;
    size_t n = (uint8_t)body.data[0];
    if (n == 0 || n > body.len - 1)
        return ERSA_EPROTO;
    ret->name = (struct slice){body.data + 1, n};
    ret->data = (struct slice){body.data + 1 + n, body.len - 1 - n};
    return 0;
}

int zmtp_put_command(struct buf *b, const char *name, const void *data, size_t len)
{
    uint8_t head[ZMTP_HEAD_MAX];
    size_t n = strlen(name);
    size_t size = zmtp_put_head(head, ZMTP_COMMAND, 1 + n + len);
    int rc = buf_reserve(b, size + 1 + n + len);
    if (rc < 0)
        return rc;
    buf_append(b, head, size);
    buf_putc(b, (char)n);
    buf_append(b, name, n);
    return buf_append(b, data, len);
}

static bool name_is(struct slice s, const char *name)
{
    return s.len == strlen(name) && strncasecmp(s.data, name, s.len) == 0;
}

int zmtp_parse_ready(struct slice data, struct zmtp_ready *ret)
{
    *ret = (struct zmtp_ready){0};
    const char *p = data.data, *end = data.data + data.len;
    while (p < end) {
        size_t name_len = (uint8_t)*p++;
        if (name_len == 0 || (size_t)(end - p) < name_len + 4)
            return ERSA_EPROTO;
        struct slice name = {p, name_len};
        p += name_len;
        uint64_t len = get_be((const uint8_t *)p, 4);
        p += 4;
        if ((uint64_t)(end - p) < len)
            return ERSA_EPROTO;
        struct slice value = {p, (size_t)len};
        p += len;
        if (name_is(name, "Socket-Type"))
            ret->socket_type = value;
        else if (name_is(name, "Identity"))
            ret->identity = value;
    }
    return ret->identity.len > ZMTP_IDENTITY_MAX ? ERSA_EPROTO : 0;
}

static int put_property(struct buf *b, const char *name, struct slice value)
{
    uint8_t len[4];
    put_be(len, 4, value.len);
    int rc = buf_putc(b, (char)strlen(name));
    if (rc == 0)
        rc = buf_puts(b, name);
    if (rc == 0)
        rc = buf_append(b, len, 4);
    return rc < 0 ? rc : buf_append(b, value.data, value.len);
}

int zmtp_put_properties(struct buf *b, const char *socket_type, struct slice identity)
{
    int rc = put_property(b, "Socket-Type", (struct slice){socket_type, strlen(socket_type)});
    if (rc == 0 && identity.data)
        rc = put_property(b, "Identity", identity);
    return rc;
}

int zmtp_put_ready(struct buf *b, const char *socket_type, struct slice identity)
{
    struct buf properties;
    buf_init(&properties, 1024);
    int rc = zmtp_put_properties(&properties, socket_type, identity);
    if (rc == 0)
        rc = zmtp_put_command(b, "READY", properties.data, properties.len);
    buf_fini(&properties);
    return rc;
}
