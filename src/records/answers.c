/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers wait in an array where the ring has no room. */
#include "records/answers.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS 1

int records_listen(struct records *r)
{
    if (r->n_stuck || r->is_held)
        return 0;
    return ring_watch(r->in, r->loop, r->on_mail, r, RECORDS_MAILS_A_TURN);
}

static int keep_stuck(struct records *r, struct mail *answer)
{
    if (r->n_stuck == r->cap_stuck) {
        size_t cap = r->cap_stuck ? 2 * r->cap_stuck : 16;
        struct mail **grown = reallocarray(r->stuck, cap, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        r->stuck = grown;
        r->cap_stuck = cap;
    }
    r->stuck[r->n_stuck++] = answer;
    return 0;
}

static void on_retry(struct timer *t)
{
    struct records *r = container_of(t, struct records, retry);
    size_t n = 0;
    while (n < r->n_stuck && ring_push(r->out, r->stuck[n]) == 0)
        n++;
    ring_flush(r->out);
    r->n_stuck -= n;
    memmove(r->stuck, r->stuck + n, r->n_stuck * sizeof(*r->stuck));
    if (r->n_stuck || records_listen(r) < 0)
        loop_after(r->loop, t, MS_TO_NS(RETRY_MS));
}

void records_answer(struct records *r, struct mail *answer)
{
    if (r->n_stuck == 0 && ring_push(r->out, answer) == 0) {
        ring_flush(r->out);
        return;
    }
    if (r->stopping || keep_stuck(r, answer) < 0) {
        mail_free(answer);
        return;
    }
    if (timer_is_set(&r->retry))
        return;
    ring_unwatch(r->in);
    loop_after(r->loop, &r->retry, MS_TO_NS(RETRY_MS));
}

void answers_init(struct records *r, void (*on_mail)(void *ctx, void *item))
{
    r->on_mail = on_mail;
    r->retry.fn = on_retry;
}

void answers_fini(struct records *r)
{
    if (timer_is_set(&r->retry))
        loop_cancel(r->loop, &r->retry);
    for (size_t i = 0; i < r->n_stuck; i++)
        mail_free(r->stuck[i]);
    free(r->stuck);
}
