/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys as text, boxes with the numbers that NaCl and the RFCs give for them, the stream against
 * one box over all, and what must not be opened. */
#include "wire/curve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ersa/error.h"
#include "wire/curve_box.h"

static void from_hex(uint8_t *out, const char *hex)
{
    for (; *hex; hex += 2) {
        char two[3] = {hex[0], hex[1]};
        *out++ = (uint8_t)strtoul(two, NULL, 16);
    }
}

/* The 32 octets of test data in RFC 32 (Z85). */
static void test_text(void **state)
{
    uint8_t key[CURVE_KEY_SIZE], want[CURVE_KEY_SIZE];
    char text[CURVE_TEXT_LEN + 1];
    static const char test_data[] = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
    from_hex(want, "8e0bdd697628b91d8f245587ee95c5b04d48963f79259877b49cd9063aead3b7");
    assert_int_equal(curve_key_parse(key, test_data), 0);
    assert_memory_equal(key, want, sizeof(key));
    curve_key_text(text, key);
    assert_string_equal(text, test_data);
    memset(key, 0xff, sizeof(key));
    curve_key_text(text, key);
    assert_int_equal(curve_key_parse(want, text), 0);
    assert_memory_equal(key, want, sizeof(key));
}

static void test_what_is_no_text(void **state)
{
    static const char *const bad[] = {
        "",
        "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh",
        "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh66",
        "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{L\"6",
        "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{L 6",
        "########################################", /* over 32 bits */
        "%nSc1%nSc1%nSc1%nSc1%nSc1%nSc1%nSc1%nSc1",
    };
    uint8_t key[CURVE_KEY_SIZE] = {7};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(curve_key_parse(key, bad[i]), ERSA_EPARSE);
    assert_int_equal(key[0], 7);
}

/* The pairs of NaCl's own tests. */
static const char alice_secret[] =
    "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
static const char alice_public[] =
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
static const char bob_public[] =
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
static const char both[] = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";

static void test_pairs(void **state)
{
    struct curve_keys k, fresh;
    uint8_t want[CURVE_KEY_SIZE], bob[CURVE_KEY_SIZE], key[CURVE_KEY_SIZE];
    from_hex(k.secret_key, alice_secret);
    curve_keys_derive(&k);
    from_hex(want, alice_public);
    assert_memory_equal(k.public_key, want, sizeof(want));
    from_hex(bob, bob_public);
    from_hex(want, both);
    assert_int_equal(crypto_box_beforenm(key, bob, k.secret_key), 0);
    assert_memory_equal(key, want, sizeof(want));
    curve_keys_make(&fresh);
    k = fresh;
    curve_keys_derive(&k);
    assert_memory_equal(k.public_key, fresh.public_key, sizeof(want));
    curve_keys_make(&fresh);
    assert_memory_not_equal(k.secret_key, fresh.secret_key, sizeof(want));
}

/* Both ends of one connection. */
static void link_up(struct curve_link *client, struct curve_link *server)
{
    *client = (struct curve_link){.sent = 2, .received = 1};
    from_hex(client->key, both);
    *server = *client;
    server->is_server = true;
    server->sent = 1;
    server->received = 2;
}

/* The fifth command of a client with that key, worked out by another program from the text of
 * the papers: Salsa20's core, HSalsa20, Poly1305. */
static void test_message(void **state)
{
    static const char wanted[] =
        "074d455353414745" /* 7 "MESSAGE" */
        "0000000000000005"
        "92c7f9f95162d0227020bb51a3cce9d336b8cd555958c0b3346f9a09ba85a978583beea8181b311f4d65cd"
        "ede9da1c7cce77fd3d3aa96dd3cb89e5a246da58d286744dec9fe1cb991f270b47d6df2d8505a3fa";
    uint8_t body[CURVE_OVERHEAD + 66], want[sizeof(body)];
    struct curve_link client, server;
    link_up(&client, &server);
    client.sent = 4;
    body[32] = CURVE_MORE;
    memcpy(body + 33, "Kepler", 6);
    for (int i = 0; i < 60; i++)
        body[39 + i] = (uint8_t)i;
    from_hex(want, wanted);
    curve_seal(&client, body, sizeof(body));
    assert_memory_equal(body, want, sizeof(body));
    assert_int_equal(curve_open(&server, body, sizeof(body)), 0);
    assert_int_equal(body[32], CURVE_MORE);
    assert_memory_equal(body + 33, "Kepler\0\1\2", 9);
    assert_int_equal(server.received, 5);
}

