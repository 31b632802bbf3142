/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounds of the store in memory (db.md 5.2): records, octets, age, and what goes first. */
#include "store/store_rig.h"

static struct store *open_bounded(uint64_t records, uint64_t bytes, double cull)
{
    struct store_limits limits = {records, bytes, cull};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    return st;
}

static void test_number_of_records(void **state)
{
    struct store *st = open_bounded(20, 1 << 20, 0.2);
    for (int i = 0; i < 20; i++)
        put_number(st, i, 1, false);
    assert_int_equal(count(st), 20);
    put_number(st, 20, 1, false);
    assert_int_equal(count(st), 17);
    for (int i = 21; i < 24; i++)
        put_number(st, i, 1, false);
    assert_int_equal(count(st), 20);
    put_number(st, 24, 1, false);
    assert_int_equal(count(st), 17);
    st->ops->close(st);
}

static struct store *fill_to_1000(void)
{
    struct store *st = open_bounded(1000, 1000, 0.2);
    for (int i = 0; i < 100; i++)
        put_number(st, i, 10, false);
    put_number(st, 100, 0, false);
    assert_int_equal(count(st), 101);
    return st;
}

static bool has_buffers(struct store *st, const char *id)
{
    struct store_record r = get(st, id);
    return !store_is_null(&r, F_buffers);
}

static void test_octets_of_buffers(void **state)
{
    struct store *st = fill_to_1000();
    put_number(st, 101, 1, false); /* the oldest 21 lose their buffers, no record goes */
    assert_int_equal(count(st), 102);
    assert_int_equal(st->counts.stripped, 21);
    assert_true(has_buffers(st, "101") && has_buffers(st, "21") && !has_buffers(st, "20"));
    st->ops->close(st);

    st = open_bounded(1000, 1000, 0.2);
    for (int i = 0; i < 100; i++)
        put_number(st, i, 10, false);
    put_number(st, 99, 11, false); /* replaced: only the difference counts */
    assert_int_equal(count(st), 100);
    assert_int_equal(st->counts.stripped, 21);
    assert_true(has_buffers(st, "99") && has_buffers(st, "21") && !has_buffers(st, "20"));
    st->ops->close(st);

    st = fill_to_1000();
    assert_int_equal(st->ops->drop(st, s("0"), NULL), 0);
    put_number(st, 101, 10, false);
    assert_int_equal(count(st), 101);
    assert_int_equal(st->counts.stripped, 0);
    st->ops->close(st);
}

static void put_result(struct store *st, const char *id)
{
    struct slice buffer = s("0123456789");
    struct store_record r = {.set = STORE_FIELD(F_result_buffers)};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_result_content, "{\"status\": \"ok\"}");
    set_date(&r, F_completed, 9);
    r.v[F_result_buffers].binary = (struct store_binary){&buffer, 1};
    put(st, &r);
}

/* Who is done loses its payload first, and its result says so; its account stays. */
static void test_payload_goes_first(void **state)
{
    struct store *st = open_bounded(1000, 45, 0.1);
    put_number(st, 0, 10, false);
    put_number(st, 1, 10, false);
    put_result(st, "1");
    put_number(st, 2, 10, false);
    assert_int_equal(st->counts.stripped, 0);
    put_number(st, 3, 10, false);
    struct store_record r = get(st, "1");
    assert_int_equal(st->counts.stripped, 1);
    assert_true(slice_eq(r.v[F_result_content].text, store_stripped_content));
    assert_text(&r, F_header, "{\"msg_id\": 1}");
    assert_int_equal(r.v[F_submitted].date, 1);
    assert_int_equal(r.v[F_completed].date, 9);
    assert_true(store_is_null(&r, F_buffers) && store_is_null(&r, F_result_buffers));
    assert_true(has_buffers(st, "0") && has_buffers(st, "2") && has_buffers(st, "3"));
    assert_int_equal(count(st), 4);
    st->ops->close(st);
}

static void test_the_newest_stays(void **state)
{
    struct store *st = open_bounded(1000, 8, 0.5);
    put_number(st, 0, 1, false);
    put_number(st, 1, 60, false);
    assert_true(has_buffers(st, "1") && !has_buffers(st, "0"));
    put_number(st, 2, 1, false);
    assert_true(has_buffers(st, "2") && !has_buffers(st, "1"));
    assert_history(st, "0 1 2 ");
    st->ops->close(st);
    st = open_bounded(3, 1000, 0.1); /* a share below one drops one */
    for (int i = 0; i < 10; i++)
        put_number(st, i, 1, false);
    assert_int_equal(count(st), 3);
    st->ops->close(st);
}

static void test_what_is_done_goes_first(void **state)
{
    struct store *st = open_bounded(4, 1000, 0.5);
    put_number(st, 0, 1, false);
    put_number(st, 1, 1, true);
    put_number(st, 2, 1, false);
    put_number(st, 3, 1, true);
    put_number(st, 4, 1, false);
    assert_history(st, "0 2 4 ");
    struct store_record r = {.set = 0}; /* never requested: output of a broadcast */
    set_text(&r, F_msg_id, "s");
    put(st, &r);
    put_number(st, 5, 1, false);
    assert_found(st, "{}", "2 4 5 ");
    st->ops->close(st);
}

static void test_streams_are_bounded(void **state)
{
    struct store *st = open_bounded(10, 1000, 0.1); /* 64 MiB of text, 4 of a stream */
    size_t n = 3 << 20;
    char *text = calloc(1, n);
    struct store_record r = request("a", 1);
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, (struct slice){text, n}, NULL), 0);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, (struct slice){text, n}, NULL),
                     ERSA_EFULL);
    r = get(st, "a");
    assert_int_equal(r.v[F_stdout].text.len, n);
    st->ops->close(st);

    free(text);
}

