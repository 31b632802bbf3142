/* SPDX-License-Identifier: BSD-3-Clause */
/* Filling a sheet. */
#include "stats/sheet.h"

#include <stdio.h>
#include <time.h>

const struct stats_metric_def stats_metrics[STATS_METRIC_MAX] = {
#define X(id, name, type, key, key2, help) {name, STATS_##type, {key, key2}, help},
#include "stats/metrics.def"
#undef X
};

void stats_reset(struct stats_sheet *s)
{
    s->at_ns = 0;
    s->n_samples = s->n_hists = s->n_lost = 0;
}

void stats_put_labels(struct stats_sheet *s, enum stats_metric m, const char *label,
                      const char *label2, double value)
{
    if (s->n_samples == STATS_SAMPLES_MAX) {
        s->n_lost++;
        return;
    }
    struct stats_sample *it = &s->samples[s->n_samples++];
    it->metric = m;
    it->value = value;
    snprintf(it->labels[0], STATS_LABEL_MAX, "%s", label ? label : "");
    snprintf(it->labels[1], STATS_LABEL_MAX, "%s", label2 ? label2 : "");
}

void stats_put_label(struct stats_sheet *s, enum stats_metric m, const char *label,
                     double value)
{
    stats_put_labels(s, m, label, NULL, value);
}

void stats_put(struct stats_sheet *s, enum stats_metric m, double value)
{
    stats_put_labels(s, m, NULL, NULL, value);
}

void stats_put_hist(struct stats_sheet *s, enum stats_metric m, const struct stats_hist *h)
{
    if (s->n_hists == STATS_HISTS_MAX) {
        s->n_lost++;
        return;
    }
    s->hists[s->n_hists].metric = m;
    s->hists[s->n_hists++].hist = *h;
}

void stats_put_thread(struct stats_sheet *s, const char *thread)
{
    struct timespec ts;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) == 0)
        stats_put_label(s, STATS_THREAD_CPU, thread,
                        (double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}
