/* SPDX-License-Identifier: BSD-3-Clause */
/* --show-config and --show-config-json: what differs from the defaults, sorted, secrets masked.
 */
#include "config/options_out.h"

#include <stdlib.h>
#include <string.h>

#include "config/options_table.h"
#include "util/cleanup.h"

/* {"Class": {"trait": value}} of everything that somebody set; a new reference. */
static json_t *set_values(const struct options *o)
{
    json_t *all = json_deep_copy(options_foreign(o));
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        const struct value *v = options_value(o, i);
        if (v->origin == FROM_DEFAULT || !(d->programs & options_program(o)))
            continue;
        if (!json_object_get(all, d->cls))
            json_object_set_new(all, d->cls, json_object());
        json_object_set_new(json_object_get(all, d->cls), d->trait, value_to_json(v, d));
    }
    return all;
}

/* As Python's repr() writes plain values. */
static void print_repr(FILE *out, const json_t *j)
{
    size_t i;
    const char *key;
    json_t *item;
    switch (json_typeof(j)) {
    case JSON_TRUE:
        fputs("True", out);
        break;
    case JSON_FALSE:
        fputs("False", out);
        break;
    case JSON_NULL:
        fputs("None", out);
        break;
    case JSON_STRING: {
        const char *s = json_string_value(j);
        char quote = strchr(s, '\'') && !strchr(s, '"') ? '"' : '\'';
        fputc(quote, out);
        for (; *s; s++) {
            if (*s == '\n')
                fputs("\\n", out);
            else if (*s == quote || *s == '\\')
                fprintf(out, "\\%c", *s);
            else
                fputc(*s, out);
        }
        fputc(quote, out);
        break;
    }
    case JSON_ARRAY:
        fputc('[', out);
        json_array_foreach(j, i, item)
        {
            fputs(i ? ", " : "", out);
            print_repr(out, item);
        }
        fputc(']', out);
        break;
    case JSON_OBJECT:
        fputc('{', out);
        i = 0;
        json_object_foreach((json_t *)j, key, item)
        {
            fprintf(out, "%s'%s': ", i++ ? ", " : "", key);
            print_repr(out, item);
        }
        fputc('}', out);
        break;
    default: {
        CLEANUP(free_ptr) char *text = json_dumps(j, JSON_ENCODE_ANY);
        fputs(text ? text : "?", out);
    }
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of an object, sorted; owned array of borrowed texts. */
static const char **sorted_keys(json_t *object, size_t *ret_n)
{
    const char **keys = calloc(json_object_size(object) + 1, sizeof(*keys));
    const char *key;
    json_t *item;
    *ret_n = 0;
    json_object_foreach(object, key, item) if (keys) keys[(*ret_n)++] = key;
    if (keys)
        qsort(keys, *ret_n, sizeof(*keys), by_text);
    return keys;
}

void options_print_config(FILE *out, const struct options *o)
{
    json_t *all = set_values(o);
    const struct option_list *files = options_files(o);
    if (files->n)
        fputs("Loaded config files:\n", out);
    for (size_t i = 0; i < files->n; i++)
        fprintf(out, "  %s\n", files->items[i]);
    size_t n_classes, n_traits;
    CLEANUP(free_ptr) const char **classes = sorted_keys(all, &n_classes);
    for (size_t c = 0; c < n_classes; c++) {
        json_t *traits = json_object_get(all, classes[c]);
        CLEANUP(free_ptr) const char **names = sorted_keys(traits, &n_traits);
        fprintf(out, "%s%s\n", c == 0 && files->n ? "\n" : "", classes[c]);
        for (size_t t = 0; t < n_traits; t++) {
            fprintf(out, "  .%s = ", names[t]);
            print_repr(out, json_object_get(traits, names[t]));
            fputc('\n', out);
        }
    }
    json_decref(all);
}

void options_print_config_json(FILE *out, const struct options *o)
{
    json_t *all = set_values(o);
    CLEANUP(free_ptr) char *text = json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS);
    fprintf(out, "%s\n", text ? text : "{}");
    json_decref(all);
}
