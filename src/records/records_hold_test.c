/* SPDX-License-Identifier: BSD-3-Clause */
/* Who asks while the store is full gets an answer at once, and a true one; files are written.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "records/core.h"
#include "records/records_rig.h"

static atomic_bool is_full;

static int tick(struct store *st, struct ersa_error *err)
{
    st->is_full = atomic_load(&is_full);
    if (!st->is_full)
        return 0;
    *err = (struct ersa_error){.code = ERSA_EFULL, .text = "no space left"};
    return ERSA_EFULL;
}

/* A store in memory that says what it is told to say. */
static void open_full(struct seat *s, struct store_ops *ops)
{
    struct store_limits limits = {.records = 100, .bytes = 1 << 20, .cull = 0.1};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    *ops = *st->ops;
    ops->tick = tick;
    st->ops = ops;
    atomic_store(&is_full, false);
    open_seat(s, st);
}

static void become(struct seat *s, bool full)
{
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    atomic_store(&is_full, full);
    request(s, 't', "nudge", NULL, NULL); /* there is a tick after a change */
    while (ring_is_stalled(s->in) != full) {
        assert_true(clock_mono_ms() < until);
        nap();
    }
}

static void ask_aside(struct seat *s, const char *type, const char *content)
{
    struct ring *in = s->in;
    s->in = s->aside;
    ask_with_engines(s, type, content, "");
    s->in = in;
}

#define FULL                                                                                  \
    ERROR("StoreFull", "the memory store of task records is full, changes wait until it has " \
                       "room: no space left; ask again then")

static const char *const unsure[][2] = {
    {"history_request", "history_reply"},
    {"db_request", "db_reply"},
    {"purge_request", "purge_reply"},
    {"resubmit_request", "resubmit_reply"},
};

static void expect_all(struct seat *s)
{
    for (size_t i = 0; i < sizeof(unsure) / sizeof(unsure[0]); i++)
        expect_answer(s, unsure[i][1], FULL);
}

static void test_answers_while_full(void **state)
{
    static const char known[] = "{\"msg_ids\": [\"a\"], \"status_only\": true}",
                      behind[] = "{\"msg_ids\": [\"b\"], \"status_only\": true}",
                      content[] = "{\"msg_ids\": [\"a\"]}";
    static const char done[] = "{\"completed\":[\"a\"],\"pending\":[],\"status\":\"ok\"}";
    struct seat s;
    struct store_ops ops;
    open_full(&s, &ops);
    request(&s, 't', "a", NULL, NULL);
    result(&s, 't', "a", "e0", "{\"status\": \"ok\"}", NULL);
    become(&s, true);
    request(&s, 't', "b", NULL, NULL); /* nobody hears of it */
    ask_with_engines(&s, "result_request", known, "");
    expect_answer(&s, "result_reply", done);
    ask_with_engines(&s, "result_request", behind, "");
    expect_answer(&s, "result_reply", FULL);
    for (size_t i = 0; i < sizeof(unsure) / sizeof(unsure[0]); i++)
        ask_with_engines(&s, unsure[i][0], "{\"msg_ids\": [\"a\"]}", "");
    expect_all(&s);
    /* The same for what comes another way, since the ring has no room. */
    ask_aside(&s, "result_request", known);
    expect_answer(&s, "result_reply", done);
    ask_aside(&s, "result_request", behind);
    expect_answer(&s, "result_reply", FULL);
    for (size_t i = 0; i < sizeof(unsure) / sizeof(unsure[0]); i++)
        ask_aside(&s, unsure[i][0], "{\"msg_ids\": [\"a\"]}");
    expect_all(&s);
    ask_aside(&s, "result_request", content);
    mail_free(await(&s));
    become(&s, false);
    /* What was answered is not answered again, and what waited is known. */
    ask(&s, "history_request", "{}", "history_reply",
        "{\"history\":[\"a\",\"nudge\",\"b\"],\"status\":\"ok\"}");
    ask(&s, "result_request", behind, "result_reply",
        "{\"completed\":[],\"pending\":[\"b\"],\"status\":\"ok\"}");
    close_seat(&s);
}

