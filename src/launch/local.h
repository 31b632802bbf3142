/* SPDX-License-Identifier: BSD-3-Clause */
/* The local launcher: processes of this machine (launchers.md 3). */
#ifndef ERSA_LAUNCH_LOCAL_H
#define ERSA_LAUNCH_LOCAL_H

#include "launch/launcher.h"

extern const struct launcher_ops launcher_local;

#endif
