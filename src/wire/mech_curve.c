/* SPDX-License-Identifier: BSD-3-Clause */
/* The handshake of CURVE (RFC 26; wire.md 2). S and C are the long-term keys of server and
 * client, S' and C' those of this connection:
 *
 *     client                                              server
 *     HELLO     C', box of zeros (C' to S)           ->
 *                                <-  WELCOME   box of S', cookie (S to C')
 *     INITIATE  cookie, box of C, vouch, properties (C' to S')  ->
 *                                <-  READY     box of properties (S' to C')
 *
 * The vouch is a box of C' and S from C to S'. The cookie is 96 random octets that only this
 * connection has: it keeps its keys between WELCOME and INITIATE anyway, as it has a socket.
 * Nobody is turned away for his long-term key: knowing S is the credential. */
#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"
#include "wire/mechanism.h"

#define KEY CURVE_KEY_SIZE
#define MAC crypto_box_MACBYTES
#define NUMBER 8
#define LONG_NONCE 16
#define COOKIE 96
#define ZEROS 64
#define VOUCH (2 * KEY + MAC)
#define PROPERTIES_MAX 4096

enum step { WANTS_HELLO, WANTS_WELCOME, WANTS_INITIATE, WANTS_READY, IS_DONE };

struct curve_talk {
    enum step step;
    struct curve_keys own; /* transient */
    uint8_t peer[KEY];     /* its transient key */
    uint8_t cookie[COOKIE];
    struct curve_link link;
};

/* The data of each command, behind its name. */
struct hello {
    uint8_t version[2], padding[72], key[KEY], number[NUMBER], box[ZEROS + MAC];
};
struct welcome {
    uint8_t nonce[LONG_NONCE], box[KEY + COOKIE + MAC];
};
struct initiate {
    uint8_t cookie[COOKIE], number[NUMBER], box[]; /* of struct introduction */
};
struct introduction {
    uint8_t key[KEY], nonce[LONG_NONCE], vouch[VOUCH], properties[];
};
struct ready {
    uint8_t number[NUMBER], box[]; /* of properties */
};

const struct curve_link *curve_talk_link(const struct curve_talk *t)
{
    return &t->link;
}

void curve_talk_free(struct curve_talk *t)
{
    if (!t)
        return;
    sodium_memzero(t, sizeof(*t));
    free(t);
}

static struct curve_talk *talk_new(const struct handshake *h, enum step first)
{
    struct curve_talk *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->step = first;
    t->link.is_server = h->curve->is_server;
    curve_keys_make(&t->own);
    *h->talk = t;
    return t;
}

static void long_nonce(uint8_t ret_nonce[crypto_box_NONCEBYTES], const char *prefix,
                       const uint8_t random[LONG_NONCE])
{
    memcpy(ret_nonce, prefix, 8);
    memcpy(ret_nonce + 8, random, LONG_NONCE);
}

/* Our next number, as it is sent. */
static void next_number(struct curve_talk *t, uint8_t ret_number[NUMBER])
{
    curve_put_number(ret_number, ++t->link.sent);
}

static int take_number(struct curve_talk *t, const uint8_t in[NUMBER])
{
    uint64_t number = curve_get_number(in);
    if (number <= t->link.received)
        return ERSA_EPROTO;
    t->link.received = number;
    return 0;
}

/* A box between a key of ours and one of theirs. */
static int box(uint8_t *out, const void *in, size_t len, const uint8_t *nonce,
               const uint8_t *their_public, const uint8_t *our_secret)
{
    return crypto_box_easy(out, in, len, nonce, their_public, our_secret) < 0 ? ERSA_EPROTO : 0;
}

static int unbox(void *out, const uint8_t *in, size_t len, const uint8_t *nonce,
                 const uint8_t *their_public, const uint8_t *our_secret)
{
    return crypto_box_open_easy(out, in, len, nonce, their_public, our_secret) < 0 ? ERSA_EPROTO
                                                                                   : 0;
}

/* Both transient keys are known. Fails for a key that would make the result the same for
 * everybody. */
static int make_link(struct curve_talk *t)
{
    return crypto_box_beforenm(t->link.key, t->peer, t->own.secret_key) < 0 ? ERSA_EPROTO : 0;
}

/* `data` sealed between the transient keys, behind `len` octets of `head`, as a command. */
static int put_sealed(const struct curve_talk *t, struct buf *out, const char *name,
                      const void *head, size_t head_len, const struct buf *data,
                      const uint8_t *nonce)
{
    struct buf body;
    buf_init(&body, head_len + MAC + data->len);
    int rc = buf_reserve(&body, head_len + MAC + data->len);
    if (rc == 0)
        rc = buf_append(&body, head, head_len);
    if (rc == 0) {
        crypto_box_easy_afternm(body.data + head_len, data->data, data->len, nonce,
                                t->link.key);
        rc = zmtp_put_command(out, name, body.data, head_len + MAC + data->len);
    }
    buf_fini(&body);
    return rc;
}

