/* SPDX-License-Identifier: BSD-3-Clause */
/* The in-place JSON reader against jansson: where both have an opinion it must be the same.
 * jscan lets through octets that are not UTF-8, NaN, infinities, halves of surrogate pairs and
 * numbers of any size; there json_parse(), which repairs those, is asked. It refuses what is
 * nested deeper than JSCAN_DEPTH_MAX.
 *
 * jscan_some() against jscan(): it says what that says of the text up to the last value that it
 * was asked for, and of the whole text where it has not found all. */
#include <string.h>

#include "ersa/error.h"
#include "fuzz.h"
#include "wire/jscan.h"
#include "wire/json.h"

#define TEXT_MAX 4096

static const char *const keys[] = {"msg_id", "msg_type", "a", "b", "session", "targets"};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

static unsigned depth_of(const json_t *j)
{
    unsigned deepest = 0;
    size_t i;
    const char *key;
    json_t *value;
    if (json_is_array(j)) {
        json_array_foreach(j, i, value)
        {
            unsigned d = depth_of(value);
            deepest = d > deepest ? d : deepest;
        }
        return deepest + 1;
    }
    if (!json_is_object(j))
        return 0;
    json_object_foreach((json_t *)j, key, value)
    {
        unsigned d = depth_of(value);
        deepest = d > deepest ? d : deepest;
    }
    return deepest + 1;
}

static enum jtype type_of(const json_t *j)
{
    if (!j)
        return J_ABSENT;
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        return J_OBJECT;
    case JSON_ARRAY:
        return J_ARRAY;
    case JSON_STRING:
        return J_STRING;
    case JSON_INTEGER:
    case JSON_REAL:
        return J_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return J_BOOL;
    default:
        return J_NULL;
    }
}

static void compare(const struct jfield *f, const json_t *j);

static void compare_array(const struct jfield *f, const json_t *j)
{
    struct jfield element = {0};
    size_t pos = 0, n = 0;
    while (jscan_next(f, &pos, &element))
        compare(&element, json_array_get(j, n++));
    FUZZ_CHECK(n == json_array_size(j));
}

static void compare(const struct jfield *f, const json_t *j)
{
    char text[TEXT_MAX];
    struct slice s;
    double number = 0;
    bool truth = false;
    FUZZ_CHECK(f->type == type_of(j));
    FUZZ_CHECK((jscan_bool(f, &truth) == 0) == json_is_boolean(j));
    FUZZ_CHECK(truth == json_is_true(j));
    if (jscan_string(f, text, sizeof(text), &s) == 0) {
        FUZZ_CHECK(s.len == json_string_length(j));
        FUZZ_CHECK(s.len == 0 || memcmp(s.data, json_string_value(j), s.len) == 0);
    } else {
        FUZZ_CHECK(f->type != J_STRING || f->raw.len > sizeof(text));
    }
    if (jscan_number(f, &number) == 0) {
        double want = json_number_value(j);
        FUZZ_CHECK(number >= want &&
                   number <= want); /* an integer of 64 bits is rounded alike */
    }
    if (f->type == J_ARRAY)
        compare_array(f, j);
}

/* What stops early */

static bool is_same(const struct jfield *a, const char *text_a, const struct jfield *b,
                    const char *text_b)
{
    if (a->type != b->type || a->type == J_ABSENT)
        return a->type == b->type;
    return a->raw.len == b->raw.len && a->raw.data - text_a == b->raw.data - text_b &&
           a->escaped == b->escaped;
}

/* Where the last of the values ends; 0: not all of them are there. */
static size_t end_of(const struct jfield *fields, unsigned n, struct slice text)
{
    size_t end = 0;
    for (unsigned i = 0; i < n; i++) {
        if (fields[i].type == J_ABSENT)
            return 0;
        size_t at = (size_t)(fields[i].raw.data - text.data) + fields[i].raw.len;
        at += fields[i].type == J_STRING; /* its quote */
        FUZZ_CHECK(at <= text.len);
        end = at > end ? at : end;
    }
    return end;
}

static void compare_some(struct slice text, unsigned first, unsigned n)
{
    struct jfield some[N_KEYS], all[N_KEYS];
    for (unsigned i = 0; i < n; i++)
        some[i] = all[i] = (struct jfield){.key = keys[first + i]};
    int rc = jscan_some(text, some, n);
    size_t end = end_of(some, n, text);
    char *front = malloc(end + 1);
    FUZZ_CHECK(front && (rc == 0 || !end));
    if (end) {
        memcpy(front, text.data, end);
        front[end] = '}';
    }
    struct slice read = end ? (struct slice){front, end + 1} : text;
    FUZZ_CHECK(jscan(read, all, n) == rc);
    for (unsigned i = 0; i < n; i++)
        FUZZ_CHECK(is_same(&some[i], text.data, &all[i], read.data));
    free(front);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jfield fields[N_KEYS];
    struct slice text = {(const char *)data, size};
    json_error_t why;
    for (size_t i = 0; i < N_KEYS; i++)
        fields[i] = (struct jfield){.key = keys[i]};
    int rc = jscan(text, fields, N_KEYS);
    FUZZ_CHECK(rc == 0 || rc == ERSA_EPARSE);
    json_t *strict = NULL;
    if (!memchr(data, '\0', size)) /* jansson skips one behind a number */
        strict = json_loadb(text.data, text.len, JSON_ALLOW_NUL, &why);
    if (json_is_object(strict)) {
        FUZZ_CHECK((rc == 0) == (depth_of(strict) <= JSCAN_DEPTH_MAX));
        for (size_t i = 0; i < N_KEYS && rc == 0; i++)
            compare(&fields[i], json_object_get(strict, keys[i]));
    }
    json_t *loose = json_parse(text, NULL);
    if (rc == 0) {
        FUZZ_CHECK(json_is_object(loose));
    } else {
        FUZZ_CHECK(!json_is_object(loose) || depth_of(loose) > JSCAN_DEPTH_MAX);
        for (size_t i = 0; i < N_KEYS; i++)
            FUZZ_CHECK(fields[i].type == J_ABSENT && fields[i].key == keys[i]);
    }
    for (unsigned i = 0; i < N_KEYS; i++)
        compare_some(text, i, 1);
    compare_some(text, 0, 2);
    compare_some(text, 2, 3);
    json_decref(strict);
    json_decref(loose);
    return 0;
}
