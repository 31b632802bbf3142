/* SPDX-License-Identifier: BSD-3-Clause */
/* What one thread tells about itself: a sheet of plain figures, each with the name of a metric
 * (metrics.def) and its labels. A sheet holds no pointer into anybody's memory, so that it can
 * be handed over (desk.h). */
#ifndef ERSA_STATS_SHEET_H
#define ERSA_STATS_SHEET_H

#include <stdint.h>

#include "stats/hist.h"

enum stats_metric {
#define X(id, name, type, key, key2, help) STATS_##id,
#include "stats/metrics.def"
#undef X
    STATS_METRIC_MAX,
};

enum stats_type { STATS_COUNTER, STATS_GAUGE, STATS_HISTOGRAM };

struct stats_metric_def {
    const char *name;
    enum stats_type type;
    const char *keys[2]; /* of its labels; "": none */
    const char *help;
};
extern const struct stats_metric_def stats_metrics[STATS_METRIC_MAX];

#define STATS_LABEL_MAX 24 /* with NUL; a longer one is cut */
#define STATS_SAMPLES_MAX 192
#define STATS_HISTS_MAX 8

struct stats_sample {
    enum stats_metric metric;
    char labels[2][STATS_LABEL_MAX];
    double value;
};

struct stats_sheet {
    int64_t at_ns; /* clock_mono_ns() when it was filled; 0: never */
    unsigned n_samples, n_hists;
    unsigned n_lost; /* there was no room for these */
    struct stats_sample samples[STATS_SAMPLES_MAX];
    struct {
        enum stats_metric metric;
        struct stats_hist hist;
    } hists[STATS_HISTS_MAX];
};

void stats_reset(struct stats_sheet *s);
/* `label` and `label2` are copied; NULL where the metric has none. */
void stats_put(struct stats_sheet *s, enum stats_metric m, double value);
void stats_put_label(struct stats_sheet *s, enum stats_metric m, const char *label,
                     double value);
void stats_put_labels(struct stats_sheet *s, enum stats_metric m, const char *label,
                      const char *label2, double value);
void stats_put_hist(struct stats_sheet *s, enum stats_metric m, const struct stats_hist *h);
/* CPU time of the calling thread, under its name. */
void stats_put_thread(struct stats_sheet *s, const char *thread);

#endif
