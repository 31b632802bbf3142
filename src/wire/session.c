/* SPDX-License-Identifier: BSD-3-Clause */
/* Splitting, checking, signing, and headers from a template: of a header only the counter, the
 * type and the date are written anew. */
#include "wire/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/err.h"
#include "wire/hmac.h"

#define DELIMITER "<IDS|MSG>"
#define PARTS_MIN 5 /* behind the delimiter */
#define TEMPLATE_MAX 16384
#define DECIMAL_MAX 20
#define NUMBER_AND_DATE (DECIMAL_MAX + CLOCK_ISO_MAX)

struct session {
    struct hmac *mac;  /* owned; NULL: no key */
    char *id;          /* owned */
    struct buf lead;   /* {"msg_id": "<session>_<pid>_ */
    struct buf middle; /* ", "username": "...", "session": "...", "date": " */
    uint64_t next_id;
};

static const char type_key[] = ", \"msg_type\": ";
static const char tail[] = "\", \"version\": \"5.3\"}";

/* Parts */

static bool is_delimiter(const struct frame *f)
{
    return f->len == sizeof(DELIMITER) - 1 && memcmp(f->data, DELIMITER, f->len) == 0;
}

int parts_split(const struct frame *frames, unsigned n, struct parts *ret)
{
    unsigned at = 0;
    while (at < n && !is_delimiter(&frames[at]))
        at++;
    if (n - at < 1 + PARTS_MIN)
        return ERSA_EPROTO;
    const struct frame *wire = frames + at;
    *ret = (struct parts){
        .idents = frames,
        .n_idents = at,
        .wire = wire,
        .n_wire = n - at,
        .signature = frame_slice(&wire[1]),
        .header = frame_slice(&wire[2]),
        .parent = frame_slice(&wire[3]),
        .metadata = frame_slice(&wire[4]),
        .content = frame_slice(&wire[5]),
        .buffers = wire + 1 + PARTS_MIN,
        .n_buffers = n - at - 1 - PARTS_MIN,
    };
    return 0;
}

/* Sessions */

/* Both templates hold JSON text; the quotes around `id` come off where more follows. */
static int fill_templates(struct session *s, const char *username)
{
    char pid[32];
    int pid_len = snprintf(pid, sizeof(pid), "_%ld_", (long)getpid());
    int rc = buf_puts(&s->lead, "{\"msg_id\": ");
    if (rc == 0)
        rc = buf_put_json(&s->lead, s->id, strlen(s->id));
    if (rc < 0)
        return rc;
    s->lead.len--;
    rc = buf_append(&s->lead, pid, (size_t)pid_len);
    if (rc == 0)
        rc = buf_puts(&s->middle, ", \"username\": ");
    if (rc == 0)
        rc = buf_put_json(&s->middle, username, strlen(username));
    if (rc == 0)
        rc = buf_puts(&s->middle, ", \"session\": ");
    if (rc == 0)
        rc = buf_put_json(&s->middle, s->id, strlen(s->id));
    return rc == 0 ? buf_puts(&s->middle, ", \"date\": \"") : rc;
}

static int open_mac(struct session *s, const char *key, size_t key_len, const char *scheme,
                    struct ersa_error *err)
{
    static const char prefix[] = "hmac-";
    if (key_len > SESSION_KEY_MAX)
        return err_set(err, ERSA_EINVAL, "the signing key is longer than %d octets",
                       SESSION_KEY_MAX);
    if (strncmp(scheme, prefix, sizeof(prefix) - 1) != 0)
        return err_set(err, ERSA_EUNSUPPORTED,
                       "signature scheme '%s': only hmac-<digest> is known", scheme);
    int rc = hmac_new(&s->mac, scheme + sizeof(prefix) - 1, key, key_len, err);
    if (rc == 0 && key_len == 0) {
        hmac_free(s->mac);
        s->mac = NULL;
    }
    return rc < 0 ? err_prefix(err, rc, "signature scheme '%s'", scheme) : 0;
}

