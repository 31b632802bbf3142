/* SPDX-License-Identifier: BSD-3-Clause */
/* What the values of JSON fields mean. Here is what jscan.c needs of escapes; text, numbers and
 * bools are in jscan.h. */
#ifndef ERSA_WIRE_JVALUE_H
#define ERSA_WIRE_JVALUE_H

#include <stddef.h>
#include <stdint.h>

#include "util/str.h"

/* Four hex digits, or -1. */
int32_t jvalue_hex4(const char *s, const char *end);
/* The text of a string that was scanned before. ERSA_EPARSE: longer than `cap`. */
int jvalue_unescape(struct slice raw, char *out, size_t cap, size_t *ret_len);

#endif
