/* SPDX-License-Identifier: BSD-3-Clause */
/* What is printed or written from the options table: help, the configuration in force, config
 * files with every option commented out. Pure functions of the table and the values. */
#ifndef ERSA_CONFIG_OPTIONS_OUT_H
#define ERSA_CONFIG_OPTIONS_OUT_H

#include "config/options.h"

/* What is looked for before everything else, in argv up to "--". */
enum options_request { ASK_NOTHING, ASK_HELP, ASK_HELP_ALL, ASK_VERSION, ASK_GENERATE };
enum options_request options_request(int argc, char *const *argv);

void options_print_help(FILE *out, enum program program, bool all);
/* --show-config and --show-config-json: files read and values set; secrets masked. */
void options_print_config(FILE *out, const struct options *o);
void options_print_config_json(FILE *out, const struct options *o);
/* The text of a <program>_config.py with every option commented out. */
void options_print_template(FILE *out, enum program program);

#endif
