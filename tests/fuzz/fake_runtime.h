/* SPDX-License-Identifier: BSD-3-Clause */
/* A runtime that is no process: fake_runtime.c has the functions of loop/child.h that an engine
 * calls, and the linker takes them in place of the library's. The ends of its channel and of
 * its output are here. */
#ifndef ERSA_TESTS_FUZZ_FAKE_RUNTIME_H
#define ERSA_TESTS_FUZZ_FAKE_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/str.h"

#define FAKE_PARTS_MAX 16
#define FAKE_PART_MAX 2048 /* octets of a part */

/* A well-formed message of parts that may say anything. */
void fake_runtime_say(uint32_t type, const struct slice *parts, uint32_t n);
void fake_runtime_say_octets(struct slice octets);
void fake_runtime_write(bool is_stderr, struct slice text);
/* Takes what the engine has said to it. */
void fake_runtime_hear(void);
/* It closes its end of the channel. */
void fake_runtime_cut(void);
/* It ends, once. */
void fake_runtime_end(int status);
/* After the engine. */
void fake_runtime_close(void);

#endif
