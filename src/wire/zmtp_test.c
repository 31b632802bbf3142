/* SPDX-License-Identifier: BSD-3-Clause */
/* Octets against RFC 37 and what libzmq sends. */
#include "wire/zmtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ersa/error.h"

static void test_greeting(void **state)
{
    uint8_t g[ZMTP_GREETING_SIZE];
    struct zmtp_greeting ret;
    zmtp_put_greeting(g, "NULL");
    assert_int_equal(zmtp_parse_greeting(g, &ret), 0);
    assert_int_equal(ret.minor, 1);
    assert_string_equal(ret.mechanism, "NULL");
    g[11] = 0;
    assert_int_equal(zmtp_parse_greeting(g, &ret), 0);
    assert_int_equal(ret.minor, 0);
    g[32] = 1; /* as-server says nothing */
    assert_int_equal(zmtp_parse_greeting(g, &ret), 0);
    g[10] = 2;
    assert_int_equal(zmtp_parse_greeting(g, &ret), ERSA_EPROTO);
    assert_false(zmtp_may_be_greeting((const uint8_t *)"GET /", 5));
    assert_true(zmtp_may_be_greeting(g, 0));
    assert_true(zmtp_may_be_greeting(g, 5));
}

static void test_heads(void **state)
{
    static const uint64_t sizes[] = {0, 1, 255, 256, 65536, (uint64_t)1 << 40, INT64_MAX};
    uint8_t out[ZMTP_HEAD_MAX];
    struct zmtp_head head;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = zmtp_put_head(out, ZMTP_MORE, sizes[i]);
        assert_int_equal(n, sizes[i] > 255 ? 9 : 2);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(zmtp_parse_head(out, k, &head), 0);
        assert_int_equal(zmtp_parse_head(out, n, &head), n);
        assert_true(head.len == sizes[i] && head.flags & ZMTP_MORE);
    }
    static const uint8_t bad[][9] = {{0x08, 1}, {0x05, 1}, {0xff, 1}, {0x02, 0x80}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(zmtp_parse_head(bad[i], 9, &head), ERSA_EPROTO);
}

static void test_ready_as_libzmq_sends_it(void **state)
{
    static const uint8_t from_router[] =
        "\x05READY\x0bSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\0";
    struct zmtp_command cmd;
    struct zmtp_ready ready;
    struct slice body = {(const char *)from_router, sizeof(from_router) - 1};
    assert_int_equal(zmtp_parse_command(body, &cmd), 0);
    assert_true(slice_is(cmd.name, "READY"));
    assert_int_equal(zmtp_parse_ready(cmd.data, &ready), 0);
    assert_true(slice_is(ready.socket_type, "ROUTER"));
    assert_int_equal(ready.identity.len, 0);
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(zmtp_put_ready(&b, "ROUTER", SLICE_LIT("")), 0);
    assert_int_equal(b.len, body.len + 2);
    assert_memory_equal(b.data + 2, body.data, body.len);
    buf_fini(&b);
}

static void test_properties_cut_short(void **state)
{
    static const char whole[] = "\x0bSocket-Type\0\0\0\x06"
                                "DEALER\x08Identity\0\0\0\x03"
                                "abc";
    struct zmtp_ready ready;
    size_t first = 12 + 4 + 6;
    for (size_t n = 0; n < sizeof(whole); n++) {
        int rc = zmtp_parse_ready((struct slice){whole, n}, &ready);
        assert_int_equal(rc, n == 0 || n == first || n == sizeof(whole) - 1 ? 0 : ERSA_EPROTO);
    }
    assert_int_equal(zmtp_parse_ready((struct slice){whole, sizeof(whole) - 1}, &ready), 0);
    assert_true(slice_is(ready.identity, "abc"));
    static const char lower[] = "\x0bsocket-type\0\0\0\x03SUB\x05OtherX\0\0\0\x01y";
    assert_int_equal(zmtp_parse_ready((struct slice){lower, 12 + 4 + 3}, &ready), 0);
    assert_true(slice_is(ready.socket_type, "SUB"));
}

static void test_commands(void **state)
{
    struct zmtp_command cmd;
    assert_int_equal(zmtp_parse_command(SLICE_LIT(""), &cmd), ERSA_EPROTO);
    assert_int_equal(zmtp_parse_command(SLICE_LIT("\0"), &cmd), ERSA_EPROTO);
    assert_int_equal(zmtp_parse_command(SLICE_LIT("\x05PING"), &cmd), ERSA_EPROTO);
    assert_int_equal(zmtp_parse_command(SLICE_LIT("\x04PING\0\0x"), &cmd), 0);
    assert_int_equal(cmd.data.len, 3);
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(zmtp_put_command(&b, "SUBSCRIBE", "", 0), 0);
    assert_int_equal(b.len, 12);
    assert_memory_equal(b.data, "\x04\x0a\x09SUBSCRIBE", 12);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_ready_as_libzmq_sends_it),
        cmocka_unit_test(test_properties_cut_short),
        cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
