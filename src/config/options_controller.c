/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of ipcontroller: addresses and ports, heart monitor, scheduler, task store. */
#include "config/options_table.h"

#define P PROG_CONTROLLER
#define PORTS_HELP " numbers and ranges such as 10101-10105,10108"

const struct option_def options_controller[] = {
    {P, "IPController", "ip", OPT_TEXT, .alias = "ip", .preset = "127.0.0.1",
     .help = "Address that all sockets listen on; * for every interface"},
    {P, "IPController", "engine_ip", OPT_TEXT,
     .help = "Address for engines, where it is another than ip"},
    {P, "IPController", "client_ip", OPT_TEXT,
     .help = "Address for clients, where it is another than ip"},
    {P, "IPController", "monitor_ip", OPT_TEXT, .inert = true,
     .help = "Address of the internal monitor; there is none here"},
    {P, "IPController", "transport", OPT_ENUM, .alias = "transport", .preset = "tcp",
     .choices = "tcp ipc",
     .help = "tcp, or ipc for sockets in a private directory of this machine"},
    {P, "IPController", "engine_transport", OPT_ENUM, .choices = "tcp ipc",
     .help = "Transport for engines, where it is another"},
    {P, "IPController", "client_transport", OPT_ENUM, .choices = "tcp ipc",
     .help = "Transport for clients, where it is another"},
    {P, "IPController", "monitor_transport", OPT_TEXT, .inert = true,
     .help = "Transport of the internal monitor; there is none here"},
    {P, "IPController", "location", OPT_TEXT, .alias = "location",
     .help =
         "How others reach this machine where ip is a wildcard: the host name when not given"},
    {P, "IPController", "ports", OPT_PORTS, .alias = "ports",
     .help = "Ports for both sides:" PORTS_HELP ". Free ones when used up"},
    {P, "IPController", "engine_ports", OPT_PORTS, .alias = "engine-ports",
     .help = "Ports for engines, before those of ports:" PORTS_HELP},
    {P, "IPController", "client_ports", OPT_PORTS, .alias = "client-ports",
     .help = "Ports for clients, before those of ports:" PORTS_HELP},
    {P, "IPController", "ssh_server", OPT_TEXT, .alias = "ssh", .preset = "",
     .help = "[user@]host[:port] that clients tunnel through"},
    {P, "IPController", "engine_ssh_server", OPT_TEXT, .alias = "enginessh", .preset = "",
     .help = "[user@]host[:port] that engines tunnel through"},
    {P, "IPController", "reuse_files", OPT_BOOL, .flags = "reuse=true restore=true",
     .flag_help =
         "Take over the connection files of an earlier run, and keep them at the end\nAs "
         "--reuse, and let the engines of the earlier run in again under their ids",
     .preset = "false",
     .help = "Take ports, key, address and location from the connection files of an earlier "
             "run, and keep "
             "the files at the end"},
    {P, "IPController", "restore_engines", OPT_BOOL, .flags = "restore=true",
     .flag_help = "As --reuse, and let the engines of the earlier run in again under their ids",
     .preset = "false",
     .help = "Let the engines of an earlier run in as soon as they are connected again, under "
             "their old ids"},
    {P, "IPController", "engine_json_file", OPT_TEXT,
     .help = "Name of the engines' connection file in security/: ipcontroller[-<cluster "
             "id>]-engine.json"},
    {P, "IPController", "client_json_file", OPT_TEXT,
     .help = "Name of the clients' connection file in security/: ipcontroller[-<cluster "
             "id>]-client.json"},
    {P, "IPController", "enable_curve", OPT_BOOL, .env = "IPP_ENABLE_CURVE",
     .help =
         "Encrypt and authenticate all connections with CURVE: where more than this machine "
         "can reach the ports when not given"},
    {P, "IPController", "curve_secretkey", OPT_SECRET, .env = "IPP_CURVE_SECRETKEY",
     .help = "Secret key of CURVE (Z85): a fresh pair when not given"},
    {P, "IPController", "curve_publickey", OPT_TEXT, .env = "IPP_CURVE_PUBLICKEY",
     .help = "Public key of CURVE (Z85)"},
    {P, "IPController", "broadcast_scheduler_depth", OPT_INT, .preset = "1", .max = 8,
     .help = "Depth of the tree of broadcast schedulers: 2 to that power leaves"},
    {P, "IPController", "db_class", OPT_ENUM, .preset = "DictDB",
     .flags = "sqlitedb=SQLiteDB mongodb=MongoDB dictdb=DictDB nodb=NoDB",
     .flag_help = "Keep records of tasks in an SQLite database\nKeep records of tasks in "
                  "MongoDB\nKeep records of tasks in memory\nKeep no records of tasks",
     .choices = "DictDB NoDB SQLiteDB MongoDB",
     .help = "Where records of tasks are kept: in memory (DictDB, bounded), nowhere, or in a "
             "database"},
    {P, "IPController", "registration_timeout", OPT_SECONDS, .max = 86400,
     .help = "How long an engine may take between registration and first heartbeat: 30, or ten "
             "heartbeats "
             "where that is more"},
    {P, "IPController", "metrics_port", OPT_INT, .alias = "metrics-port", .max = 65535,
     .help =
         "Port of an HTTP server with figures about the cluster, for Prometheus: /metrics and "
         "/healthz. None when not given; 0 for a free one"},
    {P, "IPController", "metrics_ip", OPT_TEXT, .preset = "127.0.0.1",
     .help = "Address of that server; * for every interface. Whoever reaches it can read"},
    {P, "IPController", "busy_poll_us", OPT_INT, .preset = "50", .max = 1000,
     .help = "Microseconds, on average, for which the router looks for more messages before it "
             "sleeps, while they follow each other that quickly; 0: it always sleeps. On one "
             "processor it does"},
    {P, "IPController", "use_threads", OPT_BOOL, .flags = "usethreads=true", .preset = "false",
     .inert = true,
     .help = "Schedulers in threads; here they are always one with the controller"},
    {P, "IPController", "regport", OPT_INT, .alias = "port", .preset = "0", .max = 65535,
     .help = "Port for registration: goes to the end of engine_ports (use that)"},
    {P, "IPController", "notifier_port", OPT_INT, .preset = "0", .max = 65535,
     .help = "Goes to the end of client_ports (use that)"},
    {P, "IPController", "mon_port", OPT_INT, .preset = "0", .max = 65535, .inert = true,
     .help = "Port of the internal monitor; there is none here"},
    {P, "IPController", "hb", OPT_PORTS,
     .help = "Pair of ports: goes to the end of engine_ports (use that)"},
    {P, "IPController", "mux", OPT_LIST, .inert = true,
     .help = "Pair of ports; use engine_ports and client_ports"},
    {P, "IPController", "task", OPT_LIST, .inert = true,
     .help = "Pair of ports; use engine_ports and client_ports"},
    {P, "IPController", "control", OPT_LIST, .inert = true,
     .help = "Pair of ports; use engine_ports and client_ports"},
    {P, "IPController", "iopub", OPT_LIST, .inert = true,
     .help = "Pair of ports; use engine_ports and client_ports"},

    {P, "HeartMonitor", "period", OPT_MS, .alias = "ping", .preset = "3000", .min = 1,
     .max = 86400000,
     .help = "Time between heartbeats, in milliseconds or with a unit (200ms, 3s)"},
    {P, "HeartMonitor", "max_heartmonitor_misses", OPT_INT, .preset = "10", .max = 1000000,
     .help = "How many heartbeats an engine may miss before it counts as dead"},
    {P, "HeartMonitor", "debug", OPT_BOOL, .preset = "false", .inert = true,
     .help = "Log every heartbeat"},

    {P, "TaskScheduler", "scheme_name", OPT_ENUM, .alias = "scheme", .preset = "leastload",
     .choices = "leastload pure lru plainrandom weighted twobin none",
     .help = "How an engine is chosen for a task of a load-balanced view; none: such tasks are "
             "refused"},
    {P, "TaskScheduler", "hwm", OPT_COUNT, .alias = "hwm", .preset = "auto", .max = 1 << 30,
     .help = "How many tasks an engine holds at a time; 0 for any number, auto for about 10 ms "
             "of work, of which what has not begun can be called back"},
    {P, "TaskScheduler", "client_limit", OPT_BYTES,
     .help = "Octets of tasks that one client may have waiting before more are refused with "
             "QueueFull, and all clients together twice that: a "
             "quarter of the machine's memory when not given, 0 for no limit"},

    {P, "DictDB", "record_limit", OPT_INT, .preset = "1024", .max = 1e15,
     .help = "How many records are kept"},
    {P, "DictDB", "size_limit", OPT_BYTES, .preset = "1073741824", .max = 1e18,
     .help = "How many octets of buffers are kept"},
    {P, "DictDB", "cull_fraction", OPT_FLOAT, .preset = "0.1", .min = 0, .max = 1,
     .help = "Share of the records that goes when a limit is passed"},
    {P, "DictDB", "max_age", OPT_SECONDS, .preset = "0", .max = 1e9,
     .help = "Records older than this go; 0: however old"},
    {P, "SQLiteDB", "filename", OPT_TEXT, .preset = "tasks.db",
     .help = "Name of the database file"},
    {P, "SQLiteDB", "location", OPT_TEXT,
     .help = "Directory of the database file: the profile's"},
    {P, "SQLiteDB", "table", OPT_TEXT, .preset = "ipython-tasks",
     .help = "Table of the records; empty: one for each session"},
    {P, "SQLiteDB", "record_limit", OPT_INT, .preset = "0", .max = 1e15,
     .help = "How many records are kept; 0: any number"},
    {P, "SQLiteDB", "size_limit", OPT_BYTES, .preset = "17179869184", .max = 1e18,
     .help = "How many octets of the file may be in use; 0: any number"},
    {P, "SQLiteDB", "cull_fraction", OPT_FLOAT, .preset = "0.1", .min = 0, .max = 1,
     .help = "Share of the records that goes when a limit is passed"},
    {P, "SQLiteDB", "max_age", OPT_SECONDS, .preset = "0", .max = 1e9,
     .help = "Records older than this go; 0: however old"},
    {P, "MongoDB", "database", OPT_TEXT, .preset = "ipython-tasks",
     .help = "Database of the records; empty: one for each session"},
    {P, "MongoDB", "record_limit", OPT_INT, .preset = "0", .max = 1e15,
     .help = "How many records are kept; 0: any number"},
    {P, "MongoDB", "size_limit", OPT_BYTES, .preset = "17179869184", .max = 1e18,
     .help = "How many octets of records are kept; 0: any number"},
    {P, "MongoDB", "cull_fraction", OPT_FLOAT, .preset = "0.1", .min = 0, .max = 1,
     .help = "Share of the records that goes when a limit is passed"},
    {P, "MongoDB", "max_age", OPT_SECONDS, .preset = "0", .max = 1e9,
     .help = "Records older than this go; 0: however old"},
    {P, "MongoDB", "waiting_limit", OPT_BYTES, .preset = "67108864", .min = 65536, .max = 1e15,
     .help = "Octets that records without payload may take in memory while the server does not "
             "answer, before submission is held back; from a quarter of it on, payloads go"},
    {P, "MongoDB", "connection_args", OPT_LIST, .help = "Handed to the driver"},
    {P, "MongoDB", "connection_kwargs", OPT_DICT, .help = "Handed to the driver"},
};
const size_t n_options_controller = sizeof(options_controller) / sizeof(options_controller[0]);
