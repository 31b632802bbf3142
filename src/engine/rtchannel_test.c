/* SPDX-License-Identifier: BSD-3-Clause */
/* What travels through the channel: messages, large parts, blocks, their ends. */
#include "engine/rtchannel_rig.h"

static void test_small_message_as_it_travels(void **state)
{
    struct fixture *f = *state;
    const struct frame parts[] = {FRAME_LIT("apply_request"), FRAME_LIT(""), FRAME_LIT("xyz")};
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, parts, 3), 0);
    struct rt_head head;
    struct rt_part table[3];
    char text[17] = "";
    fake_read(f, &head, sizeof(head));
    fake_read(f, table, sizeof(table));
    fake_read(f, text, 16);
    assert_int_equal(head.type, RT_RUN);
    assert_int_equal(head.n_parts, 3);
    assert_int_equal(head.inline_bytes, 16);
    assert_int_equal(table[0].len, 13);
    assert_int_equal(table[1].len, 0);
    assert_int_equal(table[2].len, 3);
    assert_int_equal(table[0].block | table[1].block | table[2].block, 0);
    assert_string_equal(text, "apply_requestxyz");
}

static struct rt_part read_large(struct fixture *f, bool announced, uint32_t *ret_id)
{
    struct rt_head head;
    struct rt_part part;
    uint64_t cap;
    fake_read(f, &head, sizeof(head));
    assert_int_equal(head.type, announced ? RT_BLOCK : RT_RUN);
    if (announced) {
        fake_read(f, &part, sizeof(part));
        fake_read(f, ret_id, sizeof(*ret_id));
        fake_read(f, &cap, sizeof(cap));
        assert_true(cap >= LARGE);
        assert_true(f->received_fd >= 0);
        fake_read(f, &head, sizeof(head));
        assert_int_equal(head.type, RT_RUN);
    }
    assert_int_equal(head.inline_bytes, 0);
    fake_read(f, &part, sizeof(part));
    return part;
}

static void test_large_part_is_lent(void **state)
{
    struct fixture *f = *state;
    struct block *b = block_get(f->pool, LARGE);
    b->data[7] = 42;
    struct frame part = {b->data, LARGE, b};
    uint32_t id = 0;
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, &part, 1), 0);
    struct rt_part seen = read_large(f, true, &id);
    assert_int_equal(seen.len, LARGE);
    assert_int_equal(seen.block, id);
    uint8_t *mapped = mmap(NULL, LARGE, PROT_READ, MAP_SHARED, f->received_fd, 0);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    assert_int_equal(mapped[7], 42);
    b->data[8] = 43; /* the same memory, not a copy */
    assert_int_equal(mapped[8], 43);
    munmap(mapped, LARGE);

    block_unref(b);
    assert_true(block_pool_used(f->pool) > 0); /* lent */
    struct message m = release_message(id);
    fake_say(f, &m, -1);
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    while (block_pool_used(f->pool) && clock_mono_ms() < deadline)
        loop_turn(f->loop, 10);
    assert_int_equal(block_pool_used(f->pool), 0);

    struct block *again = block_get(f->pool, LARGE);
    assert_ptr_equal(again, b);
    part = (struct frame){again->data, LARGE, again};
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, &part, 1), 0);
    seen = read_large(f, false, NULL); /* it is known */
    assert_int_equal(seen.block, id);
    block_unref(again);
}

static void test_large_part_elsewhere_is_copied(void **state)
{
    struct fixture *f = *state;
    uint8_t *memory = malloc(LARGE);
    memset(memory, 9, LARGE);
    struct frame part = {memory, LARGE, NULL};
    uint32_t id;
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, &part, 1), 0);
    read_large(f, true, &id);
    uint8_t last = 0;
    assert_int_equal(pread(f->received_fd, &last, 1, LARGE - 1), 1);
    assert_int_equal(last, 9);
    free(memory);
}

