/* SPDX-License-Identifier: BSD-3-Clause */
/* Evaluates a config file written in Python by the user's Python. */
#ifndef ERSA_CONFIG_CONFIG_EVAL_H
#define ERSA_CONFIG_CONFIG_EVAL_H

#include "config/profile.h"
#include "wire/json.h"

/* A new reference to a list of [section, trait, kind, value, file, line] in the order of their
 * first use; kind is "value", "change" (of a list or dict: {"prepend", "insert", "extend",
 * "update"}) or "opaque" (no plain value; its repr). ERSA_EPARSE: the file failed, err says
 * where and why; ERSA_EUNSUPPORTED: there is no Python. */
int config_eval(const struct profile *p, const char *configured_python, const char *path,
                json_t **ret, struct ersa_error *err);

#endif
