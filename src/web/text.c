/* SPDX-License-Identifier: BSD-3-Clause */
/* Renders sheets. Errors stay in a struct, so that a line is one call. */
#include "web/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"

#define NUMBER_MAX 32

struct writer {
    struct buf *out;
    int rc;
};

static void put(struct writer *w, const char *text)
{
    if (w->rc == 0)
        w->rc = buf_puts(w->out, text);
}

static void put_escaped(struct writer *w, const char *text)
{
    for (; *text && w->rc == 0; text++) {
        if (*text == '\\' || *text == '"' || *text == '\n')
            w->rc = buf_putc(w->out, '\\');
        if (w->rc == 0)
            w->rc = buf_putc(w->out, *text == '\n' ? 'n' : *text);
    }
}

/* The shortest text that reads back as the same number. */
static void put_number(struct writer *w, double value)
{
    char text[NUMBER_MAX];
    if (isnan(value) || isinf(value)) {
        put(w, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    put(w, text);
}

static void put_head(struct writer *w, const struct stats_metric_def *m)
{
    static const char *const types[] = {
        [STATS_COUNTER] = "counter", [STATS_GAUGE] = "gauge", [STATS_HISTOGRAM] = "histogram"};
    const char *const parts[] = {"# HELP ", m->name,        " ", m->help, "\n# TYPE ", m->name,
                                 " ",       types[m->type], "\n"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        put(w, parts[i]);
}

static void put_sample(struct writer *w, const struct stats_metric_def *m,
                       const struct stats_sample *s)
{
    put(w, m->name);
    for (int i = 0; i < 2 && *m->keys[i]; i++) {
        put(w, i ? "," : "{");
        put(w, m->keys[i]);
        put(w, "=\"");
        put_escaped(w, s->labels[i]);
        put(w, "\"");
    }
    put(w, *m->keys[0] ? "} " : " ");
    put_number(w, s->value);
    put(w, "\n");
}

static void put_line(struct writer *w, const char *name, const char *suffix, double value)
{
    put(w, name);
    put(w, suffix);
    put_number(w, value);
    put(w, "\n");
}

static void put_hist(struct writer *w, const struct stats_metric_def *m,
                     const struct stats_hist *h)
{
    uint64_t n = 0;
    for (unsigned i = 0; i <= STATS_N_BOUNDS; i++) {
        n += h->counts[i];
        put(w, m->name);
        put(w, "_bucket{le=\"");
        put_number(w, i < STATS_N_BOUNDS ? (double)stats_bounds_ns[i] / 1e9 : INFINITY);
        put_line(w, "\"", "} ", (double)n);
    }
    put_line(w, m->name, "_sum ", (double)h->sum_ns / 1e9);
    put_line(w, m->name, "_count ", (double)n);
}

int text_render(struct buf *out, const struct stats_sheet *const *sheets, unsigned n)
{
    struct writer w = {out, 0};
    for (int m = 0; m < STATS_METRIC_MAX; m++) {
        const struct stats_metric_def *def = &stats_metrics[m];
        bool has_head = false;
        for (unsigned i = 0; i < n; i++) {
            for (unsigned k = 0; k < sheets[i]->n_samples; k++) {
                if ((int)sheets[i]->samples[k].metric != m)
                    continue;
                if (!has_head)
                    put_head(&w, def);
                has_head = true;
                put_sample(&w, def, &sheets[i]->samples[k]);
            }
            for (unsigned k = 0; k < sheets[i]->n_hists; k++) {
                if ((int)sheets[i]->hists[k].metric != m)
                    continue;
                put_head(&w, def);
                put_hist(&w, def, &sheets[i]->hists[k].hist);
            }
        }
    }
    return w.rc;
}
