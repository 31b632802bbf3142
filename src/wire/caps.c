/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, bits and JSON of the capabilities. All follows from wire/ersa_caps.def. */
#include "wire/caps.h"

#include <string.h>

static const struct {
    const char *name;
    unsigned bit;
} caps[] = {
#define X(name, bit) {#name, CAP_##name},
#include "wire/ersa_caps.def"
#undef X
};

#define N_CAPS (sizeof(caps) / sizeof(caps[0]))

unsigned caps_bit(const char *name)
{
    for (size_t i = 0; i < N_CAPS; i++)
        if (strcmp(caps[i].name, name) == 0)
            return caps[i].bit;
    return 0;
}

unsigned caps_read(const json_t *holder)
{
    const json_t *ersa = json_object_get(holder, "ersa");
    if (json_integer_value(json_object_get(ersa, "v")) != 1)
        return 0;
    const json_t *list = json_object_get(ersa, "caps");
    unsigned bits = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (json_is_string(item))
            bits |= caps_bit(json_string_value(item));
    }
    return bits;
}

json_t *caps_json(unsigned bits)
{
    json_t *list = json_array();
    for (size_t i = 0; i < N_CAPS; i++)
        if (bits & caps[i].bit)
            json_array_append_new(list, json_string(caps[i].name));
    return json_pack("{s:i, s:o}", "v", 1, "caps", list);
}
