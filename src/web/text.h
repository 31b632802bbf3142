/* SPDX-License-Identifier: BSD-3-Clause */
/* Sheets as the text format of Prometheus, version 0.0.4: every metric once, in the order of
 * stats/metrics.def, with the figures of all threads. */
#ifndef ERSA_WEB_TEXT_H
#define ERSA_WEB_TEXT_H

#include "stats/sheet.h"
#include "util/buf.h"

#define TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Metrics without a figure are left out. 0, ERSA_ENOMEM, ERSA_EFULL. */
int text_render(struct buf *out, const struct stats_sheet *const *sheets, unsigned n);

#endif
