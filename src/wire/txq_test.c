/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue against a plain copy: whole, in parts, rewound. */
#include "wire/txq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/rand.h"
#include "wire/zmtp.h"

static uint8_t seen[1 << 22];
static size_t n_seen;

/* Takes `max` octets out, as a socket would. */
static void take(struct txq *q, struct chunk_pool *p, size_t max)
{
    struct iovec iov[8];
    size_t got = 0;
    unsigned n = txq_peek(q, iov, 8);
    for (unsigned i = 0; i < n && got < max; i++) {
        size_t k = iov[i].iov_len < max - got ? iov[i].iov_len : max - got;
        memcpy(seen + n_seen, iov[i].iov_base, k);
        n_seen += k;
        got += k;
    }
    txq_advance(q, p, got);
}

static uint8_t expected[1 << 22];
static size_t n_expected;

static void put(struct txq *q, struct chunk_pool *p, struct block_pool *blocks, unsigned n)
{
    struct frame frames[8];
    static uint8_t smalls[8][5000], count;
    for (unsigned i = 0; i < n; i++) {
        size_t len = rand_u64() % 8 ? rand_u64() % 300 : rand_u64() % 5000;
        struct block *b = rand_u64() % 5 ? NULL : block_get(blocks, WIRE_COPY_MAX + 5);
        uint8_t *small = smalls[i];
        small[0] = ++count;
        if (b)
            memset(b->data, small[0], WIRE_COPY_MAX + 5);
        frames[i] = b ? (struct frame){b->data, WIRE_COPY_MAX + 5, b}
                      : (struct frame){small, len, NULL};
        n_expected +=
            zmtp_put_head(expected + n_expected, i + 1 < n ? ZMTP_MORE : 0, frames[i].len);
        memcpy(expected + n_expected, frames[i].data, frames[i].len);
        n_expected += frames[i].len;
    }
    assert_int_equal(txq_put(q, p, frames, n), 0);
    for (unsigned i = 0; i < n; i++)
        block_unref(frames[i].block);
}

static void test_what_goes_in_comes_out(void **state)
{
    struct txq q = {0};
    struct block_pool *blocks = block_pool_new(1 << 20, false);
    struct chunk_pool p = {.blocks = blocks};
    n_seen = n_expected = 0;
    for (int i = 0; i < 60; i++) {
        put(&q, &p, blocks, 1 + (unsigned)(rand_u64() % 5));
        if (rand_u64() % 2)
            take(&q, &p, rand_u64() % 90000);
        assert_int_equal(q.bytes, n_expected - n_seen);
    }
    while (q.bytes)
        take(&q, &p, 1 + rand_u64() % 50000);
    assert_int_equal(n_seen, n_expected);
    assert_memory_equal(seen, expected, n_seen);
    assert_int_equal(block_pool_used(blocks), 0);
    txq_fini(&q, &p);
    chunk_pool_fini(&p);
    block_pool_free(blocks);
}

static void test_rewind_starts_the_message_again(void **state)
{
    struct txq q = {0}, other = {0};
    struct chunk_pool p = {0};
    struct frame one[] = {FRAME_LIT("first"), FRAME_LIT("message")},
                 two[] = {FRAME_LIT("second")};
    n_seen = 0;
    txq_put(&q, &p, one, 2);
    txq_put(&q, &p, two, 1);
    size_t all = q.bytes;
    take(&q, &p, 7 + 9 + 3); /* the first message and three octets of the second */
    txq_rewind(&q);
    assert_int_equal(q.bytes, 8);
    txq_put(&other, &p, one, 2);
    assert_int_equal(txq_move(&other, &q), 0);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(other.bytes, all);
    n_seen = 0;
    take(&other, &p, 5);
    txq_rewind(&other);
    n_seen = 0;
    while (other.bytes)
        take(&other, &p, 100);
    assert_memory_equal(seen,
                        "\x01\x05"
                        "first\0\x07message\0\x06second",
                        all);
    txq_fini(&q, &p);
    txq_fini(&other, &p);
    chunk_pool_fini(&p);
}

