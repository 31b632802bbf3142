/* SPDX-License-Identifier: BSD-3-Clause */
/* Connection files: written as the reference writes them, read with every field checked. */
#include "config/connection_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/test_dir.h"
#include "wire/json.h"

static const char client_text[] =
    "{\"ssh\": \"\", \"interface\": \"tcp://127.0.0.1\", \"registration\": 54435, \"control\": "
    "1,"
    "\"mux\": 2, \"task\": 3, \"task_scheme\": \"leastload\", \"iopub\": 4, \"notification\": "
    "5,"
    "\"broadcast\": 6, \"key\": \"secret\", \"curve_serverkey\": null, \"location\": "
    "\"node17\","
    "\"pack\": \"json\", \"unpack\": \"json\", \"signature_scheme\": \"hmac-sha256\"}";
static const char engine_text[] =
    "{\"ssh\": \"\", \"interface\": \"tcp://*\", \"registration\": 54435, \"control\": 1,"
    "\"mux\": 2, \"task\": 3, \"iopub\": 4, \"hb_ping\": 5, \"hb_pong\": 6, \"broadcast\": [7, "
    "8],"
    "\"key\": \"secret\", \"curve_serverkey\": null, \"location\": \"node17\", \"pack\": "
    "\"json\","
    "\"unpack\": \"json\", \"signature_scheme\": \"hmac-sha256\", \"more\": {}}";

static void test_stock_files(void **state)
{
    struct connection_info c;
    struct ersa_error err = {0};
    struct slice text = {client_text, strlen(client_text)};
    assert_int_equal(connection_info_parse(text, "here", false, &c, &err), 0);
    assert_string_equal(c.interface, "tcp://127.0.0.1");
    assert_int_equal(c.registration, 54435);
    assert_int_equal(c.broadcast, 6);
    assert_string_equal(c.task_scheme, "leastload");
    assert_null(c.curve_serverkey);
    assert_false(c.is_ersa);
    connection_info_fini(&c);
    text = (struct slice){engine_text, strlen(engine_text)};
    assert_int_equal(connection_info_parse(text, "here", true, &c, &err), 0);
    assert_int_equal(c.n_broadcast_leaves, 2);
    assert_int_equal(c.broadcast_leaves[1], 8);
    assert_int_equal(c.caps, 0);
    connection_info_fini(&c);
}

static void test_round_trip(void **state)
{
    struct connection_info c, back;
    struct ersa_error err = {0};
    const char *path = in_test_dir("engine.json");
    assert_int_equal(connection_info_init(&c, true), 0);
    connection_info_set(&c.interface, "tcp://127.0.0.1");
    connection_info_set(&c.key, "s\xc3\xa4lt");
    c.registration = c.control = c.mux = c.task = c.iopub = c.hb_ping = c.hb_pong = 4711;
    c.is_ersa = true;
    c.caps = 5;
    c.attach = 12;
    c.n_broadcast_leaves = 1;
    c.broadcast_leaves = calloc(1, sizeof(int));
    c.broadcast_leaves[0] = 9;
    assert_int_equal(connection_file_write(path, &c, &err), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(connection_file_read(path, true, &back, &err), 0);
    assert_string_equal(back.key, c.key);
    assert_int_equal(back.hb_pong, 4711);
    assert_int_equal(back.caps, 5);
    assert_int_equal(back.attach, 12);
    assert_int_equal(back.broadcast_leaves[0], 9);
    assert_string_equal(back.signature_scheme, "hmac-sha256");
    connection_info_fini(&c);
    connection_info_fini(&back);
}

/* Keys in the reference's order, and nothing of the other side. */
static void test_text(void **state)
{
    struct connection_info c;
    struct ersa_error err = {0};
    struct slice text = {client_text, strlen(client_text)};
    assert_int_equal(connection_info_parse(text, "here", false, &c, &err), 0);
    char *written = connection_info_text(&c);
    assert_memory_equal(written, "{\n  \"ssh\": \"\",\n  \"interface\": \"tcp://127.0.0.1\",\n",
                        40);
    json_t *a = json_loads(written, 0, NULL), *b = json_loads(client_text, 0, NULL);
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    free(written);
    connection_info_fini(&c);
}

/* Every field replaced by something that it must not be. */
static void test_bad_fields(void **state)
{
    static const char *const junk[] = {"null",  "[]",  "{}",      "\"\"", "-1",
                                       "70000", "1.5", "[\"a\"]", "true"};
    for (int side = 0; side < 2; side++) {
        json_t *good = json_loads(side ? engine_text : client_text, 0, NULL);
        const char *key;
        json_t *value;
        json_object_foreach(good, key, value) for (size_t i = 0;
                                                   i <= sizeof(junk) / sizeof(junk[0]); i++)
        {
            json_t *copy = json_copy(good);
            if (i < sizeof(junk) / sizeof(junk[0]))
                json_object_set_new(copy, key, json_loads(junk[i], JSON_DECODE_ANY, NULL));
            else
                json_object_del(copy, key);
            char *text = json_dumps(copy, 0);
            struct connection_info c;
            struct ersa_error err = {0};
            int rc = connection_info_parse((struct slice){text, strlen(text)}, "here", side, &c,
                                           &err);
            if (rc == 0)
                connection_info_fini(&c);
            else if (rc != ERSA_EPARSE || !strstr(err.text, "here: '"))
                fail_msg("%s: rc %d, '%s'", text, rc, err.text);
            if (json_is_integer(value) && rc == 0)
                fail_msg("taken: %s", text);
            free(text);
            json_decref(copy);
        }
        json_decref(good);
    }
}

static void test_not_json(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "nul", "{\"interface\": 3}", "\xff\xfe"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct connection_info c;
        struct ersa_error err = {0};
        struct slice text = {texts[i], strlen(texts[i])};
        assert_int_equal(connection_info_parse(text, "here", true, &c, &err), ERSA_EPARSE);
        assert_memory_equal(err.text, "here", 4);
    }
    struct connection_info c;
    struct ersa_error err = {0};
    assert_int_equal(connection_file_read(in_test_dir("none"), true, &c, &err), ERSA_ENOENT);
}

