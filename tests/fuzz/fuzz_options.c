/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of options from config files and from the command line.
 *
 * The first octet chooses the program (% 7) and, by 0x40, the form: words separated by newlines
 * as argv, or the JSON of a config file. */
#include <string.h>

#include "config/options_table.h"
#include "fuzz.h"

#define WORDS_MAX 32

static void set_from_json(struct options *o, struct slice text)
{
    json_t *j = json_parse(text, NULL), *traits, *value;
    const char *section, *trait;
    json_object_foreach(j, section, traits)
    {
        json_object_foreach(traits, trait, value)
        {
            struct ersa_error err = {0};
            int rc = options_set_json(o, section, trait, value, "file:1", &err);
            FUZZ_CHECK(rc == 0 || err.text[0]);
        }
    }
    json_decref(j);
}

static void set_from_argv(struct options *o, const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1), *words[WORDS_MAX + 2] = {"program"}, *save = NULL;
    int n = 1;
    struct ersa_error err = {0};
    FUZZ_CHECK(copy);
    memcpy(copy, data, size);
    copy[size] = '\0';
    for (char *w = strtok_r(copy, "\n", &save); w && n < WORDS_MAX;
         w = strtok_r(NULL, "\n", &save))
        words[n++] = w;
    int rc = options_parse_argv(o, n, words, &err);
    FUZZ_CHECK(rc == 0 || err.text[0]);
    FUZZ_CHECK(rc == 0 || options_exit_code(rc) > 0);
    free(copy);
}

/* Every value was checked when it was set. Those of the defaults are the same each time. */
static void check_value(const struct options *o, const struct option_def *d)
{
    char name[128];
    snprintf(name, sizeof(name), "%s.%s", d->cls, d->trait);
    bool is_ranged = d->min < d->max && options_is_set(o, name);
    double value = is_ranged ? d->min : 0;
    if (d->type == OPT_INT || d->type == OPT_BYTES || d->type == OPT_MS)
        value = (double)options_int(o, name);
    else if (d->type == OPT_FLOAT || d->type == OPT_SECONDS)
        value = options_float(o, name);
    if (is_ranged)
        FUZZ_CHECK(value >= d->min && value <= d->max);
    FUZZ_CHECK(options_where(o, name));
}

static void get_all(const struct options *o)
{
    static unsigned looked_at; /* programs */
    bool has_looked = looked_at & options_program(o);
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        const struct value *v = options_value(o, i);
        if (!(d->programs & options_program(o)) || (has_looked && v->origin == FROM_DEFAULT))
            continue;
        check_value(o, d);
        json_t *j = value_to_json(v, d);
        FUZZ_CHECK(j);
        json_decref(j);
    }
    looked_at |= options_program(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options *o = NULL;
    struct ersa_error err = {0};
    uint8_t mode = size ? data[0] : 0;
    FUZZ_CHECK(options_new(&o, (enum program)(1 << (mode & 15) % 7), &err) == 0);
    if (size && mode & 0x40)
        set_from_argv(o, data + 1, size - 1);
    else if (size)
        set_from_json(o, (struct slice){(const char *)data + 1, size - 1});
    get_all(o);
    options_free(o);
    return 0;
}
