/* SPDX-License-Identifier: BSD-3-Clause */
/* Options that several programs have: application, profile, message signing, our own class. */
#include "config/options_table.h"

#define WITH_LOG (PROG_ALL & ~PROG_CLUSTER_CLEAN)
#define SIGNING (PROG_CONTROLLER | PROG_ENGINE)
#define MAKES_PROFILE (PROG_CONTROLLER | PROG_CLUSTER_START)

const struct option_def options_common[] = {
    {PROG_ALL, "Application", "log_level", OPT_LEVEL, .alias = "log-level",
     .flags = "debug=DEBUG quiet=CRITICAL",
     .flag_help = "Log everything\nLog nothing but what ends the program", .preset = "INFO",
     .max = 50,
     .help =
         "How much is logged: a number from 0 to 50, or DEBUG, INFO, WARN, ERROR, CRITICAL"},
    {PROG_ALL, "Application", "log_format", OPT_TEXT, .inert = true,
     .help = "Format of log lines; they always have the usual form"},
    {PROG_ALL, "Application", "log_datefmt", OPT_TEXT, .inert = true,
     .help = "Format of the time in log lines; it always has the usual form"},
    {PROG_ALL, "Application", "logging_config", OPT_DICT, .inert = true,
     .help = "Settings for Python's logging; there is none here"},
    {WITH_LOG, "Application", "show_config", OPT_BOOL, .flags = "show-config=true",
     .preset = "false", .help = "Print the configuration in force and exit"},
    {WITH_LOG, "Application", "show_config_json", OPT_BOOL, .flags = "show-config-json=true",
     .preset = "false", .help = "Print the configuration in force as JSON and exit"},

    {PROG_ALL, "BaseIPythonApplication", "profile", OPT_TEXT, .alias = "profile",
     .preset = "default",
     .help = "Name of the profile: a directory profile_<name> in the IPython directory"},
    {PROG_ALL, "BaseIPythonApplication", "ipython_dir", OPT_TEXT, .alias = "ipython-dir",
     .env = "IPYTHONDIR",
     .help = "The IPython directory, that of the profiles; ~/.ipython when not given"},
    {MAKES_PROFILE, "BaseIPythonApplication", "auto_create", OPT_BOOL, .flags = "init=true",
     .flag_help = "Create the profile directory, with a config file in it where none is",
     .preset = "true", .help = "Create the profile directory when it is missing"},
    {PROG_ALL & ~MAKES_PROFILE, "BaseIPythonApplication", "auto_create", OPT_BOOL,
     .preset = "false", .help = "Create the profile directory when it is missing"},
    {WITH_LOG, "BaseIPythonApplication", "copy_config_files", OPT_BOOL, .flags = "init=true",
     .flag_help = "Create the profile directory, with a config file in it where none is",
     .preset = "false",
     .help =
         "Write a config file with every option commented out into the profile, where none is"},
    {WITH_LOG, "BaseIPythonApplication", "overwrite", OPT_BOOL, .preset = "false",
     .help = "Let copy_config_files replace a file that is there"},
    {WITH_LOG, "BaseIPythonApplication", "extra_config_file", OPT_TEXT, .alias = "config",
     .help = "One more config file, read last"},
    {PROG_ALL, "BaseIPythonApplication", "add_ipython_dir_to_sys_path", OPT_BOOL,
     .preset = "false", .inert = true, .help = "Put the IPython directory on Python's path"},
    {PROG_ALL, "BaseIPythonApplication", "verbose_crash", OPT_BOOL, .preset = "false",
     .inert = true, .help = "Long crash reports"},
    {PROG_ALL, "ProfileDir", "location", OPT_TEXT, .alias = "profile-dir",
     .env = "IPP_PROFILE_DIR",
     .help = "Path of the profile directory; stands above the profile's name"},

    {WITH_LOG, "BaseParallelApplication", "work_dir", OPT_TEXT, .alias = "work-dir",
     .help = "Directory to work in; ~ and $VAR are replaced"},
    {WITH_LOG, "BaseParallelApplication", "log_to_file", OPT_BOOL, .alias = "log-to-file",
     .flags = "log-to-file=true", .preset = "false",
     .help =
         "Log to log/<program>-<cluster id>-<pid>.log in the profile directory, not to stderr"},
    {WITH_LOG & ~PROG_CLUSTER_START, "BaseParallelApplication", "clean_logs", OPT_BOOL,
     .alias = "clean-logs", .preset = "false",
     .help = "Remove log files of earlier runs first"},
    {PROG_CLUSTER_START, "BaseParallelApplication", "clean_logs", OPT_BOOL,
     .alias = "clean-logs", .preset = "true", .help = "Remove log files of earlier runs first"},
    {WITH_LOG, "BaseParallelApplication", "log_url", OPT_TEXT, .alias = "log-url",
     .inert = true, .help = "Address of a collector of log lines"},
    {WITH_LOG, "BaseParallelApplication", "cluster_id", OPT_TEXT, .alias = "cluster-id",
     .preset = "", .env = "IPP_CLUSTER_ID",
     .help = "Tells clusters of one profile apart: a part of file names"},

    {SIGNING, "Session", "key", OPT_SECRET, .flags = "secure=@random no-secure=",
     .flag_help = "Sign messages with a fresh key\nDo not sign messages: whoever reaches a "
                  "port can run code",
     .env = "IPP_SESSION_KEY",
     .help = "Key that messages are signed with: a fresh one when not given, none when empty. "
             "Command "
             "lines can be seen by others: use the environment or keyfile"},
    {SIGNING, "Session", "keyfile", OPT_TEXT, .alias = "keyfile",
     .help = "File that holds the key that messages are signed with"},
    {PROG_CONTROLLER, "Session", "signature_scheme", OPT_TEXT, .preset = "hmac-sha256",
     .help =
         "How messages are signed: hmac-<digest>. Others learn it from the connection file"},
    {SIGNING, "Session", "packer", OPT_ENUM, .preset = "json", .choices = "json",
     .help = "How messages are written"},
    {SIGNING, "Session", "unpacker", OPT_ENUM, .preset = "json", .choices = "json",
     .help = "How messages are read"},
    {SIGNING, "Session", "session", OPT_TEXT, .alias = "ident",
     .help = "Identity in messages (an engine's uuid): a fresh one when not given"},
    {SIGNING, "Session", "username", OPT_TEXT, .alias = "user", .preset = "username",
     .env = "USER", .help = "User name in message headers"},
    {SIGNING, "Session", "metadata", OPT_DICT, .inert = true, .help = "Added to every message"},
    {SIGNING, "Session", "digest_history_size", OPT_INT, .preset = "65536", .max = 1 << 28,
     .help = "How many signatures are remembered against replay; 0 for none"},
    {SIGNING, "Session", "copy_threshold", OPT_BYTES, .preset = "65536", .inert = true,
     .help = "Frames larger than this are not copied; the wire decides this itself"},
    {PROG_ENGINE, "Session", "buffer_threshold", OPT_BYTES, .preset = "1024",
     .help = "Buffers of objects larger than this travel as frames of their own"},
    {PROG_ENGINE, "Session", "item_threshold", OPT_INT, .preset = "64", .max = 1 << 30,
     .help = "Containers with more items are pickled as a whole"},
    {SIGNING, "Session", "check_pid", OPT_BOOL, .preset = "true", .inert = true,
     .help = "Refuse to send from a forked child"},
    {SIGNING, "Session", "debug", OPT_BOOL, .preset = "false", .inert = true,
     .help = "Print messages"},

    {SIGNING, "Ersa", "disable", OPT_SET, .choices = ""
#define X(name, bit) #name " "
#include "wire/ersa_caps.def"
#undef X
     ,
     .help = "Additions to the protocol that are not announced, separated by commas: "
             "everything works "
             "without them"},
};
const size_t n_options_common = sizeof(options_common) / sizeof(options_common[0]);