static void test_what_is_lent_is_lent_once(void **state)
{
    struct fixture *f = *state;
    struct block *b = block_get(f->pool, LARGE);
    struct frame parts[] = {{b->data, LARGE, b}, {b->data, LARGE, b}};
    b->data[0] = 5;
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, parts, 2), 0);
    struct message first, second;
    fake_read(f, first.octets, sizeof(struct rt_head) + sizeof(struct rt_part) + 12);
    fake_read(f, second.octets, sizeof(struct rt_head) + sizeof(struct rt_part) + 12);
    struct rt_head head;
    struct rt_part table[2];
    fake_read(f, &head, sizeof(head));
    fake_read(f, table, sizeof(table));
    assert_int_not_equal(table[0].block, table[1].block);
    uint8_t copy = 0;
    assert_int_equal(pread(f->received_fd, &copy, 1, 0), 1);
    assert_int_equal(copy, 5);
    block_unref(b);
}

static void test_numbers_are_used_again(void **state)
{
    struct fixture *f = *state;
    struct lender l;
    struct block *blocks[2 * LEND_KEEP];
    bool announce;
    lender_init(&l);
    for (unsigned i = 0; i < 2 * LEND_KEEP; i++) {
        blocks[i] = block_get(f->pool, LARGE);
        uint32_t number = lender_lend(&l, blocks[i], &announce);
        assert_true(announce);
        assert_in_range(number, 1, LEND_KEEP);
        assert_int_equal(lender_back(&l, number), 0);
        assert_int_equal(lender_back(&l, number), ERSA_EPROTO);
    }
    lender_lend(&l, blocks[2 * LEND_KEEP - 1], &announce);
    assert_false(announce);
    lender_lend(&l, blocks[0], &announce); /* its number went to another one */
    assert_true(announce);
    lender_fini(&l);
    for (unsigned i = 0; i < 2 * LEND_KEEP; i++)
        block_unref(blocks[i]);
}

/* More small octets than one message may have inline. */
static void test_many_parts(void **state)
{
    struct fixture *f = *state;
    enum { N = 1200, LEN = 60000 };
    struct frame *parts = calloc(N, sizeof(*parts));
    uint8_t *memory = calloc(1, LEN);
    for (int i = 0; i < N; i++)
        parts[i] = (struct frame){memory, LEN, NULL};
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, parts, N), 0);
    struct rt_head head;
    unsigned n_blocks = 0;
    for (;; n_blocks++) {
        uint8_t rest[sizeof(struct rt_part) + 12];
        fake_read(f, &head, sizeof(head));
        if (head.type != RT_BLOCK)
            break;
        fake_read(f, rest, sizeof(rest));
    }
    assert_int_equal(head.type, RT_RUN);
    assert_int_equal(head.n_parts, N);
    assert_true(head.inline_bytes <= RT_INLINE_MAX);
    assert_int_equal(head.inline_bytes + n_blocks * (uint64_t)LEN, (uint64_t)N * LEN);
    uint8_t *all = malloc(N * sizeof(struct rt_part) + head.inline_bytes);
    fake_read(f, all, N * sizeof(struct rt_part) + head.inline_bytes);
    free(all);
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, parts, RT_PARTS_MAX + 1), ERSA_EFULL);
    free(parts);
    free(memory);
}

static uint32_t read_release(struct fixture *f)
{
    struct rt_head head;
    struct rt_part part;
    uint32_t id;
    fake_read(f, &head, sizeof(head));
    assert_int_equal(head.type, RT_RELEASE);
    fake_read(f, &part, sizeof(part));
    fake_read(f, &id, sizeof(id));
    return id;
}

