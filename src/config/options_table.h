/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the options, for the files of this folder: the tables, the classes, values. */
#ifndef ERSA_CONFIG_OPTIONS_TABLE_H
#define ERSA_CONFIG_OPTIONS_TABLE_H

#include "config/options.h"

/* One table a program, concatenated by options_names.c. */
extern const struct option_def options_common[], options_controller[], options_engine[],
    options_cluster[];
extern const size_t n_options_common, n_options_controller, n_options_engine, n_options_cluster;

size_t options_n_defs(void);
const struct option_def *options_def(size_t index);

/* Classes and their bases (options_names.c) */

/* How related a config section is to a row's class: 0 the same, positive: the section is that
 * much more derived (a program's own class for an application trait), negative: it is a base
 * class of the row's. False: not at all. */
bool class_distance(const char *section, const char *cls, int *ret);
/* Does the section exist for this program: an application class must be in the program's line.
 */
bool class_is_for(const char *section, enum program program);
/* Do we define it at all, for any program? */
bool class_is_known(const char *section);
/* Of the reference, but nothing in this version reads it: other launchers, for instance. */
bool class_is_absent(const char *section);
/* Replaces former names; true when something was renamed. */
bool class_rename(const char **section, const char **trait);

/* The nearest of our names, NULL when none is near. Static, or valid until the next call. */
const char *nearest_class(const char *section);
const char *nearest_trait(const char *section, const char *trait);
/* As "Class.trait", whichever class has it. */
const char *nearest_row(const char *trait);
/* `name` without dashes: aliases and flags of the program. */
const char *nearest_switch(enum program program, const char *name);

/* Values (options_value.c) */

struct value {
    bool is_set;
    enum option_origin origin;
    int depth;   /* class_distance() of the section that set it */
    char *where; /* owned; NULL: default */
    long long i;
    double d;
    char *text; /* owned */
    struct option_list list;
    struct option_ports ports;
    json_t *dict; /* owned, an object */
};

/* Both replace what `v` holds only on success. `append`: a list, ports or dict grows. */
int value_from_text(struct value *v, const struct option_def *d, const char *text, bool append,
                    struct ersa_error *err);
int value_from_json(struct value *v, const struct option_def *d, const json_t *json,
                    struct ersa_error *err);
/* As in JSON, a new reference: null when not set, "***" for a secret. */
json_t *value_to_json(const struct value *v, const struct option_def *d);
void value_fini(struct value *v);
/* What may be given, for messages and help: "one of: a, b", "a number from 1 to 65535". */
void value_allowed(const struct option_def *d, char *out, size_t cap);
bool type_is_container(enum option_type type);

/* The parts of the above (options_value.c), shared with options_json.c: an empty value; into
 * one, a scalar, or one more item of a container; the error that names what is allowed;
 * hand-over. */
int value_fresh(struct value *fresh, const struct option_def *d);
int value_parse_scalar(struct value *v, const struct option_def *d, const char *text,
                       struct ersa_error *err);
int value_add_item(struct value *v, const struct option_def *d, const char *text,
                   struct ersa_error *err);
int value_refuse(const struct option_def *d, const char *text, struct ersa_error *err);
bool value_may_be_none(const struct option_def *d);
/* The choice that `text` means, any case; of a dotted class only the last part counts. */
bool value_choice(const struct option_def *d, const char *text, size_t len, struct slice *ret);
/* `v` takes over what `fresh` holds. */
void value_replace(struct value *v, struct value *fresh);

/* options_items.c: lists and dicts written as one JSON or Python literal, the older form of the
 * command line (a new reference; NULL: it is none); the items of a value that grows. */
json_t *value_literal(const struct option_def *d, const char *text);
int value_copy_items(struct value *to, const struct value *from);
int list_add(struct option_list *l, const char *text, size_t len);
void list_fini(struct option_list *l);

/* Options (options.c) */

const struct value *options_value(const struct options *o, size_t index);
/* Sets from text with a given origin; `index` of the row. */
int options_put(struct options *o, size_t index, const char *text, enum option_origin origin,
                const char *where, bool append, struct ersa_error *err);
/* Keeps a value of a class that is not ours. */
int options_put_foreign(struct options *o, const char *section, const char *trait,
                        json_t *value);
void options_add_word(struct options *o, const char *word, bool rest);
void options_hand_on(struct options *o, enum program to, const char *word);

/* Words of a blank-separated list: *pos starts at NULL; false at the end. */
bool next_word(const char *list, const char **pos, size_t *len);

#endif
