/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel knows about this process, under the names that every exporter uses. */
#ifndef ERSA_WEB_PROCESS_H
#define ERSA_WEB_PROCESS_H

#include "stats/sheet.h"

/* What can't be read is left out. */
void process_put(struct stats_sheet *s);

#endif
