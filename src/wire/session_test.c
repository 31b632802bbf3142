/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/json.h"
#include "wire/session.h"

#define KEY "86a3d698-2d5a709829f830b446ba5572"
#define HEADER                                                                           \
    "{\"msg_id\": \"0a1b2c3d-00112233445566778899aabb_4242_7\", \"msg_type\": "          \
    "\"connection_request\", \"username\": \"ada\", \"session\": "                       \
    "\"0a1b2c3d-00112233445566778899aabb\", \"date\": \"2026-01-02T03:04:05.678901Z\", " \
    "\"version\": \"5.3\"}"

static struct session *open_session(const char *key, const char *scheme)
{
    struct session *s = NULL;
    assert_int_equal(session_new(&s, key, strlen(key), scheme,
                                 "0a1b2c3d-00112233445566778899aabb", "ada", NULL),
                     0);
    return s;
}

static void check_vector(const char *key, const char *scheme, struct slice header,
                         const char *want)
{
    struct session *s = open_session(key, scheme);
    struct slice none = SLICE_LIT("{}");
    char got[SESSION_SIGNATURE_MAX];
    for (int again = 0; again < 2; again++) {
        assert_int_equal(session_sign(s, header, none, none, none, got), strlen(want));
        assert_string_equal(got, want);
    }
    session_free(s);
}

static void test_vectors_of_the_protocol(void **state)
{
    struct slice h = SLICE_LIT(HEADER);
    check_vector(KEY, "hmac-sha256", h,
                 "4e6812f61f2c63095f26836d12abc28b4bf1b55069e786be477454f218df87c2");
    check_vector(KEY, "hmac-sha1", h, "33c72ebf01240b073d24e2fd5ceb3530bbe2f80d");
    check_vector(KEY, "hmac-md5", h, "f0c72b0d57a0a99610e1e779e0125c5b");
    check_vector(
        KEY, "hmac-sha512", h,
        "12e26e502543773559c3412df2666ac96bc90698b2d1c0d8d93eca4916fadc52b061a247a96e85441"
        "f82fa574a29382126af68e30e7a0a8d35313e5459970880");
    check_vector("k", "hmac-sha256", SLICE_LIT("{}"),
                 "6f7c3dea506a2fb840fc9377d65462646f8e8df4acfafa710cf0c50bb2db8de2");
}

/* Made with Python's hmac and hashlib: a key longer than a block, and names that differ. */
static void test_vectors_of_python(void **state)
{
    char key[101];
    memset(key, 'K', 100);
    key[100] = '\0';
    struct slice h = SLICE_LIT("{}");
    check_vector(key, "hmac-sha256", h,
                 "ecb7e5261f86a8981cb9cfc11563c44c9eaeba4e0e7a880cd47df0e3c2e269c7");
    check_vector("k", "hmac-blake2b", h,
                 "b0c438d4717192ef775e9c3122d1299aa94b0d9faece687a73e2b0257836284704553b3b37a03"
                 "621cffa7e8a1e162ddb3009640cd24dfbe05c7abadb4cdaa783");
    check_vector("k", "hmac-sha3_256", h,
                 "045521bbcc49d3688fdc09ab7e9b135632634145191b4f35c3b4102d595d3a0e");
}

static void check_refused(const char *key, size_t key_len, const char *scheme, int want)
{
    struct session *s = NULL;
    struct ersa_error err = {0};
    assert_int_equal(session_new(&s, key, key_len, scheme, NULL, "ada", &err), want);
    assert_null(s);
    assert_int_equal(err.code, want);
    assert_true(err.text[0]);
}

static void test_schemes_refused(void **state)
{
    char key[SESSION_KEY_MAX + 1] = {0};
    check_refused("k", 1, "hmac-shake_128", ERSA_EUNSUPPORTED);
    check_refused("k", 1, "hmac-shake128", ERSA_EUNSUPPORTED);
    check_refused("k", 1, "hmac-nosuch", ERSA_EUNSUPPORTED);
    check_refused("k", 1, "sha256", ERSA_EUNSUPPORTED);
    check_refused("", 0, "hmac-nosuch", ERSA_EUNSUPPORTED);
    check_refused(key, sizeof(key), "hmac-sha256", ERSA_EINVAL);
}

static struct frame frame_of(const char *text)
{
    return (struct frame){(const uint8_t *)text, strlen(text), NULL};
}

