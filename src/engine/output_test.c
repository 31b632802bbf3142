/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

#include <cmocka.h>

#include "engine/output.h"
#include "util/clock.h"

#define SEEN_MAX ((size_t)9 << 20)

struct fixture {
    struct loop *loop;
    struct output output;
    int fds[OUTPUT_MAX]; /* writing ends */
    unsigned pieces[OUTPUT_MAX];
    size_t len[OUTPUT_MAX];
    char *text[OUTPUT_MAX];
    int64_t now_ns;
};

static void on_text(void *ctx, enum output_stream which, struct slice text)
{
    struct fixture *f = ctx;
    f->pieces[which]++;
    if (f->len[which] + text.len < SEEN_MAX) {
        memcpy(f->text[which] + f->len[which], text.data, text.len);
        f->len[which] += text.len;
        f->text[which][f->len[which]] = '\0';
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int ends[OUTPUT_MAX][2];
    f->loop = loop_new();
    f->now_ns = 1000000000;
    loop_set_clock(f->loop, f->now_ns);
    for (int i = 0; i < OUTPUT_MAX; i++) {
        assert_int_equal(pipe2(ends[i], O_CLOEXEC), 0);
        f->fds[i] = ends[i][1];
        f->text[i] = calloc(1, SEEN_MAX);
    }
    assert_int_equal(output_open(&f->output, f->loop, ends[0][0], ends[1][0], on_text, f), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    output_close(&f->output);
    for (int i = 0; i < OUTPUT_MAX; i++) {
        if (f->fds[i] >= 0)
            close(f->fds[i]);
        free(f->text[i]);
    }
    loop_free(f->loop);
    free(f);
    return 0;
}

static void say(struct fixture *f, enum output_stream which, const char *text, size_t len)
{
    assert_int_equal(write(f->fds[which], text, len), (ssize_t)len);
}

static void advance(struct fixture *f, int64_t ms)
{
    f->now_ns += MS_TO_NS(ms);
    loop_set_clock(f->loop, f->now_ns);
    loop_turn(f->loop, 0);
}

static void test_drain_hands_on_what_was_written(void **state)
{
    struct fixture *f = *state;
    say(f, OUTPUT_STDOUT, "out\n", 4);
    say(f, OUTPUT_STDERR, "err\n", 4);
    output_drain(&f->output);
    assert_string_equal(f->text[OUTPUT_STDOUT], "out\n");
    assert_string_equal(f->text[OUTPUT_STDERR], "err\n");
    output_drain(&f->output);
    assert_int_equal(f->pieces[OUTPUT_STDOUT], 1); /* nothing new, nothing said */
}

static void test_pieces_are_joined_for_a_while(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++) {
        say(f, OUTPUT_STDOUT, "x", 1);
        advance(f, OUTPUT_PAUSE_MS + 1);
    }
    assert_int_equal(f->pieces[OUTPUT_STDOUT], 0);
    advance(f, OUTPUT_DELAY_MS);
    assert_int_equal(f->pieces[OUTPUT_STDOUT], 1);
    assert_string_equal(f->text[OUTPUT_STDOUT], "xxxxxxxxxx");
}

static void test_characters_stay_whole(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8d"; /* 1, 2, 3, 4 octets */
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        say(f, OUTPUT_STDOUT, text + i, 1);
        output_drain(&f->output);
        size_t n = f->len[OUTPUT_STDOUT];
        assert_true(n == 0 || n == 1 || n == 3 || n == 6 || n == 10);
    }
    assert_string_equal(f->text[OUTPUT_STDOUT], text);
    assert_int_equal(f->pieces[OUTPUT_STDOUT], 4);
}

static void test_what_is_no_utf8_passes(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"\xff", "\x80\x80\x80\x80", "\xc0\xaf", "\xf8\x88",
                                        "\xe2\x28\xa1"};
    size_t sum = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        say(f, OUTPUT_STDERR, texts[i], strlen(texts[i]));
        output_drain(&f->output);
        sum += strlen(texts[i]);
        assert_int_equal(f->len[OUTPUT_STDERR], sum);
    }
}

static void test_unfinished_character_at_the_end(void **state)
{
    struct fixture *f = *state;
    say(f, OUTPUT_STDOUT, "ab\xe2\x82", 4);
    output_drain(&f->output);
    assert_string_equal(f->text[OUTPUT_STDOUT], "ab");
    output_close(&f->output);
    assert_string_equal(f->text[OUTPUT_STDOUT], "ab\xe2\x82");
}

/* Bounded, but few: what a client does with a piece it does to all that it has. */
static void test_much_comes_in_bounded_pieces(void **state)
{
    struct fixture *f = *state;
    char block[4096];
    memset(block, 'm', sizeof(block));
    fcntl(f->fds[0], F_SETFL, O_NONBLOCK);
    size_t sent = 0;
    while (sent < 8 << 20) {
        ssize_t n = write(f->fds[0], block, sizeof(block));
        if (n > 0)
            sent += (size_t)n;
        else
            advance(f, 1);
    }
    output_drain(&f->output);
    assert_int_equal(f->len[OUTPUT_STDOUT], sent);
    assert_in_range(f->pieces[OUTPUT_STDOUT], sent / (2 * OUTPUT_PIECE), 8);
}

static void test_held_back(void **state)
{
    struct fixture *f = *state;
    output_hold(&f->output, true);
    say(f, OUTPUT_STDOUT, "later", 5);
    for (int i = 0; i < 5; i++)
        advance(f, OUTPUT_DELAY_MS);
    assert_int_equal(f->len[OUTPUT_STDOUT], 0);
    output_hold(&f->output, false);
    advance(f, 1);
    advance(f, OUTPUT_DELAY_MS + 1);
    assert_string_equal(f->text[OUTPUT_STDOUT], "later");
}

static void test_one_stream_closed(void **state)
{
    struct fixture *f = *state;
    close(f->fds[OUTPUT_STDERR]);
    f->fds[OUTPUT_STDERR] = -1;
    advance(f, 1);
    say(f, OUTPUT_STDOUT, "on", 2);
    output_drain(&f->output);
    assert_string_equal(f->text[OUTPUT_STDOUT], "on");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_drain_hands_on_what_was_written),
        TEST(test_pieces_are_joined_for_a_while),
        TEST(test_characters_stay_whole),
        TEST(test_what_is_no_utf8_passes),
        TEST(test_unfinished_character_at_the_end),
        TEST(test_much_comes_in_bounded_pieces),
        TEST(test_held_back),
        TEST(test_one_stream_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