/* The opposite: `box` opened into `room`. */
static int open_sealed(const struct curve_talk *t, struct buf *room, const uint8_t *sealed,
                       size_t len, const uint8_t *nonce)
{
    if (len < MAC)
        return ERSA_EPROTO;
    int rc = buf_reserve(room, len);
    if (rc < 0)
        return rc;
    if (crypto_box_open_easy_afternm(room->data, sealed, len, nonce, t->link.key) < 0)
        return ERSA_EPROTO;
    room->len = len - MAC;
    return 0;
}

/* The server */

static int server_start(const struct handshake *h, struct buf *out)
{
    return talk_new(h, WANTS_HELLO) ? 0 : ERSA_ENOMEM;
}

static int put_welcome(const struct handshake *h, struct curve_talk *t, struct buf *out)
{
    struct welcome m;
    uint8_t plain[KEY + COOKIE], nonce[crypto_box_NONCEBYTES];
    randombytes_buf(t->cookie, sizeof(t->cookie));
    randombytes_buf(m.nonce, sizeof(m.nonce));
    memcpy(plain, t->own.public_key, KEY);
    memcpy(plain + KEY, t->cookie, COOKIE);
    long_nonce(nonce, "WELCOME-", m.nonce);
    int rc = box(m.box, plain, sizeof(plain), nonce, t->peer, h->curve->own.secret_key);
    return rc < 0 ? rc : zmtp_put_command(out, "WELCOME", &m, sizeof(m));
}

static int on_hello(const struct handshake *h, struct curve_talk *t, struct slice data,
                    struct buf *out, struct zmtp_ready *ret_ready)
{
    struct hello m;
    uint8_t zeros[ZEROS], nonce[crypto_box_NONCEBYTES];
    if (data.len != sizeof(m))
        return ERSA_EPROTO;
    memcpy(&m, data.data, sizeof(m));
    if (m.version[0] != 1 || take_number(t, m.number) < 0)
        return ERSA_EPROTO;
    curve_short_nonce(nonce, "CurveZMQHELLO---", m.number);
    if (unbox(zeros, m.box, sizeof(m.box), nonce, m.key, h->curve->own.secret_key) < 0 ||
        !sodium_is_zero(zeros, sizeof(zeros)))
        return ERSA_EPROTO;
    memcpy(t->peer, m.key, KEY);
    int rc = make_link(t);
    if (rc == 0)
        rc = put_welcome(h, t, out);
    t->step = WANTS_INITIATE;
    return rc;
}

/* Its long-term key vouches for C', and that it was meant for us. */
static int check_vouch(const struct handshake *h, const struct curve_talk *t,
                       const struct introduction *i)
{
    uint8_t plain[2 * KEY], nonce[crypto_box_NONCEBYTES];
    long_nonce(nonce, "VOUCH---", i->nonce);
    if (unbox(plain, i->vouch, VOUCH, nonce, i->key, t->own.secret_key) < 0 ||
        sodium_memcmp(plain, t->peer, KEY) != 0 ||
        sodium_memcmp(plain + KEY, h->curve->own.public_key, KEY) != 0)
        return ERSA_EPROTO;
    return 0;
}

static int put_ready(const struct handshake *h, struct curve_talk *t, struct buf *out)
{
    uint8_t number[NUMBER], nonce[crypto_box_NONCEBYTES];
    struct buf properties;
    buf_init(&properties, PROPERTIES_MAX);
    next_number(t, number);
    curve_short_nonce(nonce, "CurveZMQREADY---", number);
    int rc = zmtp_put_properties(&properties, h->socket_type, h->identity);
    if (rc == 0)
        rc = put_sealed(t, out, "READY", number, sizeof(number), &properties, nonce);
    buf_fini(&properties);
    return rc;
}

static int on_initiate(const struct handshake *h, struct curve_talk *t, struct slice data,
                       struct buf *out, struct zmtp_ready *ret_ready)
{
    const struct initiate *m = (const void *)data.data;
    uint8_t nonce[crypto_box_NONCEBYTES];
    if (data.len < sizeof(*m) + sizeof(struct introduction) + MAC ||
        sodium_memcmp(m->cookie, t->cookie, COOKIE) != 0 || take_number(t, m->number) < 0)
        return ERSA_EPROTO;
    curve_short_nonce(nonce, "CurveZMQINITIATE", m->number);
    int rc = open_sealed(t, h->room, m->box, data.len - sizeof(*m), nonce);
    if (rc < 0)
        return rc;
    const struct introduction *i = (const void *)h->room->data;
    struct slice properties = {(const char *)i->properties, h->room->len - sizeof(*i)};
    if (check_vouch(h, t, i) < 0 || zmtp_parse_ready(properties, ret_ready) < 0)
        return ERSA_EPROTO;
    t->step = IS_DONE;
    rc = put_ready(h, t, out);
    return rc < 0 ? rc : 1;
}

/* The client */

