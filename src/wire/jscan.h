/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a few fields of a JSON object in place, without a tree and without memory: for the
 * header and metadata of a task. The whole text is checked (syntax, depth), strings may hold
 * octets that are not UTF-8 and the bare tokens NaN and Infinity are let through, as Python
 * does. */
#ifndef ERSA_WIRE_JSCAN_H
#define ERSA_WIRE_JSCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "util/str.h"

enum jtype { J_ABSENT, J_NULL, J_BOOL, J_NUMBER, J_STRING, J_ARRAY, J_OBJECT };

struct jfield {
    const char *key;  /* in: without escapes */
    enum jtype type;  /* out */
    struct slice raw; /* out: the value's text; of a string without its quotes */
    bool escaped;     /* out: a string with backslashes in it */
};

#define JSCAN_DEPTH_MAX 512

/* Fills in the named top-level fields (of a repeated key the last counts). 0 or ERSA_EPARSE:
 * not one well-formed object. */
int jscan(struct slice text, struct jfield *fields, unsigned n);
/* What is behind the last of them is not looked at. For texts that have been read before: a
 * request's header that comes back as the parent of its reply, what the router has passed on.
 */
int jscan_some(struct slice text, struct jfield *fields, unsigned n);
static inline int jscan_one(struct slice text, struct jfield *field)
{
    return jscan_some(text, field, 1);
}

/* A string field decoded: points into the text when there is nothing to decode, else into
 * `out`. ERSA_EPARSE: not a string, or longer than `cap`. */
int jscan_string(const struct jfield *f, char *out, size_t cap, struct slice *ret);
/* ERSA_EPARSE where it is not a number / bool. */
int jscan_number(const struct jfield *f, double *ret);
int jscan_bool(const struct jfield *f, bool *ret);

/* Walks the elements of an array field: start with *pos = 0; false at the end. */
bool jscan_next(const struct jfield *array, size_t *pos, struct jfield *ret);

#endif
