/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that the router wants written: it touches no disk itself. One that can't be written (no
 * room, no descriptor) is kept, and tried again until it can, or until a newer one comes. */
#include <stdlib.h>
#include <string.h>

#include "records/core.h"
#include "util/file.h"
#include "util/str.h"

#define AGAIN_MS 1000

static void forget(struct unwritten *u, struct loop *l)
{
    loop_cancel(l, &u->again);
    free(u->path);
    free(u->data);
    u->path = NULL;
    u->data = NULL;
}

static void try_again(struct records *r)
{
    struct unwritten *u = &r->unwritten;
    if (file_write_atomic(u->path, u->data, u->len, 0600, NULL) == 0)
        forget(u, r->loop);
    else if (!r->stopping)
        loop_after(r->loop, &u->again, MS_TO_NS(AGAIN_MS));
}

static void on_again(struct timer *t)
{
    try_again(container_of(t, struct records, unwritten.again));
}

/* For want of memory the next change is waited for. */
static void keep(struct records *r, struct slice path, const struct frame *content)
{
    struct unwritten *u = &r->unwritten;
    u->path = str_dup_slice(path);
    u->data = malloc(content->len + 1);
    if (!u->path || !u->data) {
        forget(u, r->loop);
        return;
    }
    memcpy(u->data, content->data, content->len);
    u->len = content->len;
    u->again.fn = on_again;
    loop_after(r->loop, &u->again, MS_TO_NS(AGAIN_MS));
}

void file_on_mail(struct records *r, const struct mail *m)
{
    struct ersa_error err = {0};
    if (!m->msg || !m->msg->n)
        return;
    const struct frame *content = m->msg->frames;
    char *path = str_dup_slice(m->peer);
    forget(&r->unwritten, r->loop);
    if (!path || file_write_atomic(path, content->data, content->len, 0600, &err) < 0) {
        records_complain(r, &err);
        keep(r, m->peer, content);
    }
    free(path);
}

void file_stop(struct records *r)
{
    if (r->unwritten.path)
        try_again(r);
    forget(&r->unwritten, r->loop);
}