static void test_wildcards(void **state)
{
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    const struct {
        const char *interface, *location, *override, *expect;
    } rows[] = {
        {"tcp://10.1.2.3", "elsewhere", NULL, "tcp://10.1.2.3"},
        {"tcp://*", "", NULL, "tcp://127.0.0.1"},
        {"tcp://0.0.0.0", host, NULL, "tcp://127.0.0.1"},
        {"tcp://*", "127.0.0.1", NULL, "tcp://127.0.0.1"},
        {"tcp://*", "192.0.2.7", NULL, "tcp://192.0.2.7"},
        {"tcp://*", "192.0.2.7", "192.0.2.8", "tcp://192.0.2.8"},
        {"ipc:///run/x/c", "192.0.2.7", NULL, "ipc:///run/x/c"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct connection_info c;
        assert_int_equal(connection_info_init(&c, true), 0);
        connection_info_set(&c.interface, rows[i].interface);
        connection_info_set(&c.location, rows[i].location);
        char *got = connection_interface(&c, rows[i].override);
        assert_string_equal(got, rows[i].expect);
        char *url = connection_url(got, 12);
        assert_non_null(strstr(url, ":12"));
        free(url);
        free(got);
        connection_info_fini(&c);
    }
    assert_true(connection_is_loopback("tcp://127.0.1.1"));
    assert_true(connection_is_loopback("ipc:///x"));
    assert_false(connection_is_loopback("tcp://*"));
    assert_false(connection_is_loopback("tcp://10.0.0.1"));
}

static void test_bind_addresses(void **state)
{
    static const char *const rows[][2] = {
        {"*", "*"},
        {"0.0.0.0", "0.0.0.0"},
        {"127.0.0.1", "127.0.0.1"},
        {"10.1.2.3", "10.1.2.3"},
        {"lo", "127.0.0.1"},
        {"localhost", "127.0.0.1"},
    };
    struct ersa_error err = {0};
    char *text;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(connection_bind_address(&text, rows[i][0], &err), 0);
        assert_string_equal(text, rows[i][1]);
        free(text);
    }
    assert_int_equal(connection_bind_address(&text, "", &err), ERSA_EINVAL);
    assert_int_equal(connection_bind_address(&text, "no-such.invalid", &err), ERSA_EINVAL);
    assert_non_null(strstr(err.text, "'no-such.invalid'"));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)
    const struct CMUnitTest tests[] = {
        T(test_stock_files), T(test_round_trip), T(test_text),           T(test_bad_fields),
        T(test_not_json),    T(test_wildcards),  T(test_bind_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