int session_new(struct session **ret, const char *key, size_t key_len, const char *scheme,
                const char *id, const char *username, struct ersa_error *err)
{
    char random_id[RAND_SESSION_ID_LEN + 1];
    if (!id) {
        rand_session_id(random_id);
        id = random_id;
    }
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    buf_init(&s->lead, TEMPLATE_MAX);
    buf_init(&s->middle, TEMPLATE_MAX);
    s->id = str_dup(id);
    int rc = s->id ? fill_templates(s, username ? username : "username") : ERSA_ENOMEM;
    if (rc < 0)
        err_set(err, rc, "session id or user name: %s", ersa_strerror(rc));
    else
        rc = open_mac(s, key, key_len, scheme, err);
    if (rc < 0) {
        session_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    hmac_free(s->mac);
    buf_fini(&s->lead);
    buf_fini(&s->middle);
    free(s->id);
    free(s);
}

const char *session_id(const struct session *s)
{
    return s->id;
}

bool session_has_key(const struct session *s)
{
    return s->mac;
}

/* Signatures */

#define HEX_ROW(h)                                                                        \
    h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7" h "8" h "9" h "a" h "b" h "c" h "d" h \
      "e" h "f"

static void put_hex(const uint8_t *data, size_t len, char *out)
{
    static const char pairs[] = HEX_ROW("0") HEX_ROW("1") HEX_ROW("2") HEX_ROW("3") HEX_ROW("4")
        HEX_ROW("5") HEX_ROW("6") HEX_ROW("7") HEX_ROW("8") HEX_ROW("9") HEX_ROW("a")
            HEX_ROW("b") HEX_ROW("c") HEX_ROW("d") HEX_ROW("e") HEX_ROW("f");
    for (size_t i = 0; i < len; i++)
        memcpy(out + 2 * i, pairs + 2 * data[i], 2);
    out[2 * len] = '\0';
}

size_t session_sign(struct session *s, struct slice header, struct slice parent,
                    struct slice metadata, struct slice content,
                    char out[SESSION_SIGNATURE_MAX])
{
    static_assert(SESSION_SIGNATURE_MAX > 2 * HMAC_OCTETS_MAX, "hex and its NUL");
    const struct slice parts[] = {header, parent, metadata, content};
    uint8_t digest[HMAC_OCTETS_MAX];
    size_t n = s->mac ? hmac_of(s->mac, parts, 4, digest) : 0;
    put_hex(digest, n, out);
    return 2 * n;
}

/* Takes as long wherever they differ. CRYPTO_memcmp() and sodium_memcmp() do, too, an octet at
 * a time: 480 and 560 instructions for a signature of 64 digits, twice a task, where this
 * has 60. */
static bool is_same(const char *a, const char *b, size_t n)
{
    uint64_t differ = 0, x, y;
    size_t i = 0;
    for (; n - i >= sizeof(x); i += sizeof(x)) {
        memcpy(&x, a + i, sizeof(x));
        memcpy(&y, b + i, sizeof(y));
        differ |= x ^ y;
    }
    for (; i < n; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    __asm__ volatile("" : "+r"(differ)); /* not known to the compiler before it is final */
    return differ == 0;
}

int session_verify(struct session *s, const struct parts *p)
{
    if (!s->mac)
        return 0;
    if (p->signature.len == 0)
        return ERSA_EAUTH;
    char want[SESSION_SIGNATURE_MAX];
    size_t n = session_sign(s, p->header, p->parent, p->metadata, p->content, want);
    if (n == 0 || p->signature.len != n || !is_same(p->signature.data, want, n))
        return ERSA_EAUTH;
    return 0;
}

/* Our own messages */

/* Text that needs no escape goes as it is. */
static int put_string(struct buf *b, const char *text)
{
    size_t len = 0;
    for (; text[len]; len++) {
        unsigned char c = (unsigned char)text[len];
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            return buf_put_json(b, text, len + strlen(text + len));
    }
    int rc = buf_putc(b, '"');
    if (rc == 0)
        rc = buf_append(b, text, len);
    return rc < 0 ? rc : buf_putc(b, '"');
}

static int put_number(struct buf *b, uint64_t n)
{
    char digits[DECIMAL_MAX];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return buf_append(b, digits + at, sizeof(digits) - at);
}

static int put_msg_id(struct session *s, const char *msg_id, struct buf *b)
{
    if (msg_id) {
        int rc = buf_puts(b, "{\"msg_id\": ");
        return rc < 0 ? rc : put_string(b, msg_id);
    }
    int rc = buf_append(b, s->lead.data, s->lead.len);
    if (rc == 0)
        rc = put_number(b, s->next_id++);
    return rc < 0 ? rc : buf_putc(b, '"');
}

static int put_header(struct session *s, const struct outgoing *o, struct buf *b)
{
    char date[CLOCK_ISO_MAX];
    size_t date_len = clock_iso(o->date_us ? o->date_us : clock_utc_us(), date);
    int rc =
        buf_reserve(b, s->lead.len + sizeof(type_key) + strlen(o->msg_type) + s->middle.len +
                           NUMBER_AND_DATE + sizeof(tail) + SESSION_SIGNATURE_MAX);
    if (rc == 0)
        rc = put_msg_id(s, o->msg_id, b);
    if (rc == 0)
        rc = buf_append(b, type_key, sizeof(type_key) - 1);
    if (rc == 0)
        rc = put_string(b, o->msg_type);
    if (rc == 0)
        rc = buf_append(b, s->middle.data, s->middle.len);
    if (rc == 0)
        rc = buf_append(b, date, date_len);
    return rc < 0 ? rc : buf_append(b, tail, sizeof(tail) - 1);
}

static struct slice or_empty_object(struct slice s)
{
    return s.data ? s : SLICE_LIT("{}");
}

static struct frame to_frame(struct slice s)
{
    return (struct frame){(const uint8_t *)s.data, s.len, NULL};
}

int session_frames(struct session *s, const struct outgoing *o, struct buf *scratch,
                   struct frame out[SESSION_FRAMES])
{
    struct slice parent = or_empty_object(o->parent), metadata = or_empty_object(o->metadata),
                 content = or_empty_object(o->content);
    char signature[SESSION_SIGNATURE_MAX];
    buf_reset(scratch);
    int rc = put_header(s, o, scratch);
    if (rc < 0)
        return rc;
    struct slice header = {(const char *)scratch->data, scratch->len};
    size_t n = session_sign(s, header, parent, metadata, content, signature);
    if (s->mac && n == 0)
        return ERSA_ENOMEM;
    rc = buf_append(scratch, signature, n);
    if (rc < 0)
        return rc;
    header.data = (const char *)scratch->data; /* it may have moved */
    out[0] = FRAME_LIT(DELIMITER);
    out[1] = (struct frame){scratch->data + header.len, n, NULL};
    out[2] = to_frame(header);
    out[3] = to_frame(parent);
    out[4] = to_frame(metadata);
    out[5] = to_frame(content);
    out[5].block = o->block;
    return 0;
}
