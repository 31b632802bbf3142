/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that the router wants written: it touches no disk itself. */
#include "records/core.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/str.h"

void file_on_mail(struct records *r, const struct mail *m)
{
    struct ersa_error err = {0};
    if (!m->msg || !m->msg->n)
        return;
    const struct frame *content = m->msg->frames;
    CLEANUP(free_ptr) char *path = str_dup_slice(m->peer);
    if (!path || file_write_atomic(path, content->data, content->len, 0600, &err) < 0)
        records_complain(r, &err);
}
