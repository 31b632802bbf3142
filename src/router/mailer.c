/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring to records and the queue in front of it. */
#include "router/mailer.h"

#include <stdlib.h>
#include <string.h>

#include "router/core.h"
#include "util/clock.h"
#include "util/log.h"

#define RETRY_MS 1
#define NUDGE_MS 2 /* a wake-up costs more than what a few tasks have to tell */
#define HEAVY_MAX ((size_t)32 << 20) /* octets of heavy mail on its way */

static void flush_ring(struct defer *d)
{
    struct mailer *m = container_of(d, struct mailer, flush);
    ring_flush(m->ring);
}

static void on_nudge(struct timer *t)
{
    ring_flush(container_of(t, struct mailer, nudge)->ring);
}

/* Somebody waits for the answer to a query; everything else can wait a little, as long as there
 * is room. */
static void wake_records(struct router *r, enum mail_type type)
{
    struct mailer *m = &r->mailer;
    if (type == MAIL_QUERY || ring_room(m->ring) < m->low_room)
        loop_defer(r->loop, &m->flush);
    else if (!timer_is_set(&m->nudge))
        loop_after(r->loop, &m->nudge, MS_TO_NS(NUDGE_MS));
}

/* Half of the ring belongs to what is on its way already: who submits is held back before those
 * who bring results, so that engines go on while records catches up. */
static bool is_tight(const struct mailer *m)
{
    return ring_room(m->ring) < m->low_room || ring_loaded(m->ring) > HEAVY_MAX / 2;
}

static bool has_eased(const struct mailer *m)
{
    return m->n == 0 && ring_room(m->ring) >= m->low_room + m->low_room / 2 &&
           ring_loaded(m->ring) <= HEAVY_MAX / 4;
}

/* The ring is bounded by the number of mails, and by the octets of the heavy ones. */
static int push(struct mailer *m, struct mail *mail)
{
    size_t weight = mail_weight(mail);
    if (weight == 0)
        return ring_push(m->ring, mail);
    if (ring_loaded(m->ring) > HEAVY_MAX)
        return ERSA_EFULL;
    ring_load(m->ring, weight);
    int rc = ring_push(m->ring, mail);
    if (rc < 0)
        ring_unload(m->ring, weight);
    return rc;
}

static int wait_in_line(struct mailer *m, struct mail *mail)
{
    if (m->first + m->n == m->cap) {
        if (m->first > m->cap / 2) {
            memmove(m->waiting, m->waiting + m->first, m->n * sizeof(*m->waiting));
        } else {
            size_t cap = m->cap ? 2 * m->cap : 256;
            struct mail **grown = reallocarray(m->waiting, cap, sizeof(*grown));
            if (!grown)
                return ERSA_ENOMEM;
            memmove(grown, grown + m->first, m->n * sizeof(*grown));
            m->waiting = grown;
            m->cap = cap;
        }
        m->first = 0;
    }
    m->waiting[m->first + m->n++] = mail;
    m->n_queries += mail->type == MAIL_QUERY;
    return 0;
}

static struct mail *take_first(struct mailer *m)
{
    struct mail *mail = m->waiting[m->first++];
    m->n--;
    m->n_queries -= mail->type == MAIL_QUERY;
    return mail;
}

static bool goes_aside(const struct mailer *m, enum mail_type type)
{
    return type == MAIL_QUERY && m->aside && ring_is_stalled(m->ring);
}

/* As far as there is room. */
static void send_aside(struct mailer *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct mail *mail = m->waiting[m->first + i];
        if (mail->type == MAIL_QUERY && ring_push(m->aside, mail) == 0)
            m->n_queries--;
        else
            m->waiting[m->first + kept++] = mail;
    }
    m->n = kept;
    ring_flush(m->aside);
}

static void resume(struct list *paused)
{
    struct list *it;
    while ((it = list_pop_front(paused)))
        peer_resume(container_of(it, struct link, wait)->peer);
}

static void on_retry(struct timer *t)
{
    struct router *r = container_of(t, struct router, mailer.retry);
    struct mailer *m = &r->mailer;
    while (m->n && push(m, m->waiting[m->first]) == 0)
        take_first(m);
    if (m->n_queries && goes_aside(m, MAIL_QUERY))
        send_aside(m);
    ring_flush(m->ring);
    if (m->n == 0) {
        m->first = 0;
        resume(&m->paused);
    }
    if (has_eased(m))
        resume(&m->submitters);
    if (m->n || !list_is_empty(&m->submitters))
        loop_after(r->loop, t, MS_TO_NS(RETRY_MS));
}

static void hold_back(struct router *r, struct link *source, struct list *paused)
{
    struct mailer *m = &r->mailer;
    if (source && list_is_empty(&source->wait)) {
        peer_pause(source->peer);
        list_push_back(paused, &source->wait);
    }
    if (!timer_is_set(&m->retry))
        loop_after(r->loop, &m->retry, MS_TO_NS(RETRY_MS));
}

static int send_mail(struct router *r, struct mail *mail, struct link *source)
{
    struct mailer *m = &r->mailer;
    enum mail_type type = mail->type;
    if (goes_aside(m, type) && ring_push(m->aside, mail) == 0) {
        ring_flush(m->aside);
        return 0;
    }
    if (m->n == 0 && push(m, mail) == 0) {
        wake_records(r, type);
        if (type == MAIL_REQUEST && is_tight(m))
            hold_back(r, source, &m->submitters);
        return 0;
    }
    int rc = wait_in_line(m, mail);
    if (rc == 0)
        hold_back(r, source, type == MAIL_REQUEST ? &m->submitters : &m->paused);
    return rc;
}

void mailer_start(struct router *r, struct ring *to_records, struct ring *aside)
{
    struct mailer *m = &r->mailer;
    m->ring = to_records;
    m->aside = aside;
    m->flush.fn = flush_ring;
    list_init(&m->flush.link);
    m->retry.fn = on_retry;
    m->nudge.fn = on_nudge;
    m->low_room = ring_room(to_records) / 2;
    list_init(&m->paused);
    list_init(&m->submitters);
}

/* Records reads its ring to the end, so there will be room for what still waits. */
void mailer_stop(struct router *r)
{
    struct mailer *m = &r->mailer;
    loop_undefer(&m->flush);
    loop_cancel(r->loop, &m->retry);
    loop_cancel(r->loop, &m->nudge);
    for (size_t i = 0; i < m->n; i++) {
        struct mail *mail = m->waiting[m->first + i];
        ring_load(m->ring, mail_weight(mail));
        if (ring_push(m->ring, mail) < 0)
            mail_free(mail);
    }
    free(m->waiting);
    m->waiting = NULL;
    m->n = 0;
    mail_pages_fini(&m->pages);
    ring_flush(m->ring);
}

int mailer_post(struct router *r, const struct letter *letter, struct link *source)
{
    struct mail *mail = mail_new(&r->mailer.pages, letter);
    if (!mail) {
        r->mailer.lost++;
        return ERSA_ENOMEM;
    }
    mail->now_us = clock_utc_us();
    r->mailer.posted++;
    int rc = send_mail(r, mail, source);
    if (rc < 0) {
        mail_free(mail);
        r->mailer.lost++;
    }
    return rc;
}