/* It was sent aside because the ring was stalled; what it is about is in the ring still. */
static void test_aside_is_never_sure(void **state)
{
    struct seat s;
    struct store_ops ops;
    open_full(&s, &ops);
    ask_aside(&s, "history_request", "{}");
    expect_answer(&s, "history_reply",
                  ERROR("StoreFull", "the memory store of task records is full, changes wait "
                                     "until it has room; ask again then"));
    close_seat(&s);
}

static void test_end_while_full(void **state)
{
    struct seat s;
    struct store_ops ops;
    open_full(&s, &ops);
    become(&s, true);
    request(&s, 't', "b", NULL, NULL);
    close_seat(&s);
}

static bool has_file(const char *path, const char *content)
{
    char octets[64];
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(octets, 1, sizeof(octets), f) : 0;
    if (f)
        fclose(f);
    return n == strlen(content) && memcmp(octets, content, n) == 0;
}

static void write_file(struct seat *s, const char *path, const char *content)
{
    struct frame f = frame_of(content);
    struct letter l = {.type = MAIL_FILE, .peer = text(path), .frames = &f, .n = 1};
    post(s, mail_new(NULL, &l));
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    while (!has_file(path, content)) {
        assert_true(clock_mono_ms() < until);
        nap();
    }
}

/* It may be on another disk, or the database in another house. */
static void test_files_while_full(void **state)
{
    char path[] = "/tmp/ersa-hold-XXXXXX";
    struct seat s;
    struct store_ops ops;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    open_full(&s, &ops);
    become(&s, true);
    request(&s, 't', "b", NULL, NULL);
    write_file(&s, path, "one");
    write_file(&s, path, "two");
    become(&s, false);
    ask(&s, "history_request", "{}", "history_reply",
        "{\"history\":[\"nudge\",\"b\"],\"status\":\"ok\"}");
    assert_true(has_file(path, "two"));
    close_seat(&s);
    unlink(path);
}

static int fail_to_drop(struct store *st, struct slice msg_id, struct ersa_error *err)
{
    *err = (struct ersa_error){.code = ERSA_EIO, .text = "no luck"};
    return ERSA_EIO;
}

/* Nobody is told that something is gone when it is not. */
static void test_purge_that_fails(void **state)
{
    struct seat s;
    struct store_ops ops;
    open_full(&s, &ops);
    request(&s, 't', "a", NULL, NULL);
    result(&s, 't', "a", "e0", "{\"status\": \"ok\"}", NULL);
    ask(&s, "history_request", "{}", "history_reply",
        "{\"history\":[\"a\"],\"status\":\"ok\"}");
    ops.drop = fail_to_drop;
    ask(&s, "purge_request", "{\"msg_ids\": [\"a\"]}", "purge_reply",
        ERROR("RuntimeError", "no luck"));
    ask(&s, "purge_request", "{\"msg_ids\": \"all\"}", "purge_reply",
        ERROR("RuntimeError", "no luck"));
    ask(&s, "result_request", "{\"msg_ids\": [\"a\"], \"status_only\": true}", "result_reply",
        "{\"completed\":[\"a\"],\"pending\":[],\"status\":\"ok\"}");
    close_seat(&s);
}

static struct records *slow_ones;
static atomic_int n_histories;

/* Takes until the end. */
static int slow_history(struct store *st, void (*fn)(void *ctx, struct slice msg_id), void *ctx,
                        struct ersa_error *err)
{
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    if (atomic_fetch_add(&n_histories, 1) == 0)
        while (!atomic_load(&slow_ones->is_ending) && clock_mono_ms() < until)
            nap();
    return 0;
}

/* A database that is slow, or has a lock on it, and a crowd that has asked: the end does not
 * wait for answers that nobody reads. */
static void test_end_while_many_ask(void **state)
{
    struct seat s;
    struct store_ops ops;
    open_full(&s, &ops);
    ops.history = slow_history;
    slow_ones = s.records;
    atomic_store(&n_histories, 0);
    for (int i = 0; i < 30; i++)
        ask_with_engines(&s, "history_request", "{}", "");
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    while (atomic_load(&n_histories) == 0) {
        assert_true(clock_mono_ms() < until);
        nap();
    }
    close_seat(&s);
    assert_int_equal(atomic_load(&n_histories), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_while_full), cmocka_unit_test(test_aside_is_never_sure),
        cmocka_unit_test(test_files_while_full),   cmocka_unit_test(test_end_while_full),
        cmocka_unit_test(test_purge_that_fails),   cmocka_unit_test(test_end_while_many_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
