/* SPDX-License-Identifier: BSD-3-Clause */
/* The one table of options (design.md 8, cli_config.md) and what a program's user made of it.
 *
 * A row is one trait of one class. From the rows come the command line (`--Class.trait=v`,
 * aliases, flags), config files, environment, --help, --help-all, --show-config and generated
 * config files. The rows are in options_<program>.c; adding an option is one row.
 *
 *     default  <  system files  <  profile's files  <  environment  <  command line
 *
 * Getters take "Class.trait" as written in the row, abort on a name that the program doesn't
 * have (a bug), and never fail otherwise: every value is checked when it is set. */
#ifndef ERSA_CONFIG_OPTIONS_H
#define ERSA_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ersa/error.h"
#include "wire/json.h"

/* Programs: bits of option_def.programs; exactly one says which program runs. */
enum program {
    PROG_CONTROLLER = 1 << 0,
    PROG_ENGINE = 1 << 1,
    PROG_CLUSTER_START = 1 << 2,   /* ipcluster start */
    PROG_CLUSTER_ENGINES = 1 << 3, /* ipcluster engines */
    PROG_CLUSTER_STOP = 1 << 4,
    PROG_CLUSTER_LIST = 1 << 5,
    PROG_CLUSTER_CLEAN = 1 << 6,
};
#define PROG_CLUSTER                                                                     \
    (PROG_CLUSTER_START | PROG_CLUSTER_ENGINES | PROG_CLUSTER_STOP | PROG_CLUSTER_LIST | \
     PROG_CLUSTER_CLEAN)
#define PROG_ALL (PROG_CONTROLLER | PROG_ENGINE | PROG_CLUSTER)

struct program_def {
    enum program program;
    const char *command;    /* "ipcluster start": in help */
    const char *class_name; /* "IPClusterStart": in log lines and as section of config files */
    const char *config;     /* "ipcluster_config": base name of its config files */
    const char *about;      /* first paragraph of --help */
    const char *examples;   /* lines of --help */
};
const struct program_def *program_find(enum program program);

enum option_type {
    OPT_BOOL,
    OPT_INT,     /* options_int() */
    OPT_COUNT,   /* options_int(), from 0 on, or the word auto: OPTION_AUTO */
    OPT_BYTES,   /* options_int(); text may end in K, M, G, T */
    OPT_MS,      /* options_int(), milliseconds; text may end in ms or s */
    OPT_FLOAT,   /* options_float() */
    OPT_SECONDS, /* options_float(), seconds; text may end in ms or s */
    OPT_TEXT,    /* options_text() */
    OPT_SECRET,  /* as OPT_TEXT, never shown */
    OPT_LEVEL,   /* options_int(): 0 to 50, or a name */
    OPT_ENUM,    /* options_text(): one of `choices`, as written there */
    OPT_LIST,    /* options_list() */
    OPT_SET,     /* options_list(): some of `choices`; text is separated by commas */
    OPT_PORTS,   /* options_ports(): "10101-10105,10108" */
    OPT_DICT,    /* options_dict() */
};

#define OPTION_AUTO (-1)

struct option_def {
    unsigned programs;       /* which programs have it */
    const char *cls, *trait; /* "TaskScheduler", "hwm" */
    enum option_type type;
    const char *alias;     /* names with a value, separated by blanks: "n", "log-level" */
    const char *flags;     /* names without, each with what it sets: "dictdb=DictDB nodb=NoDB";
                              @random stands for a fresh key */
    const char *flag_help; /* a line a flag, in their order; NULL: `help` says it */
    const char *preset;    /* default as text; NULL: none (options_is_set() says false) */
    const char *choices;   /* OPT_ENUM, OPT_SET: separated by blanks */
    double min, max;       /* of numbers; both 0: no range */
    const char *env;       /* environment variable */
    const char *help;      /* for people, one sentence or two, without final newline */
    bool inert;            /* accepted as the reference does, without effect: warned about */
};

/* Who set the value. */
enum option_origin { FROM_DEFAULT, FROM_FILE, FROM_ENV, FROM_ARGV };

struct options;

struct option_list {
    char **items; /* owned by the options */
    size_t n;
};

struct option_ports {
    int *numbers;
    size_t n;
};

/* All options at their defaults, then the environment. ERSA_ENOMEM; ERSA_EINVAL: a bad value.
 */
int options_new(struct options **ret, enum program program, struct ersa_error *err);
void options_free(struct options *o); /* accepts NULL */

/* Left to right, the last wins; lists grow. argv[0] is skipped. ERSA_ENOENT: an unknown option
 * (the nearest is named; exit code 2); ERSA_EINVAL: a bad value (exit code 1). */
int options_parse_argv(struct options *o, int argc, char *const *argv, struct ersa_error *err);

/* 1 or 2 as above. */
int options_exit_code(int rc);

/* Sets one value as a config file does. `section.trait` may be a former name (warned about);
 * classes that we do not define are kept for options_foreign(). `where` is "<file>:<line>" or
 * "<file>", for messages. Values of a more derived class win over those of a base class, later
 * ones over earlier ones. Errors as above. */
int options_set_json(struct options *o, const char *section, const char *trait, json_t *value,
                     const char *where, struct ersa_error *err);

bool options_bool(const struct options *o, const char *name);
long long options_int(const struct options *o, const char *name);
double options_float(const struct options *o, const char *name);
const char *options_text(const struct options *o, const char *name); /* never NULL */
const struct option_list *options_list(const struct options *o, const char *name);
const struct option_ports *options_ports(const struct options *o, const char *name);
const json_t *options_dict(const struct options *o, const char *name); /* an object */
/* False for an option without default that nobody set (then numbers are 0, texts empty), and
 * for one that was set to None. */
bool options_is_set(const struct options *o, const char *name);
enum option_origin options_origin(const struct options *o, const char *name);
/* "default", "$IPP_CLUSTER_ID", "--hwm=3", "/path/ipcontroller_config.py:4". */
const char *options_where(const struct options *o, const char *name);

/* Bits of ersa_caps.def: all that the program announces, without those of Ersa.disable. */
unsigned options_caps(const struct options *o);

enum program options_program(const struct options *o);
/* Words that are not options (`ipcluster stop` has some, for others they are an error), and
 * those behind "--" (`ipcluster start` alone). */
const struct option_list *options_words(const struct options *o);
const struct option_list *options_rest(const struct options *o);
/* What the command line of ipcluster says to the programs that it starts, in its order:
 * "--IPEngine.python=/opt/python3". `to` is PROG_CONTROLLER or PROG_ENGINE. */
const struct option_list *options_handed_on(const struct options *o, enum program to);
/* {"InteractiveShell": {"colors": "nocolor"}, ...}: traits of classes that we don't define, for
 * an engine's IPython. Borrowed. */
const json_t *options_foreign(const struct options *o);

/* Things to tell the user once the log is open (former names, options without effect, ...). */
void options_warn(struct options *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const struct option_list *options_warnings(const struct options *o);
/* Remembers a config file that was read, for --show-config. */
void options_add_file(struct options *o, const char *path);
const struct option_list *options_files(const struct options *o);

/* The whole table, for what is generated from it. NULL at the end. */
const struct option_def *options_next_def(const struct option_def *prev);

#endif
