/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole messages as a router sees them: parts_split, signature, replay, fields of the header,
 * the tree of each JSON part.
 *
 * The first octet: 1 sign what was made, 2 then spoil the signature, 4 without a delimiter, 8
 * no key, 16 key, scheme, session and user are the last frames, as a connection file may have
 * them. Then frames: a length of two octets, the octets. */
#include <string.h>

#include "fuzz.h"
#include "wire/jscan.h"
#include "wire/json.h"
#include "wire/session.h"

#define FRAMES_MAX 40
#define KEY "0123456789abcdef"

static struct session *with_key, *without;
static struct replay *replay;

static void set_up(void)
{
    if (with_key)
        return;
    session_new(&with_key, KEY, sizeof(KEY) - 1, "hmac-sha256", "fuzz", "me", NULL);
    session_new(&without, "", 0, "hmac-sha256", "fuzz", "me", NULL);
    replay = replay_new(64);
    FUZZ_CHECK(with_key && without && replay);
}

static void read_header(struct slice text)
{
    struct jfield fields[] = {{.key = "msg_id"},  {.key = "msg_type"}, {.key = "session"},
                              {.key = "date"},    {.key = "targets"},  {.key = "after"},
                              {.key = "retries"}, {.key = "timeout"}};
    if (jscan(text, fields, sizeof(fields) / sizeof(fields[0])) < 0)
        return;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char small[64];
        struct slice s;
        double number;
        const struct jfield *f = &fields[i];
        if (jscan_string(f, small, sizeof(small), &s) == 0)
            FUZZ_CHECK(s.len <= sizeof(small));
        if (f->type != J_ABSENT)
            FUZZ_CHECK(f->raw.data >= text.data &&
                       f->raw.data + f->raw.len <= text.data + text.len);
        (void)jscan_number(f, &number);
    }
}

static void read_tree(struct slice text)
{
    json_t *j = json_parse(text, NULL);
    char *written = j ? json_text(j) : NULL;
    if (written) { /* what we write ourselves can be read again, and says the same */
        json_t *again = json_parse((struct slice){written, strlen(written)}, NULL);
        FUZZ_CHECK(again && json_equal(again, j));
        json_decref(again);
    }
    free(written);
    json_decref(j);
}

static void check_parts(const struct parts *p, const struct frame *frames, unsigned n)
{
    FUZZ_CHECK(p->n_idents + p->n_wire == n && p->n_wire == 6 + p->n_buffers);
    FUZZ_CHECK(p->idents == frames && p->wire == frames + p->n_idents);
    FUZZ_CHECK(p->header.data == (const char *)p->wire[2].data);
}

static void read_message(struct frame *frames, unsigned n, unsigned mode)
{
    struct parts p;
    char signature[SESSION_SIGNATURE_MAX];
    struct session *s = mode & 8 ? without : with_key;
    if (parts_split(frames, n, &p) < 0)
        return;
    check_parts(&p, frames, n);
    if (mode & 1) {
        size_t len = session_sign(s, p.header, p.parent, p.metadata, p.content, signature);
        FUZZ_CHECK(len < sizeof(signature) && (len > 0) == session_has_key(s));
        if (mode & 2 && len)
            signature[len / 2] ^= 1;
        p.signature = (struct slice){signature, len};
    }
    int rc = session_verify(s, &p);
    FUZZ_CHECK(rc == 0 || rc == ERSA_EAUTH);
    if (!session_has_key(s) || (mode & 3) == 1)
        FUZZ_CHECK(rc == 0);
    else if (mode & 2 && mode & 1)
        FUZZ_CHECK(rc == ERSA_EAUTH);
    if (rc == 0 && p.signature.len) {
        replay_check(replay, p.signature);
        FUZZ_CHECK(replay_check(replay, p.signature) == ERSA_EREPLAY);
    }
    read_header(p.header);
    read_header(p.metadata);
    read_tree(p.parent);
    read_tree(p.content);
}

/* Text up to a NUL of a frame. */
static char *text_of(const struct frame *f)
{
    char *text = calloc(1, f->len + 1);
    FUZZ_CHECK(text);
    return f->len ? memcpy(text, f->data, f->len) : text;
}

static void open_session(const struct frame *frames)
{
    struct session *s = NULL;
    struct ersa_error err = {0};
    char *scheme = text_of(&frames[1]), *id = text_of(&frames[2]), *user = text_of(&frames[3]);
    int rc = session_new(&s, (const char *)frames[0].data, frames[0].len, scheme,
                         *id ? id : NULL, user, &err);
    FUZZ_CHECK(rc == 0 ? s && *session_id(s) : !s && err.text[0]);
    struct buf scratch;
    struct frame out[SESSION_FRAMES];
    struct parts p;
    struct outgoing o = {.msg_type = user, .msg_id = id};
    buf_init(&scratch, 65536);
    if (s && session_frames(s, &o, &scratch, out) == 0) {
        FUZZ_CHECK(parts_split(out, SESSION_FRAMES, &p) == 0 && session_verify(s, &p) == 0);
        FUZZ_CHECK(jscan(p.header, NULL, 0) == 0);
    }
    buf_fini(&scratch);
    session_free(s);
    free(scheme);
    free(id);
    free(user);
    json_decref(json_lossy(frame_slice(&frames[3])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct frame frames[FRAMES_MAX];
    unsigned n = 0, mode = input_octet(&in);
    set_up();
    if (!(mode & 4)) {
        frames[n++] = FRAME_LIT("<IDS|MSG>");
        frames[n++] = FRAME_LIT("");
    }
    while (input_left(&in) && n < FRAMES_MAX) {
        size_t len;
        const uint8_t *octets = input_piece(&in, input_number(&in), &len);
        frames[n++] = (struct frame){octets, len, NULL};
    }
    if (mode & 16 && n >= 4)
        open_session(frames + n - 4);
    read_message(frames, n, mode);
    return 0;
}
