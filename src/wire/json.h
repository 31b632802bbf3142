/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON trees for cold paths: jansson behind a few functions that know what Python writes:
 * octets that are not UTF-8 are replaced, not refused; NaN and Infinity, which jansson can't
 * hold, become null; of a repeated key the last counts. Everything else is jansson's own API.
 */
#ifndef ERSA_WIRE_JSON_H
#define ERSA_WIRE_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "ersa/error.h"
#include "util/str.h"

/* A tree may take fifty times the memory of its text, so there is a bound on what is in it. */
#define JSON_VALUES_MAX (1u << 20)
/* A new reference, or NULL with ERSA_EPARSE, ERSA_EFULL (more values) or ERSA_ENOMEM in err. */
json_t *json_parse(struct slice text, struct ersa_error *err);
/* A string of any octets, those that are not UTF-8 replaced; a new reference or NULL. */
json_t *json_lossy(struct slice text);
/* Compact text, owned (free()), or NULL when out of memory. */
char *json_text(const json_t *j);
/* String member of an object, NULL when absent or of another type; borrowed. */
const char *json_str(const json_t *object, const char *key);
/* Whether a member counts as true in Python, which clients' users write: 1, "x" and [0] do. */
bool json_truth(const json_t *object, const char *key);

#endif
