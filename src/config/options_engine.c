/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of ipengine. Classes of IPython itself (InteractiveShell, IPKernelApp, ...) have no
 * rows: their traits are kept as they come for the runtime (options_foreign). */
#include "config/options_table.h"

#define P PROG_ENGINE

const struct option_def options_engine[] = {
    {P, "IPEngine", "python", OPT_TEXT, .alias = "python",
     .help = "Python that user code runs in: that of $VIRTUAL_ENV or $CONDA_PREFIX, the "
             "python3 beside this "
             "program, or that of $PATH when not given"},
    {P, "IPEngine", "url_file", OPT_TEXT, .alias = "file",
     .help = "Connection file: security/<url_file_name> of the profile when not given"},
    {P, "IPEngine", "url_file_name", OPT_TEXT,
     .help =
         "Name of the connection file in security/: ipcontroller[-<cluster id>]-engine.json"},
    {P, "IPEngine", "wait_for_url_file", OPT_SECONDS, .preset = "10", .max = 1e9,
     .help = "How long to wait for the connection file"},
    {P, "IPEngine", "registration_url", OPT_TEXT, .alias = "url",
     .help = "Address for registration, where it is not what the connection file says"},
    {P, "IPEngine", "location", OPT_TEXT, .alias = "location",
     .help = "Where the controller is, where it listens on every interface: what the "
             "connection file says"},
    {P, "IPEngine", "timeout", OPT_SECONDS, .alias = "timeout", .preset = "5", .max = 1e9,
     .help = "How long to wait for the answer to the registration"},
    {P, "IPEngine", "max_heartbeat_misses", OPT_INT, .preset = "50", .max = 1 << 30,
     .help = "After how many checks without a heartbeat the engine ends; 0: never"},
    {P, "IPEngine", "id", OPT_INT, .max = 1 << 30,
     .help = "The id the engine would like to have"},
    {P, "IPEngine", "enable_nanny", OPT_BOOL, .preset = "true", .inert = true,
     .help = "A second process that watches; here ipengine itself watches the process of user "
             "code"},
    {P, "IPEngine", "startup_command", OPT_TEXT, .alias = "c",
     .help = "Code that is run at the start, after startup_script"},
    {P, "IPEngine", "startup_script", OPT_TEXT, .alias = "s",
     .help = "Script that is run at the start"},
    {P, "IPEngine", "use_mpi", OPT_BOOL, .flags = "mpi=true", .preset = "false",
     .help = "The engine is one of an MPI job: its rank is the id it would like to have"},
    {P, "IPEngine", "init_mpi", OPT_TEXT,
     .help = "Code that is run first with use_mpi: imports MPI from mpi4py, sets mpi_rank and "
             "mpi_size"},
    {P, "IPEngine", "mpi_registration_delay", OPT_SECONDS, .preset = "0.02", .max = 1e6,
     .inert = true,
     .help = "Pause before registration, times the rank, from rank 100 on; not needed here"},
    {P, "IPEngine", "sshserver", OPT_TEXT, .alias = "ssh",
     .help =
         "[user@]host[:port] to tunnel through: what the connection file says. There are no "
         "tunnels yet: an engine that would need one ends with an error"},
    {P, "IPEngine", "sshkey", OPT_TEXT, .alias = "sshkey", .inert = true,
     .help = "Key file for the tunnel; there are no tunnels yet"},
    {P, "IPEngine", "paramiko", OPT_BOOL, .preset = "false", .inert = true,
     .help = "Make the tunnel with paramiko; there are no tunnels yet"},
    {P, "IPEngine", "curve_serverkey", OPT_TEXT, .env = "IPP_CURVE_SERVERKEY",
     .help = "The controller's public key (Z85), where the connection file has none"},
    {P, "IPEngine", "curve_secretkey", OPT_SECRET, .env = "IPP_CURVE_SECRETKEY",
     .help = "The engine's secret key (Z85): a fresh pair when not given"},
    {P, "IPEngine", "curve_publickey", OPT_TEXT, .env = "IPP_CURVE_PUBLICKEY",
     .help = "The engine's public key (Z85)"},
    {P, "IPEngine", "out_stream_factory", OPT_TEXT, .inert = true,
     .help = "Class for stdout and stderr"},
    {P, "IPEngine", "display_hook_factory", OPT_TEXT, .inert = true,
     .help = "Class that shows results"},
};
const size_t n_options_engine = sizeof(options_engine) / sizeof(options_engine[0]);
