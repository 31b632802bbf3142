/* SPDX-License-Identifier: BSD-3-Clause */
/* ipcluster: starts, stops and lists clusters (cluster.md 6). The first word is the
 * sub-command. */
#include <stdio.h>
#include <string.h>

#include "cli/ipcluster.h"
#include "config/options_out.h"
#include "util/str.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"start", cmd_cluster_start, "start a controller and engines"},
    {"stop", cmd_cluster_stop, "stop a cluster"},
    {"engines", cmd_cluster_engines, "start more engines for a cluster that runs"},
    {"list", cmd_cluster_list, "list clusters"},
    {"clean", cmd_cluster_clean, "remove files of clusters that no longer run"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
    for (size_t i = 0; name && i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_help(FILE *out)
{
    fprintf(out,
            "Start, stop and list clusters of IPython Parallel engines.\n\n"
            "usage: ipcluster COMMAND [options]      ipcluster help COMMAND\n\nCommands\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(out,
            "\n`ipcluster COMMAND --help` lists a command's usual options, --help-all all.\n");
}

static const struct command *nearest(const char *word)
{
    const struct command *best = NULL;
    size_t limit = 3;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        size_t distance = str_distance(word, commands[i].name);
        if (distance < limit) {
            limit = distance;
            best = &commands[i];
        }
    }
    return best;
}

static void list_names(void)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(stderr, "%s'%s'", i ? ", " : "", commands[i].name);
    fputc('\n', stderr);
}

/* A wrong word is one line, as a wrong option is. */
static int unknown_command(const char *word)
{
    const struct command *near = nearest(word);
    fprintf(stderr, "ipcluster: unknown command '%s'; ", word);
    if (near)
        fprintf(stderr, "did you mean %s?\n", near->name);
    else
        fputs("there are ", stderr);
    if (!near)
        list_names();
    return EXIT_CLUSTER_USAGE;
}

static int no_command(void)
{
    fputs("No subcommand specified. Must specify one of: ", stderr);
    list_names();
    fputc('\n', stderr);
    print_help(stderr);
    return EXIT_CLUSTER_FAILED;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (word && strcmp(word, "help") == 0 && argc > 2) {
        const struct command *c = find(argv[2]);
        char *help_argv[] = {argv[2], (char[]){"--help"}, NULL};
        return c ? c->run(2, help_argv) : unknown_command(argv[2]);
    }
    const struct command *c = find(word);
    if (c)
        return c->run(argc - 1, argv + 1);
    switch (options_request(argc, argv)) {
    case ASK_VERSION:
        puts(ERSA_VERSION);
        return EXIT_CLUSTER_OK;
    case ASK_HELP:
    case ASK_HELP_ALL:
        print_help(stdout);
        return EXIT_CLUSTER_OK;
    case ASK_NOTHING:
    case ASK_GENERATE:
        break;
    }
    return word && *word != '-' ? unknown_command(word) : no_command();
}
