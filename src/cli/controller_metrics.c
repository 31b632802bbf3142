/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts and stops the web thread. */
#include "cli/controller_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/str.h"

void controller_metrics_open(struct controller_metrics *m, const struct cli *c)
{
    if (!options_is_set(c->options, "IPController.metrics_port"))
        return;
    m->router = desk_new("router");
    m->records = desk_new("records");
    if (m->router && m->records)
        return;
    log_error("metrics::not served: out of memory");
    controller_metrics_end(m);
}

static bool is_wildcard(const char *ip)
{
    return strcmp(ip, "*") == 0 || strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

static bool is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0 ||
           strcmp(ip, "localhost") == 0;
}

void controller_metrics_start(struct controller_metrics *m, struct controller_setup *s,
                              const struct cli *c)
{
    struct ersa_error err = {0};
    const char *ip = options_text(c->options, "IPController.metrics_ip");
    struct stats_desk *const desks[] = {m->router, m->records};
    const struct web_config cfg = {
        .ip = ip,
        .port = (int)options_int(c->options, "IPController.metrics_port"),
        .desks = desks,
        .n_desks = 2,
    };
    free(s->client.metrics); /* of an earlier run */
    s->client.metrics = NULL;
    if (!m->router)
        return;
    if (web_start(&m->web, &cfg, &err) < 0) {
        log_error("metrics::not served: %s", err.text);
        return;
    }
    const char *host = is_wildcard(ip) ? s->client.location : ip;
    CLEANUP(free_ptr)
    char *url =
        str_printf(strchr(host, ':') ? "http://[%s]:%d/metrics" : "http://%s:%d/metrics", host,
                   web_port(m->web));
    if (!url || connection_info_set(&s->client.metrics, url) < 0)
        return;
    log_info("Metrics at %s", url);
    if (!is_loopback(ip))
        log_warn("metrics::whoever reaches %s can read the figures of this cluster", url);
}

void controller_metrics_stop(struct controller_metrics *m)
{
    web_stop(m->web);
    m->web = NULL;
}

void controller_metrics_end(struct controller_metrics *m)
{
    desk_free(m->router);
    desk_free(m->records);
    m->router = m->records = NULL;
}
