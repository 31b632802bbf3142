/* SPDX-License-Identifier: BSD-3-Clause */
/* A row is one allocation: its dates, its id, and pointers to texts that are counted by their
 * users. Results that failed keep their `ename`, and their whole content where it is short. */
#include "store/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"
#include "wire/jscan.h"

#define SLOT_BYTES 32     /* of a map, and of malloc(), with what they leave empty */
#define CONTENT_SHORT 256 /* of a failure: kept as it came */
#define NAME_MAX_LEN 128  /* of its status and its ename otherwise */

static const unsigned char date_fields[] = {F_submitted, F_started, F_completed, F_received};
static const unsigned char text_fields[] = {F_client_uuid, F_engine_uuid, F_resubmitted,
                                            F_queue,       F_label,       F_result_content};
#define N_DATES (sizeof(date_fields) / sizeof(date_fields[0]))
#define N_TEXTS (sizeof(text_fields) / sizeof(text_fields[0]))

struct shared_text {
    size_t users, len;
    char text[];
};

struct account {
    struct list all;
    int64_t dates[N_DATES];
    struct shared_text *texts[N_TEXTS]; /* NULL: not set */
    uint32_t set;                       /* of the dates */
    unsigned creates : 1, id_len : 31;
    char id[];
};

void accounts_init(struct accounts *a)
{
    *a = (struct accounts){.bytes = 0};
    map_init(&a->by_id);
    map_init(&a->texts);
    list_init(&a->all);
}

void accounts_fini(struct accounts *a)
{
    struct account *row;
    while ((row = accounts_first(a)))
        accounts_drop(a, row);
    map_fini(&a->by_id);
    map_fini(&a->texts);
}

/* Texts */

static size_t text_bytes(const struct shared_text *t)
{
    return sizeof(*t) + t->len + SLOT_BYTES;
}

static struct shared_text *share_text(struct accounts *a, struct slice s)
{
    struct shared_text *t = map_get(&a->texts, s.data, s.len);
    if (!t) {
        t = malloc(sizeof(*t) + s.len);
        if (!t)
            return NULL;
        *t = (struct shared_text){.len = s.len};
        if (s.len)
            memcpy(t->text, s.data, s.len);
        if (map_put(&a->texts, t->text, t->len, t) < 0) {
            free(t);
            return NULL;
        }
        a->bytes += text_bytes(t);
    }
    t->users++;
    return t;
}

static void release_text(struct accounts *a, struct shared_text *t)
{
    if (!t || --t->users)
        return;
    map_remove(&a->texts, t->text, t->len);
    a->bytes -= text_bytes(t);
    free(t);
}

static int set_text(struct accounts *a, struct shared_text **at, struct slice s)
{
    struct shared_text *t = s.data ? share_text(a, s) : NULL;
    if (s.data && !t)
        return ERSA_ENOMEM;
    release_text(a, *at);
    *at = t;
    return 0;
}

/* What stays of a result: who succeeded has lost what it returned, who failed keeps its name.
 */
struct slice accounts_outcome(struct slice content, char buf[ACCOUNTS_OUTCOME_MAX])
{
    struct jfield f[] = {{.key = "status"}, {.key = "ename"}};
    if (!content.data || slice_eq(content, store_stripped_content) ||
        jscan(content, f, 2) < 0 || f[0].type != J_STRING || slice_is(f[0].raw, "ok") ||
        f[0].raw.len > NAME_MAX_LEN)
        return store_stripped_content;
    if (content.len <= CONTENT_SHORT)
        return content;
    if (f[1].type != J_STRING || f[1].raw.len > NAME_MAX_LEN)
        f[1].raw = SLICE_LIT(STORE_STRIPPED_ENAME);
    int n =
        snprintf(buf, ACCOUNTS_OUTCOME_MAX,
                 "{\"status\": \"%.*s\", \"ename\": \"%.*s\", \"evalue\": \"the text of "
                 "this failure was dropped: the store had no room for it\", \"traceback\": [], "
                 "\"engine_info\": {}}",
                 SLICE_FMT(f[0].raw), SLICE_FMT(f[1].raw));
    return (struct slice){buf, (size_t)n};
}

/* Rows */

static size_t row_bytes(const struct account *row)
{
    return sizeof(*row) + row->id_len + SLOT_BYTES;
}

struct account *accounts_find(const struct accounts *a, struct slice id)
{
    return map_get(&a->by_id, id.data, id.len);
}

int accounts_merge(struct accounts *a, struct account *row, const struct store_record *r,
                   bool creates)
{
    char buf[ACCOUNTS_OUTCOME_MAX];
    row->creates |= creates;
    for (unsigned i = 0; i < N_DATES; i++) {
        if (!(r->set & STORE_FIELD(date_fields[i])))
            continue;
        row->set |= STORE_FIELD(date_fields[i]);
        row->dates[i] = r->v[date_fields[i]].date;
    }
    for (unsigned i = 0; i < N_TEXTS; i++) {
        unsigned f = text_fields[i];
        if (!(r->set & STORE_FIELD(f)))
            continue;
        struct slice s = r->v[f].text;
        int rc =
            set_text(a, &row->texts[i], f == F_result_content ? accounts_outcome(s, buf) : s);
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct account *accounts_add(struct accounts *a, const struct pending_entry *e)
{
    struct account *row = calloc(1, sizeof(*row) + e->id_len);
    if (!row)
        return NULL;
    row->id_len = (unsigned)e->id_len & 0x7fffffff;
    memcpy(row->id, e->id, e->id_len);
    if (map_put(&a->by_id, row->id, row->id_len, row) < 0) {
        free(row);
        return NULL;
    }
    list_push_back(&a->all, &row->all);
    a->bytes += row_bytes(row);
    if (accounts_merge(a, row, &e->rec, e->creates) < 0) {
        accounts_drop(a, row);
        return NULL;
    }
    return row;
}

void accounts_drop(struct accounts *a, struct account *row)
{
    map_remove(&a->by_id, row->id, row->id_len);
    list_remove(&row->all);
    a->bytes -= row_bytes(row);
    for (unsigned i = 0; i < N_TEXTS; i++)
        release_text(a, row->texts[i]);
    free(row);
}

struct account *accounts_first(const struct accounts *a)
{
    return list_is_empty(&a->all) ? NULL : container_of(a->all.next, struct account, all);
}

void accounts_show(const struct account *row, struct pending_entry *ret)
{
    *ret = (struct pending_entry){.creates = row->creates};
    ret->rec.set = row->set | STORE_FIELD(F_msg_id);
    ret->rec.v[F_msg_id].text = (struct slice){row->id, row->id_len};
    for (unsigned i = 0; i < N_DATES; i++)
        ret->rec.v[date_fields[i]].date = row->dates[i];
    for (unsigned i = 0; i < N_TEXTS; i++) {
        const struct shared_text *t = row->texts[i];
        if (!t)
            continue;
        ret->rec.set |= STORE_FIELD(text_fields[i]);
        ret->rec.v[text_fields[i]].text = (struct slice){t->text, t->len};
    }
}
