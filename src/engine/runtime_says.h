/* SPDX-License-Identifier: BSD-3-Clause */
/* What the runtime says and what follows from it; runtime.c ends one that says it wrongly. */
#ifndef ERSA_ENGINE_RUNTIME_SAYS_H
#define ERSA_ENGINE_RUNTIME_SAYS_H

#include <stdint.h>

#include "wire/msg.h"

struct engine;

/* One message. NULL, or what is wrong with it. */
const char *runtime_says(struct engine *e, uint32_t type, const struct frame *parts,
                         unsigned n);

#endif
