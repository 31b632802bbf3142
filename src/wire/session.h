/* SPDX-License-Identifier: BSD-3-Clause */
/* The Jupyter layer of a message (wire.md 3): finding its parts, checking and making
 * signatures, headers of our own.
 *
 *     identities... <IDS|MSG> signature header parent metadata content buffers...
 *
 * The four JSON frames are signed as transmitted, so a relay forwards them untouched. */
#ifndef ERSA_WIRE_SESSION_H
#define ERSA_WIRE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "ersa/error.h"
#include "util/buf.h"
#include "util/rand.h"
#include "wire/msg.h"

/* Where the parts of a message are; everything borrowed from the frames. */
struct parts {
    const struct frame *idents; /* frames before the delimiter */
    unsigned n_idents;
    const struct frame *wire; /* from the delimiter on: what a relay forwards */
    unsigned n_wire;
    struct slice signature, header, parent, metadata, content;
    const struct frame *buffers;
    unsigned n_buffers;
};

/* Splits a message. ERSA_EPROTO: no delimiter, or fewer than five frames behind it. */
int parts_split(const struct frame *frames, unsigned n, struct parts *ret);

struct session;

#define SESSION_KEY_MAX 512

/* `scheme` is "hmac-<digest>" as known to OpenSSL; `key` empty: nothing is signed or checked.
 * `id` NULL: a random one. ERSA_EUNSUPPORTED (digest of variable length or unknown),
 * ERSA_ENOMEM. */
int session_new(struct session **ret, const char *key, size_t key_len, const char *scheme,
                const char *id, const char *username, struct ersa_error *err);
void session_free(struct session *s);
const char *session_id(const struct session *s);
/* False: nothing is signed or checked, and replay isn't either. */
bool session_has_key(const struct session *s);

/* Checks the signature in constant time. 0 or ERSA_EAUTH. No history. */
int session_verify(struct session *s, const struct parts *p);

#define SESSION_SIGNATURE_MAX 129
/* Writes the lower-case hex signature (empty without a key); returns its length. */
size_t session_sign(struct session *s, struct slice header, struct slice parent,
                    struct slice metadata, struct slice content,
                    char out[SESSION_SIGNATURE_MAX]);

/* A message of our own. `parent`, `metadata`, `content` are JSON text; data NULL means "{}". */
struct outgoing {
    const char *msg_type;
    struct slice parent, metadata, content;
    const char *msg_id;  /* NULL: "<session>_<pid>_<n>" */
    int64_t date_us;     /* 0: now */
    struct block *block; /* the content lies in it; NULL: whoever keeps the content copies it */
};

#define SESSION_FRAMES 6
/* Makes delimiter, signature, header, parent, metadata, content in `out`. Header and signature
 * are written to `scratch` (reset first), which must live as long as the frames are used. */
int session_frames(struct session *s, const struct outgoing *o, struct buf *scratch,
                   struct frame out[SESSION_FRAMES]);

/* Signatures seen, against replay: a ring of the newest `cap` and a set of them, O(1). Verify
 * first, then ask. */
struct replay;
struct replay *replay_new(size_t cap); /* NULL when out of memory */
void replay_free(struct replay *r);
/* 0: new and remembered; ERSA_EREPLAY: seen. An empty signature is always new. */
int replay_check(struct replay *r, struct slice signature);
/* The message was given back unused, and may come again. */
void replay_forget(struct replay *r, struct slice signature);

#endif