static void test_block_of_the_runtime(void **state)
{
    struct fixture *f = *state;
    announce(f, 17, LARGE, 'x');
    struct message m = reply_in_block(17, LARGE);
    fake_say(f, &m, -1);
    wait_for(f, &f->n_messages, 1);
    assert_int_equal(f->n_parts, 2);
    assert_memory_equal(f->first, "id", 2);
    assert_int_equal(read_release(f), 17); /* nobody kept it */

    f->keep = true;
    fake_say(f, &m, -1);
    wait_for(f, &f->n_messages, 2);
    assert_non_null(f->kept);
    assert_int_equal(f->kept->data[0], 'x');
    loop_turn(f->loop, 0);
    assert_false(readable(f->fd));
    block_unref(f->kept);
    f->kept = NULL;
    assert_int_equal(read_release(f), 17);

    announce(f, 17, 2 * LARGE, 'y'); /* a larger one under the same id */
    m = reply_in_block(17, 2 * LARGE);
    fake_say(f, &m, -1);
    wait_for(f, &f->n_messages, 3);
    assert_int_equal(f->kept->data[0], 'y');
    assert_int_equal(f->n_closed, 0);
}

static void test_block_outlives_the_channel(void **state)
{
    struct fixture *f = *state;
    announce(f, 1, LARGE, 'z');
    struct message m = reply_in_block(1, LARGE);
    f->keep = true;
    fake_say(f, &m, -1);
    wait_for(f, &f->n_messages, 1);
    rtchannel_fini(&f->channel);
    assert_int_equal(f->kept->data[0], 'z');
    block_unref(f->kept);
    f->kept = NULL;
}

static void test_octet_by_octet(void **state)
{
    struct fixture *f = *state;
    struct message m = with_head(RT_LOG, 2, 4);
    put_part(&m, 2, 0);
    put_part(&m, 2, 0);
    put(&m, "20hi", 4);
    for (size_t i = 0; i < m.len; i++) {
        assert_int_equal(f->n_messages, 0);
        fake_send(f, m.octets + i, 1, -1);
        loop_turn(f->loop, 1000);
    }
    wait_for(f, &f->n_messages, 1);
    assert_int_equal(f->type, RT_LOG);
    assert_int_equal(f->first_len, 2);
}

static void test_held(void **state)
{
    struct fixture *f = *state;
    struct message m = with_head(RT_EXIT, 0, 0);
    rtchannel_hold(&f->channel, true);
    fake_say(f, &m, -1);
    for (int i = 0; i < 5; i++)
        loop_turn(f->loop, 1);
    assert_int_equal(f->n_messages, 0);
    rtchannel_hold(&f->channel, false);
    wait_for(f, &f->n_messages, 1);
}

static void test_read_out(void **state)
{
    struct fixture *f = *state;
    struct message m = with_head(RT_EXIT, 0, 0);
    for (int i = 0; i < 3; i++)
        fake_say(f, &m, -1);
    rtchannel_read_out(&f->channel);
    assert_int_equal(f->n_messages, 3);
    assert_int_equal(f->n_closed, 1);
    assert_string_equal(f->why, "");
    assert_int_equal(rtchannel_send(&f->channel, RT_SHUTDOWN, NULL, 0), ERSA_ECLOSED);
}

static void test_end(void **state)
{
    struct fixture *f = *state;
    close(f->fd);
    f->fd = -1;
    wait_for(f, &f->n_closed, 1);
    assert_string_equal(f->why, "");
}

static void test_torn_message(void **state)
{
    struct fixture *f = *state;
    struct message m = reply_in_block(0, 5);
    fake_send(f, m.octets, 20, -1);
    close(f->fd);
    f->fd = -1;
    wait_for(f, &f->n_closed, 1);
    assert_string_equal(f->why, "half a message");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_small_message_as_it_travels),
        TEST(test_large_part_is_lent),
        TEST(test_large_part_elsewhere_is_copied),
        TEST(test_what_is_lent_is_lent_once),
        TEST(test_numbers_are_used_again),
        TEST(test_many_parts),
        TEST(test_block_of_the_runtime),
        TEST(test_block_outlives_the_channel),
        TEST(test_octet_by_octet),
        TEST(test_held),
        TEST(test_read_out),
        TEST(test_end),
        TEST(test_torn_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