/* 40 streams of 3 MiB and 64 MiB of room: the oldest lose what they printed, and say so. */
static void test_output_goes_before_records(void **state)
{
    struct store *st = open_bounded(1000, 1000, 0.1);
    size_t n = 3 << 20;
    char *text = calloc(1, n);
    for (int i = 0; i < 40; i++) {
        char id[8];
        snprintf(id, sizeof(id), "%d", i);
        put_number(st, i, 1, i % 2);
        assert_int_equal(st->ops->append(st, s(id), F_stdout, (struct slice){text, n}, NULL),
                         0);
    }
    assert_int_equal(count(st), 40);
    assert_in_range(st->counts.stripped, 20, 30);
    struct store_record r = get(st, "1");
    assert_text(&r, F_stdout, "[the store had no room for this output]\n");
    assert_text(&r, F_header, "{\"msg_id\": 1}");
    assert_true(has_buffers(st, "1"));
    r = get(st, "39");
    assert_int_equal(r.v[F_stdout].text.len, n);
    assert_int_equal(st->ops->append(st, s("1"), F_stdout, s("more"), NULL), 0);
    r = get(st, "1");
    assert_text(&r, F_stdout, "[the store had no room for this output]\nmore");
    st->ops->close(st);
    free(text);
}

/* What is long of the request and its result goes, and who asks is told. */
static void test_text_goes_before_records(void **state)
{
    struct store *st = open_bounded(1000, 1000, 0.1);
    size_t n = 5 << 20;
    char *text = calloc(1, n + 64);
    for (int i = 0; i < 30; i++) {
        char id[8];
        snprintf(id, sizeof(id), "%d", i);
        put_number(st, i, 1, true);
        struct store_record r = {.set = 0};
        set_text(&r, F_msg_id, id);
        char head[64];
        size_t len = (size_t)snprintf(head, sizeof(head),
                                      "{\"status\": \"%s\", \"ename\": \"E\", \"x\": \"",
                                      i ? "error" : "ok");
        memcpy(text, head, len);
        memset(text + len, 'x', n);
        memcpy(text + len + n, "\"}", 3);
        set_text(&r, i < 2 ? F_result_content : F_content, text);
        set_text(&r, F_label, "label");
        put(st, &r);
    }
    assert_int_equal(count(st), 30);
    struct store_record r = get(st, "0");
    assert_true(slice_eq(r.v[F_result_content].text, store_stripped_content));
    r = get(st, "1");
    assert_non_null(
        memmem(r.v[F_result_content].text.data, r.v[F_result_content].text.len, "\"E\"", 3));
    assert_in_range(r.v[F_result_content].text.len, 10, 1024);
    assert_text(&r, F_content, "{}");
    r = get(st, "2");
    assert_true(store_is_null(&r, F_content));
    assert_text(&r, F_label, "label");
    r = get(st, "29");
    assert_true(r.v[F_content].text.len > n);
    st->ops->close(st);
    free(text);
}

/* One that is larger than all the room: the others lose theirs, but stay. */
static void test_the_largest_alone(void **state)
{
    struct store *st = open_bounded(1000, 1000, 0.1);
    size_t n = 80 << 20;
    char *text = calloc(1, n + 1);
    for (int i = 0; i < 10; i++)
        put_number(st, i, 1, false);
    memset(text, 'x', n);
    struct store_record r = request("large", 20);
    set_text(&r, F_content, text);
    put(st, &r);
    assert_int_equal(count(st), 11);
    r = get(st, "large");
    assert_true(store_is_null(&r, F_content));
    assert_int_equal(st->counts.stripped, 1);
    st->ops->close(st);
    free(text);
}

/* Nothing is left but short records: then they go. */
static void test_records_go_last(void **state)
{
    struct store *st = open_bounded(0, 1000, 0.5);
    char header[1001];
    memset(header, 'x', sizeof(header) - 1);
    header[sizeof(header) - 1] = 0;
    int n = (64 << 20) / 1000;
    for (int i = 0; i < n; i++) {
        char id[8];
        snprintf(id, sizeof(id), "%d", i);
        struct store_record r = request(id, i);
        set_text(&r, F_header, header);
        put(st, &r);
    }
    assert_in_range(count(st), n / 8, n - 1000);
    struct store_record r;
    assert_int_equal(st->ops->get(st, s("0"), STORE_ALL, &r, NULL), ERSA_ENOENT);
    assert_int_equal(st->counts.stripped, 0);
    st->ops->close(st);
}

static void test_age_in_memory(void **state)
{
    struct store_limits limits = {.records = 100, .max_age_s = 1};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    int64_t until = clock_mono_ms() + 10000;
    struct store_record r = request("a", 1);
    put(st, &r);
    assert_int_equal(st->ops->tick(st, NULL), 0);
    assert_int_equal(count(st), 1);
    while (count(st) && clock_mono_ms() < until)
        assert_int_equal(st->ops->tick(st, NULL), 0);
    assert_int_equal(count(st), 0);
    st->ops->close(st);
}

static void test_limits_are_checked(void **state)
{
    struct store_limits limits = {10, 10, 1.5};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), ERSA_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_of_records),
        cmocka_unit_test(test_octets_of_buffers),
        cmocka_unit_test(test_payload_goes_first),
        cmocka_unit_test(test_the_newest_stays),
        cmocka_unit_test(test_what_is_done_goes_first),
        cmocka_unit_test(test_streams_are_bounded),
        cmocka_unit_test(test_output_goes_before_records),
        cmocka_unit_test(test_text_goes_before_records),
        cmocka_unit_test(test_the_largest_alone),
        cmocka_unit_test(test_records_go_last),
        cmocka_unit_test(test_age_in_memory),
        cmocka_unit_test(test_limits_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
