/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of ipcluster's sub-commands, and of the launchers they use. A launcher's options
 * stand at its concrete class; a value for one of its base classes reaches it too
 * (options_names.c). */
#include "config/options_table.h"

#define START PROG_CLUSTER_START
#define RUNS (PROG_CLUSTER_START | PROG_CLUSTER_ENGINES)
#define STOPS (RUNS | PROG_CLUSTER_STOP)
#define CTL "LocalControllerLauncher"
#define ENG "LocalEngineSetLauncher"

const struct option_def options_cluster[] = {
    {RUNS, "Cluster", "n", OPT_INT, .alias = "n", .max = 1000000,
     .help = "How many engines: the number of processors when not given"},
    {RUNS, "Cluster", "engine_launcher_class", OPT_TEXT, .alias = "engines", .preset = "local",
     .help = "Launcher of the engines"},
    {START, "Cluster", "controller_launcher_class", OPT_TEXT, .alias = "controller",
     .preset = "local", .help = "Launcher of the controller"},
    {START, "Cluster", "controller_args", OPT_LIST,
     .help =
         "Arguments for the controller; those behind -- on the command line come after them"},
    {START, "Cluster", "controller_ip", OPT_TEXT, .alias = "ip", .preset = "",
     .help = "Address that the controller listens on"},
    {START, "Cluster", "controller_location", OPT_TEXT, .alias = "location", .preset = "",
     .help = "How others reach the controller"},
    {RUNS, "Cluster", "delay", OPT_SECONDS, .alias = "delay", .preset = "0", .max = 1e6,
     .help = "Pause between the controller's start and the engines'"},
    {RUNS, "Cluster", "engine_timeout", OPT_SECONDS, .preset = "60", .max = 1e9,
     .help = "How long to wait for engines to register: --daemonize leaves when they have, and "
             "fails when none has by then; 0: does not wait"},
    {RUNS, "Cluster", "send_engines_connection_env", OPT_BOOL, .preset = "true",
     .help = "Hand the connection file to engines in their environment; false: they look for "
             "the file"},
    {RUNS, "Cluster", "load_profile", OPT_BOOL, .preset = "true", .inert = true,
     .help = "Read the profile's config files; they are always read here"},
    {RUNS, "Cluster", "shutdown_atexit", OPT_BOOL, .preset = "true", .inert = true,
     .help = "Stop the cluster when its Python process ends"},
    {RUNS, "IPClusterEngines", "daemonize", OPT_BOOL, .alias = "daemonize",
     .flags = "daemonize=true", .preset = "false", .help = "Leave once the cluster is up"},
    {RUNS, "IPClusterEngines", "early_shutdown", OPT_SECONDS, .preset = "30", .max = 1e9,
     .help = "Time in which the end of all engines is a failure; 0: never"},
    {PROG_CLUSTER_STOP, "IPClusterStop", "signal", OPT_INT, .alias = "signal", .preset = "15",
     .min = 1, .max = 64, .help = "First signal to stop with, before SIGKILL"},
    {PROG_CLUSTER_STOP, "IPClusterStop", "all_cluster_ids", OPT_BOOL, .flags = "all=true",
     .preset = "false", .help = "Stop every cluster of the profile"},
    {PROG_CLUSTER_LIST, "IPClusterList", "output_format", OPT_ENUM, .alias = "o",
     .preset = "text", .choices = "text json", .help = "Form of the list"},
    {PROG_CLUSTER_CLEAN, "IPClusterClean", "force", OPT_BOOL, .flags = "force=true",
     .preset = "false", .help = "Clean where a cluster still runs, too"},
    {PROG_CLUSTER_CLEAN, "IPClusterClean", "all_profiles", OPT_BOOL, .flags = "all=true",
     .preset = "false", .help = "Clean every profile"},

    {START, CTL, "controller_cmd", OPT_LIST,
     .help = "Program of the controller: the ipcontroller beside ipcluster when not given"},
    {START, CTL, "controller_args", OPT_LIST, .help = "Arguments of the controller"},
    {START, CTL, "connection_info_timeout", OPT_SECONDS, .preset = "60", .min = -1e9,
     .max = 1e9, .help = "How long to wait for the connection files; negative: no limit"},
    {START, CTL, "environment", OPT_DICT, .help = "More variables for its environment"},
    {START, CTL, "output_limit", OPT_INT, .preset = "100", .max = 1e9,
     .help = "How many lines of its output are shown when it ends"},
    {STOPS, CTL, "stop_timeout", OPT_SECONDS, .preset = "60", .max = 1e9,
     .help = "How long to wait for its end before stopping has failed"},
    {STOPS, CTL, "stop_seconds_until_kill", OPT_SECONDS, .preset = "5", .max = 1e9,
     .help = "Time between SIGTERM and SIGKILL"},
    {STOPS, CTL, "poll_seconds", OPT_SECONDS, .preset = "30", .inert = true,
     .help = "How often its state is looked at; its end is seen at once here"},
    {RUNS, ENG, "engine_cmd", OPT_LIST,
     .help = "Program of an engine: the ipengine beside ipcluster when not given"},
    {RUNS, ENG, "engine_args", OPT_LIST, .help = "Arguments of each engine"},
    {RUNS, ENG, "environment", OPT_DICT, .help = "More variables for their environment"},
    {RUNS, ENG, "delay", OPT_SECONDS, .preset = "0", .max = 1e6,
     .help = "Pause between one engine's start and the next"},
    {RUNS, ENG, "output_limit", OPT_INT, .preset = "100", .max = 1e9,
     .help = "How many lines of an engine's output are shown when it ends"},
    {STOPS, ENG, "stop_timeout", OPT_SECONDS, .preset = "60", .max = 1e9,
     .help = "How long to wait for an engine's end before stopping has failed"},
    {STOPS, ENG, "stop_seconds_until_kill", OPT_SECONDS, .preset = "5", .max = 1e9,
     .help = "Time between SIGTERM and SIGKILL"},
    {STOPS, ENG, "poll_seconds", OPT_SECONDS, .preset = "30", .inert = true,
     .help = "How often their state is looked at; an end is seen at once here"},
};
const size_t n_options_cluster = sizeof(options_cluster) / sizeof(options_cluster[0]);