static void test_split(void **state)
{
    struct frame f[] = {frame_of("id"),        frame_of("<IDS|MSG>"), frame_of("sig"),
                        frame_of("header"),    frame_of("parent"),    frame_of("metadata"),
                        frame_of("<IDS|MSG>"), frame_of("b0"),        frame_of("")};
    struct parts p;
    assert_int_equal(parts_split(f, 9, &p), 0);
    assert_int_equal(p.n_idents, 1);
    assert_ptr_equal(p.idents, f);
    assert_ptr_equal(p.wire, f + 1);
    assert_int_equal(p.n_wire, 8);
    assert_true(slice_is(p.signature, "sig"));
    assert_true(slice_is(p.header, "header"));
    assert_true(slice_is(p.parent, "parent"));
    assert_true(slice_is(p.metadata, "metadata"));
    assert_true(slice_is(p.content, "<IDS|MSG>")); /* the first one counts */
    assert_int_equal(p.n_buffers, 2);
    assert_ptr_equal(p.buffers, f + 7);
    assert_int_equal(parts_split(f, 7, &p), 0);
    assert_int_equal(p.n_buffers, 0);
    assert_int_equal(parts_split(f, 6, &p), ERSA_EPROTO);
    assert_int_equal(parts_split(f, 1, &p), ERSA_EPROTO);
    assert_int_equal(parts_split(f, 0, &p), ERSA_EPROTO);
    assert_int_equal(parts_split(f + 7, 2, &p), ERSA_EPROTO);
}

static void test_our_own_message(void **state)
{
    struct session *s = open_session(KEY, "hmac-sha256");
    assert_true(session_has_key(s));
    struct buf scratch;
    buf_init(&scratch, 4096);
    struct frame out[SESSION_FRAMES];
    struct outgoing o = {.msg_type = "connection_reply",
                         .content = SLICE_LIT("{\"status\":\"ok\"}"),
                         .date_us = 1767323045678901};
    for (int n = 0; n < 12; n++) {
        assert_int_equal(session_frames(s, &o, &scratch, out), 0);
        char want[512];
        snprintf(want, sizeof(want),
                 "{\"msg_id\": \"0a1b2c3d-00112233445566778899aabb_%ld_%d\", \"msg_type\": "
                 "\"connection_reply\", \"username\": \"ada\", \"session\": "
                 "\"0a1b2c3d-00112233445566778899aabb\", \"date\": "
                 "\"2026-01-02T03:04:05.678901Z\", \"version\": \"5.3\"}",
                 (long)getpid(), n);
        assert_int_equal(out[2].len, strlen(want));
        assert_memory_equal(out[2].data, want, out[2].len);
    }
    struct parts p;
    assert_int_equal(parts_split(out, SESSION_FRAMES, &p), 0);
    assert_true(slice_is(p.parent, "{}"));
    assert_true(slice_is(p.metadata, "{}"));
    assert_true(slice_is(p.content, "{\"status\":\"ok\"}"));
    assert_int_equal(session_verify(s, &p), 0);
    buf_fini(&scratch);
    session_free(s);
}

static void test_ids_and_names_that_need_escapes(void **state)
{
    struct session *s = NULL;
    assert_int_equal(session_new(&s, "k", 1, "hmac-sha256", "a\"b", "x\\y\xff", NULL), 0);
    struct buf scratch;
    buf_init(&scratch, 4096);
    struct frame out[SESSION_FRAMES];
    struct outgoing o = {.msg_type = "a\nb", .msg_id = "\xc3\xa9\"", .date_us = 1};
    assert_int_equal(session_frames(s, &o, &scratch, out), 0);
    json_t *h = json_parse(frame_slice(&out[2]), NULL);
    assert_string_equal(json_str(h, "session"), "a\"b");
    assert_string_equal(json_str(h, "username"), "x\\y\xef\xbf\xbd");
    assert_string_equal(json_str(h, "msg_type"), "a\nb");
    assert_string_equal(json_str(h, "msg_id"), "\xc3\xa9\"");
    json_decref(h);
    o.msg_id = NULL;
    assert_int_equal(session_frames(s, &o, &scratch, out), 0);
    h = json_parse(frame_slice(&out[2]), NULL);
    assert_non_null(json_str(h, "msg_id"));
    assert_memory_equal(json_str(h, "msg_id"), "a\"b_", 4);
    json_decref(h);
    buf_fini(&scratch);
    buf_init(&scratch, 64);
    assert_int_equal(session_frames(s, &o, &scratch, out), ERSA_EFULL);
    buf_fini(&scratch);
    session_free(s);
}

