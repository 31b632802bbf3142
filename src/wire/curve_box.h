/* SPDX-License-Identifier: BSD-3-Clause */
/* MESSAGE of CURVE (RFC 26; wire.md 2): the body of a sealed frame is
 *
 *     7 "MESSAGE"   short nonce (8)   tag (16)   sealed: flags (1), payload
 *
 * sealed and opened where it stands. A frame too large for that is done in pieces: the stream
 * below gives the octets that one box over all of it would. */
#ifndef ERSA_WIRE_CURVE_BOX_H
#define ERSA_WIRE_CURVE_BOX_H

#include <sodium.h>

#include "wire/curve.h"

#define CURVE_HEAD_SIZE 32 /* in front of what is sealed */
#define CURVE_OVERHEAD 33  /* with the flags */

enum curve_flag { CURVE_MORE = 1, CURVE_COMMAND = 2 };

/* What a connection needs after its handshake. */
struct curve_link {
    uint8_t key[crypto_box_BEFORENMBYTES]; /* of both transient pairs */
    uint64_t sent, received;               /* short nonces: the last of each */
    bool is_server;
};

/* `body` holds flags and payload from CURVE_HEAD_SIZE on, `len` octets with the head. */
void curve_seal(struct curve_link *l, uint8_t *body, size_t len);
/* The same back. 0, or ERSA_EPROTO: not a MESSAGE, a nonce that is not above the last one, or
 * not what the other side sealed. */
int curve_open(struct curve_link *l, uint8_t *body, size_t len);

/* Each piece but the last ends where CURVE_PIECE_END() allows it. */
struct curve_stream {
    uint8_t nonce[crypto_box_NONCEBYTES];
    uint8_t pad[32]; /* for the first octets */
    uint8_t tag[crypto_box_MACBYTES];
    uint64_t at;
    crypto_onetimeauth_poly1305_state auth;
};

/* The largest end of a piece in the first `n` octets; 0: none. */
#define CURVE_PIECE_END(n) ((n) < 32 ? 0 : (n) - ((n)-32) % 64)

/* Writes name and nonce; the tag comes from curve_seal_end(). */
void curve_seal_begin(struct curve_link *l, struct curve_stream *s,
                      uint8_t head[CURVE_HEAD_SIZE]);
void curve_seal_some(const struct curve_link *l, struct curve_stream *s, uint8_t *data,
                     size_t len);
/* The tag of all that was sealed; the stream then begins again for curve_seal_again(), which
 * gives the same octets a second time. */
void curve_seal_end(struct curve_stream *s, uint8_t head[CURVE_HEAD_SIZE]);
void curve_seal_again(const struct curve_link *l, struct curve_stream *s, uint8_t *data,
                      size_t len);

/* ERSA_EPROTO as above; what is opened must not be used before curve_open_end() is content. */
int curve_open_begin(struct curve_link *l, struct curve_stream *s,
                     const uint8_t head[CURVE_HEAD_SIZE]);
void curve_open_some(const struct curve_link *l, struct curve_stream *s, uint8_t *data,
                     size_t len);
int curve_open_end(struct curve_stream *s);

/* The 24 octets of a nonce: a prefix of 16 and a number, or of 8 and 16 random octets. */
void curve_short_nonce(uint8_t ret_nonce[crypto_box_NONCEBYTES], const char *prefix,
                       const uint8_t number[8]);
void curve_put_number(uint8_t out[8], uint64_t number);
uint64_t curve_get_number(const uint8_t in[8]);

#endif