static int client_start(const struct handshake *h, struct buf *out)
{
    static const uint8_t zeros[ZEROS];
    struct curve_talk *t = talk_new(h, WANTS_WELCOME);
    struct hello m = {.version = {1, 0}};
    uint8_t nonce[crypto_box_NONCEBYTES];
    if (!t)
        return ERSA_ENOMEM;
    memcpy(m.key, t->own.public_key, KEY);
    next_number(t, m.number);
    curve_short_nonce(nonce, "CurveZMQHELLO---", m.number);
    int rc = box(m.box, zeros, ZEROS, nonce, h->curve->server, t->own.secret_key);
    return rc < 0 ? rc : zmtp_put_command(out, "HELLO", &m, sizeof(m));
}

static int put_introduction(const struct handshake *h, const struct curve_talk *t,
                            struct buf *b)
{
    struct introduction i;
    uint8_t plain[2 * KEY], nonce[crypto_box_NONCEBYTES];
    memcpy(i.key, h->curve->own.public_key, KEY);
    randombytes_buf(i.nonce, sizeof(i.nonce));
    memcpy(plain, t->own.public_key, KEY);
    memcpy(plain + KEY, h->curve->server, KEY);
    long_nonce(nonce, "VOUCH---", i.nonce);
    int rc = box(i.vouch, plain, sizeof(plain), nonce, t->peer, h->curve->own.secret_key);
    if (rc == 0)
        rc = buf_append(b, &i, sizeof(i));
    return rc < 0 ? rc : zmtp_put_properties(b, h->socket_type, h->identity);
}

static int put_initiate(const struct handshake *h, struct curve_talk *t, struct buf *out)
{
    struct initiate m;
    uint8_t nonce[crypto_box_NONCEBYTES];
    struct buf plain;
    buf_init(&plain, PROPERTIES_MAX);
    memcpy(m.cookie, t->cookie, COOKIE);
    next_number(t, m.number);
    curve_short_nonce(nonce, "CurveZMQINITIATE", m.number);
    int rc = put_introduction(h, t, &plain);
    if (rc == 0)
        rc = put_sealed(t, out, "INITIATE", &m, sizeof(m), &plain, nonce);
    buf_fini(&plain);
    return rc;
}

static int on_welcome(const struct handshake *h, struct curve_talk *t, struct slice data,
                      struct buf *out, struct zmtp_ready *ret_ready)
{
    struct welcome m;
    uint8_t plain[KEY + COOKIE], nonce[crypto_box_NONCEBYTES];
    if (data.len != sizeof(m))
        return ERSA_EPROTO;
    memcpy(&m, data.data, sizeof(m));
    long_nonce(nonce, "WELCOME-", m.nonce);
    int rc = unbox(plain, m.box, sizeof(m.box), nonce, h->curve->server, t->own.secret_key);
    if (rc < 0)
        return rc;
    memcpy(t->peer, plain, KEY);
    memcpy(t->cookie, plain + KEY, COOKIE);
    rc = make_link(t);
    if (rc == 0)
        rc = put_initiate(h, t, out);
    t->step = WANTS_READY;
    return rc;
}

static int on_ready(const struct handshake *h, struct curve_talk *t, struct slice data,
                    struct buf *out, struct zmtp_ready *ret_ready)
{
    const struct ready *m = (const void *)data.data;
    uint8_t nonce[crypto_box_NONCEBYTES];
    if (data.len < sizeof(*m) || take_number(t, m->number) < 0)
        return ERSA_EPROTO;
    curve_short_nonce(nonce, "CurveZMQREADY---", m->number);
    int rc = open_sealed(t, h->room, m->box, data.len - sizeof(*m), nonce);
    if (rc < 0)
        return rc;
    struct slice properties = {(const char *)h->room->data, h->room->len};
    t->step = IS_DONE;
    return zmtp_parse_ready(properties, ret_ready) < 0 ? ERSA_EPROTO : 1;
}

/* Both: anything but the one command that is wanted now ends the connection. */

static const struct {
    const char *name;
    int (*fn)(const struct handshake *h, struct curve_talk *t, struct slice data,
              struct buf *out, struct zmtp_ready *ret_ready);
} steps[] = {
    [WANTS_HELLO] = {"HELLO", on_hello},
    [WANTS_WELCOME] = {"WELCOME", on_welcome},
    [WANTS_INITIATE] = {"INITIATE", on_initiate},
    [WANTS_READY] = {"READY", on_ready},
};

static int on_command(const struct handshake *h, const struct zmtp_command *cmd,
                      struct buf *out, struct zmtp_ready *ret_ready)
{
    struct curve_talk *t = *h->talk;
    if (slice_is(cmd->name, "ERROR"))
        return ERSA_ECLOSED;
    if (t->step == IS_DONE || !slice_is(cmd->name, steps[t->step].name))
        return ERSA_EPROTO;
    return steps[t->step].fn(h, t, cmd->data, out, ret_ready);
}

const struct mechanism mechanism_curve_server = {
    .name = "CURVE", .start = server_start, .command = on_command};
const struct mechanism mechanism_curve_client = {
    .name = "CURVE", .start = client_start, .command = on_command};
