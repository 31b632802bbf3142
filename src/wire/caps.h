/* SPDX-License-Identifier: BSD-3-Clause */
/* Capabilities (extensions.md 1) as bits, and their object in JSON:
 * "ersa": {"v": 1, "caps": ["attach", ...]}. */
#ifndef ERSA_WIRE_CAPS_H
#define ERSA_WIRE_CAPS_H

#include <jansson.h>

enum cap {
#define X(name, bit) CAP_##name = 1u << (bit),
#include "wire/ersa_caps.def"
#undef X
};

enum {
    CAPS_ALL = 0u
#define X(name, bit) | CAP_##name
#include "wire/ersa_caps.def"
#undef X
};

/* The bits that `holder` announces in its member "ersa"; 0 when it has none, or a malformed
 * one. */
unsigned caps_read(const json_t *holder);
/* A new reference to the object for these bits; NULL when out of memory. */
json_t *caps_json(unsigned bits);
/* The bit of a name, 0 when there is none. */
unsigned caps_bit(const char *name);

#endif