static void test_verify_refuses_any_change(void **state)
{
    static const char *const schemes[] = {"hmac-sha256", "hmac-sha1"};
    for (int i = 0; i < 2; i++) {
        struct session *s = open_session(KEY, schemes[i]);
        char signature[SESSION_SIGNATURE_MAX], header[] = "{\"a\":1}";
        struct parts p = {.header = {header, sizeof(header) - 1},
                          .parent = SLICE_LIT("{}"),
                          .metadata = SLICE_LIT("{}"),
                          .content = SLICE_LIT("{}")};
        p.signature.data = signature;
        p.signature.len = session_sign(s, p.header, p.parent, p.metadata, p.content, signature);
        assert_int_equal(session_verify(s, &p), 0);
        header[5] = '2';
        assert_int_equal(session_verify(s, &p), ERSA_EAUTH);
        header[5] = '1';
        for (size_t at = 0; at < p.signature.len; at++) {
            signature[at] ^= 1;
            assert_int_equal(session_verify(s, &p), ERSA_EAUTH);
            signature[at] ^= 1;
        }
        p.signature.len--;
        assert_int_equal(session_verify(s, &p), ERSA_EAUTH);
        p.signature.len = 0;
        assert_int_equal(session_verify(s, &p), ERSA_EAUTH);
        session_free(s);
    }
}

static void test_without_a_key_nothing_is_checked(void **state)
{
    struct session *s = open_session("", "hmac-sha256");
    assert_false(session_has_key(s));
    struct parts p = {.signature = SLICE_LIT("anything"), .header = SLICE_LIT("{}")};
    assert_int_equal(session_verify(s, &p), 0);
    struct buf scratch;
    buf_init(&scratch, 4096);
    struct frame out[SESSION_FRAMES];
    struct outgoing o = {.msg_type = "x"};
    assert_int_equal(session_frames(s, &o, &scratch, out), 0);
    assert_int_equal(out[1].len, 0);
    buf_fini(&scratch);
    session_free(s);
}

/* Replay */

static int check_number(struct replay *r, unsigned n)
{
    char text[17];
    snprintf(text, sizeof(text), "%016x", n);
    return replay_check(r, (struct slice){text, 16});
}

static void test_replay_knows_the_newest(void **state)
{
    static const unsigned caps[] = {1, 2, 63, 64, 65, 1000};
    for (size_t c = 0; c < sizeof(caps) / sizeof(caps[0]); c++) {
        unsigned cap = caps[c];
        struct replay *r = replay_new(cap);
        for (unsigned n = 0; n < 5 * cap + 3; n++) {
            assert_int_equal(check_number(r, n), 0);
            unsigned oldest = n < cap ? 0 : n - cap + 1;
            assert_int_equal(check_number(r, oldest), ERSA_EREPLAY);
            assert_int_equal(check_number(r, n), ERSA_EREPLAY);
        }
        /* Everything that it should know, and nothing else. */
        for (unsigned n = 4 * cap + 3; n < 5 * cap + 3; n++)
            assert_int_equal(check_number(r, n), ERSA_EREPLAY);
        assert_int_equal(check_number(r, 4 * cap + 2), 0);
        replay_free(r);
    }
}

/* What was forgotten may come once more, and the others are known as before. */
static void test_replay_forgets(void **state)
{
    struct replay *r = replay_new(200);
    char text[17];
    for (unsigned n = 0; n < 1000; n++) {
        assert_int_equal(check_number(r, n), 0);
        snprintf(text, sizeof(text), "%016x", n);
        if (n % 3)
            continue;
        replay_forget(r, (struct slice){text, 16});
        replay_forget(r, (struct slice){text, 16});
        replay_forget(r, SLICE_LIT("never seen"));
    }
    for (unsigned n = 820; n < 1000; n++)
        if (n % 3)
            assert_int_equal(check_number(r, n), ERSA_EREPLAY);
    assert_int_equal(check_number(r, 999), 0);
    assert_int_equal(check_number(r, 999), ERSA_EREPLAY);
    for (unsigned n = 2000; n < 3000; n++)
        assert_int_equal(check_number(r, n), 0);
    replay_free(r);
    r = replay_new(8);
    replay_forget(r, SLICE_LIT("nothing was seen yet"));
    replay_free(r);
}

static void test_replay_edges(void **state)
{
    struct replay *r = replay_new(8);
    assert_int_equal(replay_check(r, (struct slice){"", 0}), 0);
    assert_int_equal(replay_check(r, (struct slice){"", 0}), 0);
    replay_free(r);
    r = replay_new(0);
    assert_int_equal(check_number(r, 1), 0);
    assert_int_equal(check_number(r, 1), 0);
    replay_free(r);
    replay_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_of_the_protocol),
        cmocka_unit_test(test_vectors_of_python),
        cmocka_unit_test(test_schemes_refused),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_our_own_message),
        cmocka_unit_test(test_ids_and_names_that_need_escapes),
        cmocka_unit_test(test_verify_refuses_any_change),
        cmocka_unit_test(test_without_a_key_nothing_is_checked),
        cmocka_unit_test(test_replay_knows_the_newest),
        cmocka_unit_test(test_replay_forgets),
        cmocka_unit_test(test_replay_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
