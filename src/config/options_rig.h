/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of options share: options of a program, words parsed, and what is refused.
 * Only tests include it. */
#ifndef ERSA_CONFIG_OPTIONS_RIG_H
#define ERSA_CONFIG_OPTIONS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/options.h"
#include "config/test_dir.h"

static inline struct options *fresh(enum program program)
{
    struct options *o = NULL;
    struct ersa_error err = {0};
    assert_int_equal(options_new(&o, program, &err), 0);
    return o;
}

/* Parses words that end with NULL. */
static inline int parse(struct options *o, struct ersa_error *err, char *const *words)
{
    int n = 0;
    char *argv[32] = {"program"};
    while (words[n]) {
        argv[n + 1] = words[n];
        n++;
    }
    *err = (struct ersa_error){0};
    return options_parse_argv(o, n + 1, argv, err);
}
#define PARSE(o, err, ...) parse((o), (err), (char *[]){__VA_ARGS__, NULL})

struct refusal {
    const char *word;
    int code;         /* exit code */
    const char *text; /* part of the message */
};

static inline void refuses(enum program program, const struct refusal *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct options *o = fresh(program);
        struct ersa_error err;
        int rc = PARSE(o, &err, (char *)r[i].word);
        if (rc == 0 || options_exit_code(rc) != r[i].code || !strstr(err.text, r[i].text))
            fail_msg("%s: rc %d, '%s'", r[i].word, rc, err.text);
        options_free(o);
    }
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)

#endif
