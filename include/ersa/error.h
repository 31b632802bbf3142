/* SPDX-License-Identifier: BSD-3-Clause */
/* Error codes and the error object, the same in the public API and inside.
 *
 * Functions that can fail return 0 (ERSA_OK) or a negative ERSA_E* code. A trailing
 * `struct ersa_error *err` (may be NULL) receives the sentence for a person:
 *
 *     return err_set(err, ERSA_EPROTO, "frame of %zu octets, at most %zu", n, max);
 *
 * There is no last error per thread and nothing to free. */
#ifndef ERSA_ERROR_H
#define ERSA_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum ersa_code {
    ERSA_OK = 0,
#define X(name, code, text) ERSA_##name = -(code),
#include "ersa/error.def"
#undef X
};

#define ERSA_ERROR_TEXT_MAX 256

/* `code` is the code returned, `text` a NUL-terminated sentence without a final stop.
 * Set only on failure; a caller that passes an error zeroes it first (`= {0}`). */
struct ersa_error {
    int code;
    char text[ERSA_ERROR_TEXT_MAX];
};

/* Returns the fixed text of a code (0 and unknown codes included). Never NULL, static. */
const char *ersa_strerror(int code);

#ifdef __cplusplus
}
#endif
#endif
