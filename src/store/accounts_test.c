/* SPDX-License-Identifier: BSD-3-Clause */
/* Accounts of waiting records: what stays of a record, what is merged later, what a row takes.
 */
#include "store/accounts.h"
#include "store/store_rig.h"

static struct pending pending;
static struct accounts accounts;

static int set_up(void **state)
{
    pending_init(&pending);
    accounts_init(&accounts);
    return 0;
}

static int tear_down(void **state)
{
    accounts_fini(&accounts);
    assert_int_equal(accounts.bytes, 0);
    pending_fini(&pending);
    return 0;
}

static struct store_record result(const char *id, const char *content)
{
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_result_content, content);
    set_text(&r, F_engine_uuid, "e1");
    set_date(&r, F_completed, 9);
    return r;
}

/* What waits for the id becomes a row. */
static struct account *reduce(const char *id)
{
    struct pending_entry *e = pending_find(&pending, s(id));
    struct account *row = accounts_add(&accounts, e);
    assert_non_null(row);
    pending_drop(&pending, e);
    return row;
}

static void wait_for(const struct store_record *r, bool creates)
{
    struct pending_entry *e = pending_entry(&pending, r->v[F_msg_id].text, creates);
    assert_int_equal(pending_merge(&pending, e, r), 0);
}

static struct account *of_request(const char *id)
{
    struct store_record r = request(id, 5);
    struct slice buffer = s("payload");
    r.set |= STORE_FIELD(F_buffers);
    r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
    set_text(&r, F_client_uuid, "c");
    wait_for(&r, true);
    return reduce(id);
}

static void test_what_stays(void **state)
{
    struct pending_entry e;
    struct account *row = of_request("a");
    assert_ptr_equal(accounts_find(&accounts, s("a")), row);
    accounts_show(row, &e);
    assert_true(e.creates);
    assert_int_equal(e.rec.set, STORE_FIELD(F_msg_id) | STORE_FIELD(F_submitted) |
                                    STORE_FIELD(F_client_uuid) | STORE_FIELD(F_queue));
    assert_text(&e.rec, F_msg_id, "a");
    assert_text(&e.rec, F_client_uuid, "c");
    assert_text(&e.rec, F_queue, "task");
    assert_int_equal(e.rec.v[F_submitted].date, 5);
}

static void test_what_comes_later(void **state)
{
    struct pending_entry e;
    struct account *row = of_request("a");
    struct store_record r = result("a", "{\"status\": \"ok\"}");
    assert_int_equal(accounts_merge(&accounts, row, &r, false), 0);
    accounts_show(row, &e);
    assert_true(e.creates);
    assert_text(&e.rec, F_engine_uuid, "e1");
    assert_int_equal(e.rec.v[F_submitted].date, 5);
    assert_int_equal(e.rec.v[F_completed].date, 9);
    assert_true(slice_eq(e.rec.v[F_result_content].text, store_stripped_content));
    r = (struct store_record){.set = 0};
    set_text(&r, F_msg_id, "a");
    set_text(&r, F_engine_uuid, "e2");
    assert_int_equal(accounts_merge(&accounts, row, &r, false), 0);
    accounts_show(row, &e);
    assert_text(&e.rec, F_engine_uuid, "e2");
}

static void test_outcomes(void **state)
{
    char long_one[2000], want[] = "\"ename\": \"ValueError\"";
    snprintf(long_one, sizeof(long_one),
             "{\"status\": \"error\", \"ename\": \"ValueError\", \"evalue\": \"%0*d\"}", 1900,
             0);
    static const char brief[] = "{\"status\": \"aborted\"}";
    const struct {
        const char *content, *want;
        size_t want_len;
    } rows[] = {
        {brief, brief, sizeof(brief) - 1},
        {"{\"status\": \"ok\", \"x\": 1}", store_stripped_content.data,
         store_stripped_content.len},
        {"no object", store_stripped_content.data, store_stripped_content.len},
        {store_stripped_content.data, store_stripped_content.data, store_stripped_content.len},
        {long_one, want, sizeof(want) - 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pending_entry e;
        struct store_record r = result("a", rows[i].content);
        wait_for(&r, false);
        struct account *row = reduce("a");
        accounts_show(row, &e);
        assert_false(e.creates);
        struct slice got = e.rec.v[F_result_content].text;
        assert_in_range(got.len, 1, 300);
        assert_non_null(memmem(got.data, got.len, rows[i].want, rows[i].want_len));
        accounts_drop(&accounts, row);
    }
}

static void test_order_and_size(void **state)
{
    enum { N = 1000 };
    char id[40];
    struct pending_entry e;
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof(id), "8ab8e0b2-fae05e5b2c9b0db4_1_%06d", i);
        struct account *row = of_request(id);
        struct store_record r = result(id, "{\"status\": \"ok\"}");
        assert_int_equal(accounts_merge(&accounts, row, &r, false), 0);
    }
    assert_int_equal(map_size(&accounts.by_id), N);
    assert_in_range(accounts.bytes, N * 100, N * 220);
    for (int i = 0; i < N; i++) {
        struct account *row = accounts_first(&accounts);
        snprintf(id, sizeof(id), "8ab8e0b2-fae05e5b2c9b0db4_1_%06d", i);
        accounts_show(row, &e);
        assert_text(&e.rec, F_msg_id, id);
        accounts_drop(&accounts, row);
    }
    assert_null(accounts_first(&accounts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_comes_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_outcomes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order_and_size, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