static void test_large_frame_without_a_block_gets_one(void **state)
{
    static uint8_t data[200000];
    struct txq q = {0};
    struct block_pool *blocks = block_pool_new(0, false);
    struct chunk_pool p = {.blocks = blocks};
    memset(data, 5, sizeof(data));
    n_seen = 0;
    assert_int_equal(txq_put(&q, &p, &(struct frame){data, sizeof(data), NULL}, 1), 0);
    memset(data, 6, sizeof(data));
    assert_true(block_pool_used(blocks) >= sizeof(data));
    assert_int_equal(q.n, 2);
    while (q.bytes)
        take(&q, &p, 70000);
    memset(data, 5, sizeof(data));
    assert_memory_equal(seen + 9, data, sizeof(data));
    assert_int_equal(block_pool_used(blocks), 0);
    txq_fini(&q, &p);
    chunk_pool_fini(&p);
    block_pool_free(blocks);
}

static void test_raw(void **state)
{
    struct txq q = {0};
    struct chunk_pool p = {0};
    n_seen = 0;
    assert_int_equal(txq_put_raw(&q, &p, "\x04\x05\x04PONG", 7), 0);
    assert_int_equal(txq_put_raw(&q, &p, "", 0), 0);
    take(&q, &p, 3);
    take(&q, &p, 100);
    assert_memory_equal(seen, "\x04\x05\x04PONG", 7);
    txq_fini(&q, &p);
    chunk_pool_fini(&p);
}

/* What the test knows of a queue among many: each octet is its number. */
struct among {
    struct txq q;
    size_t queued; /* octets, with heads */
    uint8_t mark;
};

static void take_some(struct among *a, struct chunk_pool *p, size_t max)
{
    struct iovec iov[8];
    size_t got = 0;
    unsigned n = txq_peek(&a->q, iov, 8);
    for (unsigned i = 0; i < n && got < max; i++) {
        const uint8_t *data = iov[i].iov_base;
        size_t k = iov[i].iov_len < max - got ? iov[i].iov_len : max - got;
        for (size_t j = 0; j < k; j++) /* heads are 0 and a length, which is `mark` as well */
            assert_true(data[j] == a->mark || data[j] == 0);
        got += k;
    }
    a->queued -= got;
    txq_advance(&a->q, p, got);
}

static void test_queues_side_by_side(void **state)
{
    enum { N = 50 };
    static struct among all[N];
    struct chunk_pool p = {0};
    uint8_t data[N];
    for (unsigned i = 0; i < N; i++)
        all[i] = (struct among){.mark = (uint8_t)(i + 1)};
    for (int turn = 0; turn < 20000; turn++) {
        struct among *a = &all[rand_u64() % N];
        memset(data, a->mark, a->mark);
        if (rand_u64() % 3) {
            assert_int_equal(txq_put(&a->q, &p, &(struct frame){data, a->mark, NULL}, 1), 0);
            a->queued += 2u + a->mark;
        } else {
            take_some(a, &p, rand_u64() % 2 ? SIZE_MAX : rand_u64() % 100);
        }
        assert_int_equal(a->q.bytes, a->queued);
    }
    for (unsigned i = 0; i < N; i++) {
        while (all[i].q.bytes)
            take_some(&all[i], &p, SIZE_MAX);
        assert_int_equal(all[i].queued, 0);
        txq_fini(&all[i].q, &p);
    }
    chunk_pool_fini(&p);
}

/* A ping for each of a thousand engines. */
static void test_one_message_each_takes_little_memory(void **state)
{
    enum { N = 1000 };
    const struct frame beat = FRAME_LIT("hb 12345.678");
    static struct txq q[N];
    struct chunk_pool p = {0};
    const struct chunk *last = NULL;
    unsigned chunks = 0;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(txq_put(&q[i], &p, &beat, 1), 0);
            chunks += q[i].segs[q[i].first].chunk != last;
            last = q[i].segs[q[i].first].chunk;
        }
        for (unsigned i = 0; i < N; i++)
            txq_advance(&q[i], &p, q[i].bytes);
    }
    assert_true(chunks <= 2);
    for (unsigned i = 0; i < N; i++)
        txq_fini(&q[i], &p);
    chunk_pool_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_rewind_starts_the_message_again),
        cmocka_unit_test(test_large_frame_without_a_block_gets_one),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_queues_side_by_side),
        cmocka_unit_test(test_one_message_each_takes_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
