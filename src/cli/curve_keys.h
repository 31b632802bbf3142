/* SPDX-License-Identifier: BSD-3-Clause */
/* Key pairs of CURVE: from the options, and kept in a file. No message says a secret key. */
#ifndef ERSA_CLI_CURVE_KEYS_H
#define ERSA_CLI_CURVE_KEYS_H

#include "config/options.h"
#include "ersa/error.h"
#include "wire/curve.h"

/* The pair that `cls`.curve_secretkey and .curve_publickey configure; the public key may be
 * left out. 1: there is one, 0: there is none, ERSA_EINVAL. */
int curve_keys_from_options(struct curve_keys *ret, const struct options *o, const char *cls,
                            struct ersa_error *err);

/* Text with the lines `public-key = "…"` and `secret-key = "…"`, as other programs of ZeroMQ
 * keep it; mode 0600, never half there. */
int curve_keys_write(const char *path, const struct curve_keys *k, struct ersa_error *err);
/* ERSA_ENOENT, ERSA_EIO, ERSA_EPARSE, ERSA_ENOMEM. */
int curve_keys_read(const char *path, struct curve_keys *ret, struct ersa_error *err);

#endif
