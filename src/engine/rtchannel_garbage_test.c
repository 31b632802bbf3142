/* SPDX-License-Identifier: BSD-3-Clause */
/* Garbage: each ends the channel with its reason, and nothing of it is delivered. */
#include "engine/rtchannel_rig.h"

static void expect_end(struct fixture *f, const char *why)
{
    wait_for(f, &f->n_closed, 1);
    assert_string_equal(f->why, why);
    assert_int_equal(f->n_messages, 0);
}

/* A channel of its own hears `m`. */
static void garbage(const struct message *m, const char *why)
{
    void *own;
    setup(&own);
    fake_say(own, m, -1);
    expect_end(own, why);
    teardown(&own);
}

static void test_garbage_heads(void **state)
{
    static const struct {
        uint32_t type, n_parts;
        uint64_t inline_bytes;
        const char *why;
    } rows[] = {
        {0, 0, 0, "an unknown type of message"},
        {0x3e3e3e3e, 0x3e3e3e3e, 0x3e3e3e3e3e3e3e3e, "an unknown type of message"},
        {RT_RUN, 0, 0, "an unknown type of message"},
        {RT_REPLY, RT_PARTS_MAX + 1, 0, "a message over the bounds"},
        {RT_REPLY, 0xffffffff, 0, "a message over the bounds"},
        {RT_REPLY, 1, RT_INLINE_MAX + 1, "a message over the bounds"},
        {RT_REPLY, 0, UINT64_MAX, "a message over the bounds"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message m = with_head(rows[i].type, rows[i].n_parts, rows[i].inline_bytes);
        garbage(&m, rows[i].why);
    }
}

static struct message odd_reserved(void)
{
    struct message m = with_head(RT_REPLY, 1, 0);
    struct rt_part p = {0, 0, 1};
    put(&m, &p, sizeof(p));
    return m;
}

static struct message wrong_sum(void)
{
    struct message m = with_head(RT_REPLY, 1, 3);
    put_part(&m, 2, 0);
    put(&m, "abc", 3);
    return m;
}

static struct message large_inline(void)
{
    struct message m = with_head(RT_REPLY, 1, RT_SHM_MIN);
    put_part(&m, RT_SHM_MIN, 0);
    return m;
}

static struct message unknown_block(void)
{
    return reply_in_block(4, LARGE);
}

static struct message foreign_release(void)
{
    return release_message(1);
}

static struct message odd_release(void)
{
    struct message m = with_head(RT_RELEASE, 1, 3);
    put_part(&m, 3, 0);
    put(&m, "abc", 3);
    return m;
}

static struct message odd_block(void)
{
    struct message m = with_head(RT_BLOCK, 1, 4);
    put_part(&m, 4, 0);
    put(&m, "abcd", 4);
    return m;
}

static struct message block_without_fd(void)
{
    return block_message(1, LARGE);
}

static void test_garbage_messages(void **state)
{
    static const struct {
        struct message (*make)(void);
        const char *why;
    } rows[] = {
        {odd_reserved, "a part with a reserved field that is not 0"},
        {wrong_sum, "a wrong sum of inline octets"},
        {large_inline, "a large part that is not in a block"},
        {unknown_block, "a part in a block that is unknown, too small or in use"},
        {foreign_release, "a RELEASE of what it does not have"},
        {odd_release, "a malformed RELEASE"},
        {odd_block, "a malformed BLOCK"},
        {block_without_fd, "a BLOCK without its descriptor"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message m = rows[i].make();
        garbage(&m, rows[i].why);
    }
}

/* A block of that size is announced with `fd`, which is no such thing. */
static void expect_useless(struct fixture *f, size_t size, int fd)
{
    struct message m = block_message(1, size);
    fake_say(f, &m, fd);
    close(fd);
    expect_end(f, "a BLOCK that can't be used");
}

static void test_block_smaller_than_it_says(void **state)
{
    expect_useless(*state, 2 * LARGE, make_memory(LARGE, 'a'));
}

static void test_descriptor_that_is_no_memory(void **state)
{
    expect_useless(*state, LARGE, open("/dev/null", O_RDWR | O_CLOEXEC));
}

static void test_part_longer_than_its_block(void **state)
{
    struct fixture *f = *state;
    announce(f, 1, LARGE, 'a');
    struct message m = reply_in_block(1, LARGE + 1);
    fake_say(f, &m, -1);
    expect_end(f, "a part in a block that is unknown, too small or in use");
}

static void test_block_used_twice(void **state)
{
    struct fixture *f = *state;
    announce(f, 1, LARGE, 'a');
    struct message m = with_head(RT_REPLY, 2, 0);
    put_part(&m, LARGE, 1);
    put_part(&m, LARGE, 1);
    fake_say(f, &m, -1);
    expect_end(f, "a part in a block that is unknown, too small or in use");
}

static void test_shrinking_memory_is_refused_or_harmless(void **state)
{
    struct fixture *f = *state;
    struct message m = block_message(1, LARGE);
    int fd = make_memory(LARGE, 'a');
    fake_say(f, &m, fd);
    struct message r = reply_in_block(1, LARGE);
    f->keep = true;
    fake_say(f, &r, -1);
    wait_for(f, &f->n_messages, 1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(f->kept->data[LARGE - 1], 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage_heads),
        cmocka_unit_test(test_garbage_messages),
        TEST(test_block_smaller_than_it_says),
        TEST(test_descriptor_that_is_no_memory),
        TEST(test_part_longer_than_its_block),
        TEST(test_block_used_twice),
        TEST(test_shrinking_memory_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