static void fill(uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
}

static void seal_in_pieces(struct curve_link *l, uint8_t *body, size_t len, size_t step)
{
    struct curve_stream s;
    uint8_t *data = body + CURVE_HEAD_SIZE, *copy = malloc(len);
    size_t n = len - CURVE_HEAD_SIZE;
    memcpy(copy, data, n);
    curve_seal_begin(l, &s, body);
    for (size_t at = 0, end; at < n; at = end) {
        end = at + step >= n ? n : CURVE_PIECE_END(at + step);
        curve_seal_some(l, &s, copy + at, end - at);
    }
    curve_seal_end(&s, body);
    for (size_t at = 0, end; at < n; at = end) {
        end = at + 2 * step >= n ? n : CURVE_PIECE_END(at + 2 * step);
        curve_seal_again(l, &s, data + at, end - at);
    }
    assert_memory_equal(copy, data, n);
    free(copy);
}

static int open_in_pieces(struct curve_link *l, uint8_t *body, size_t len, size_t step)
{
    struct curve_stream s;
    size_t n = len - CURVE_HEAD_SIZE;
    if (curve_open_begin(l, &s, body) < 0)
        return ERSA_EPROTO;
    for (size_t at = 0, end; at < n; at = end) {
        end = at + step >= n ? n : CURVE_PIECE_END(at + step);
        curve_open_some(l, &s, body + CURVE_HEAD_SIZE + at, end - at);
    }
    return curve_open_end(&s);
}

/* Lengths around every border of blocks, and a long one. */
static void test_pieces_are_one_box(void **state)
{
    static const size_t longs[] = {4095, 4096, 65536 + 33, 1000003};
    uint8_t *a = malloc(1100000), *b = malloc(1100000);
    for (size_t i = 1; i < 300 + 4; i++) {
        size_t n = i < 300 ? i : longs[i - 300], len = CURVE_HEAD_SIZE + n;
        size_t step = i < 300 ? 64 + i % 3 * 64 : 65536;
        struct curve_link client, server, whole;
        link_up(&client, &server);
        whole = client;
        fill(a, len);
        fill(b, len);
        curve_seal(&whole, a, len);
        seal_in_pieces(&client, b, len, step);
        assert_memory_equal(a, b, len);
        assert_int_equal(open_in_pieces(&server, b, len, step), 0);
        fill(a, len);
        assert_memory_equal(a + CURVE_HEAD_SIZE, b + CURVE_HEAD_SIZE, n);
        assert_int_equal(server.received, 3);
    }
    free(a);
    free(b);
}

static void test_what_is_not_opened(void **state)
{
    struct curve_link client, server, fresh;
    uint8_t good[CURVE_OVERHEAD + 100], bad[sizeof(good)];
    link_up(&client, &fresh);
    fill(good, sizeof(good));
    curve_seal(&client, good, sizeof(good));
    for (size_t i = 0; i < 8 * sizeof(good); i++) { /* every bit counts, also of the nonce */
        for (int in_pieces = 0; in_pieces < 2; in_pieces++) {
            server = fresh;
            memcpy(bad, good, sizeof(bad));
            bad[i / 8] ^= (uint8_t)(1 << i % 8);
            assert_int_equal(in_pieces ? open_in_pieces(&server, bad, sizeof(bad), 64)
                                       : curve_open(&server, bad, sizeof(bad)),
                             ERSA_EPROTO);
        }
    }
    for (size_t n = 0; n < sizeof(good); n++) {
        server = fresh;
        memcpy(bad, good, sizeof(bad));
        assert_int_equal(curve_open(&server, bad, n), ERSA_EPROTO);
    }
    server = fresh;
    memcpy(bad, good, sizeof(bad));
    assert_int_equal(curve_open(&server, bad, sizeof(bad)), 0);
    memcpy(bad, good, sizeof(bad));
    assert_int_equal(curve_open(&server, bad, sizeof(bad)), ERSA_EPROTO); /* said before */
    memcpy(bad, good, sizeof(bad));
    assert_int_equal(open_in_pieces(&server, bad, sizeof(bad), 64), ERSA_EPROTO);
    client = fresh; /* its own words, sent back */
    client.is_server = false;
    memcpy(bad, good, sizeof(bad));
    assert_int_equal(curve_open(&client, bad, sizeof(bad)), ERSA_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_what_is_no_text),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_pieces_are_one_box),
        cmocka_unit_test(test_what_is_not_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
