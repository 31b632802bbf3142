/* SPDX-License-Identifier: BSD-3-Clause */
/* Boxes by libsodium. The stream puts NaCl's secretbox together from its parts: the first block
 * of XSalsa20 is the key of Poly1305 and the pad of the first 32 octets; the tag covers what is
 * sealed. curve_test.c compares both ways. */
#include "wire/curve_box.h"

#include <string.h>

#include "ersa/error.h"

#define NAME "\7MESSAGE"
#define NAME_LEN 8
#define NUMBER_AT NAME_LEN
#define TAG_AT 16

void curve_put_number(uint8_t out[8], uint64_t number)
{
    for (int i = 8; i-- > 0; number >>= 8)
        out[i] = (uint8_t)number;
}

uint64_t curve_get_number(const uint8_t in[8])
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | in[i];
    return number;
}

void curve_short_nonce(uint8_t ret_nonce[crypto_box_NONCEBYTES], const char *prefix,
                       const uint8_t number[8])
{
    memcpy(ret_nonce, prefix, 16);
    memcpy(ret_nonce + 16, number, 8);
}

static void message_nonce(uint8_t ret_nonce[crypto_box_NONCEBYTES], bool from_server,
                          const uint8_t number[8])
{
    curve_short_nonce(ret_nonce, from_server ? "CurveZMQMESSAGES" : "CurveZMQMESSAGEC", number);
}

/* Name and number; the nonce is what both sides make of them. */
static void put_head(struct curve_link *l, uint8_t *head,
                     uint8_t ret_nonce[crypto_box_NONCEBYTES])
{
    memcpy(head, NAME, NAME_LEN);
    curve_put_number(head + NUMBER_AT, ++l->sent);
    message_nonce(ret_nonce, l->is_server, head + NUMBER_AT);
}

static int take_head(struct curve_link *l, const uint8_t *head,
                     uint8_t ret_nonce[crypto_box_NONCEBYTES])
{
    uint64_t number = curve_get_number(head + NUMBER_AT);
    if (memcmp(head, NAME, NAME_LEN) != 0 || number <= l->received)
        return ERSA_EPROTO;
    l->received = number;
    message_nonce(ret_nonce, !l->is_server, head + NUMBER_AT);
    return 0;
}

void curve_seal(struct curve_link *l, uint8_t *body, size_t len)
{
    uint8_t nonce[crypto_box_NONCEBYTES], *data = body + CURVE_HEAD_SIZE;
    put_head(l, body, nonce);
    (void)crypto_box_detached_afternm(data, body + TAG_AT, data, len - CURVE_HEAD_SIZE, nonce,
                                      l->key);
}

int curve_open(struct curve_link *l, uint8_t *body, size_t len)
{
    uint8_t nonce[crypto_box_NONCEBYTES], *data = body + CURVE_HEAD_SIZE;
    if (len < CURVE_OVERHEAD || take_head(l, body, nonce) < 0)
        return ERSA_EPROTO;
    int rc = crypto_box_open_detached_afternm(data, data, body + TAG_AT, len - CURVE_HEAD_SIZE,
                                              nonce, l->key);
    return rc < 0 ? ERSA_EPROTO : 0;
}

/* In pieces */

static void begin(const struct curve_link *l, struct curve_stream *s)
{
    uint8_t block[64];
    crypto_stream_xsalsa20(block, sizeof(block), s->nonce, l->key);
    crypto_onetimeauth_poly1305_init(&s->auth, block);
    memcpy(s->pad, block + 32, sizeof(s->pad));
    sodium_memzero(block, sizeof(block));
    s->at = 0;
}

/* Seals as well as opens. */
static void turn(const struct curve_link *l, struct curve_stream *s, uint8_t *data, size_t len)
{
    size_t first = 0;
    if (s->at == 0) {
        first = len < sizeof(s->pad) ? len : sizeof(s->pad);
        for (size_t i = 0; i < first; i++)
            data[i] ^= s->pad[i];
    }
    if (len > first)
        crypto_stream_xsalsa20_xor_ic(data + first, data + first, len - first, s->nonce,
                                      (s->at + first + 32) / 64, l->key);
    s->at += len;
}

void curve_seal_begin(struct curve_link *l, struct curve_stream *s,
                      uint8_t head[CURVE_HEAD_SIZE])
{
    put_head(l, head, s->nonce);
    begin(l, s);
}

void curve_seal_some(const struct curve_link *l, struct curve_stream *s, uint8_t *data,
                     size_t len)
{
    turn(l, s, data, len);
    crypto_onetimeauth_poly1305_update(&s->auth, data, len);
}

void curve_seal_end(struct curve_stream *s, uint8_t head[CURVE_HEAD_SIZE])
{
    crypto_onetimeauth_poly1305_final(&s->auth, head + TAG_AT);
    s->at = 0;
}

void curve_seal_again(const struct curve_link *l, struct curve_stream *s, uint8_t *data,
                      size_t len)
{
    turn(l, s, data, len);
}

int curve_open_begin(struct curve_link *l, struct curve_stream *s,
                     const uint8_t head[CURVE_HEAD_SIZE])
{
    int rc = take_head(l, head, s->nonce);
    memcpy(s->tag, head + TAG_AT, sizeof(s->tag));
    if (rc == 0)
        begin(l, s);
    return rc;
}

void curve_open_some(const struct curve_link *l, struct curve_stream *s, uint8_t *data,
                     size_t len)
{
    crypto_onetimeauth_poly1305_update(&s->auth, data, len);
    turn(l, s, data, len);
}

int curve_open_end(struct curve_stream *s)
{
    uint8_t tag[crypto_box_MACBYTES];
    crypto_onetimeauth_poly1305_final(&s->auth, tag);
    return crypto_verify_16(tag, s->tag) < 0 ? ERSA_EPROTO : 0;
}
