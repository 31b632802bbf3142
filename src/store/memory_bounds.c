/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes for want of room. Every record is in two lists: all of them by creation, and, to be
 * dropped from the front, those that are done (or were never requested) or those that are not.
 * Beyond the octets of buffers the first in this order lose theirs; beyond those of text they
 * lose what is long of it, and say so. Records themselves go when there are too many, or when
 * what is left of them is too much. */
#include "store/accounts.h"
#include "store/memory_impl.h"

#define STREAM_DROPPED "[the store had no room for this output]\n"

void memory_drop(struct memory *m, struct entry *e)
{
    if (m->last == e)
        m->last = NULL;
    map_remove(&m->by_id, e->id, e->id_len);
    list_remove(&e->all);
    list_remove(&e->age);
    for (int i = 0; i < N_LOADS; i++)
        list_remove(&e->loads[i]);
    m->buffer_bytes -= e->buffer_bytes;
    m->text_bytes -= e->text_bytes;
    entry_free(e);
}

static void count_again(struct memory *m, struct entry *e)
{
    m->buffer_bytes -= e->buffer_bytes;
    m->text_bytes -= e->text_bytes;
    entry_weigh(e);
    m->buffer_bytes += e->buffer_bytes;
    m->text_bytes += e->text_bytes;
}

static void place_load(struct memory *m, struct entry *e, enum memory_load load, bool has,
                       bool moves)
{
    struct list *at = &e->loads[load];
    if (has && !moves && !list_is_empty(at))
        return;
    list_remove(at);
    if (has)
        list_push_back(&m->queues[entry_is_done(e)].loads[load], at);
}

void memory_changed(struct memory *m, struct entry *e, bool moves)
{
    if (moves) {
        list_remove(&e->age);
        list_push_back(&m->queues[entry_is_done(e)].age, &e->age);
    }
    count_again(m, e);
    place_load(m, e, LOAD_BUFFERS, e->buffer_bytes, moves);
    place_load(m, e, LOAD_TEXT, entry_heavy_texts(e), moves);
}

/* Less of a record */

static int strip_buffers(struct entry *e, struct store_record *change)
{
    const struct store_record *r = &e->rec;
    if (!store_is_null(r, F_result_buffers) &&
        store_binary_bytes(&r->v[F_result_buffers].binary)) {
        change->set = STORE_FIELD(F_result_content);
        change->v[F_result_content].text = store_stripped_content;
    }
    return entry_unset(e, STORE_BUFFERS);
}

static void set_text(struct store_record *r, enum store_field f, struct slice text)
{
    r->set |= STORE_FIELD(f);
    r->v[f].text = text;
}

/* A failure keeps its name, a result without its content is none. */
static int strip_text(struct entry *e, struct store_record *change,
                      char content[ACCOUNTS_OUTCOME_MAX])
{
    static const unsigned char objects[] = {F_metadata, F_result_metadata},
                               streams[] = {F_stdout, F_stderr};
    uint32_t heavy = entry_heavy_texts(e), without = heavy;
    for (int i = 0; i < 2; i++) {
        if (heavy & STORE_FIELD(objects[i]))
            set_text(change, objects[i], SLICE_LIT("{}"));
        if (heavy & STORE_FIELD(streams[i]))
            set_text(change, streams[i], SLICE_LIT(STREAM_DROPPED));
    }
    if (heavy & STORE_FIELD(F_result_content)) {
        set_text(change, F_result_content,
                 accounts_outcome(e->rec.v[F_result_content].text, content));
        without |= STORE_FIELD(F_result_buffers);
    }
    return entry_unset(e, without);
}

/* It can always be dropped whole. */
static void strip(struct memory *m, struct entry *e, enum memory_load load)
{
    struct store_record change = {.set = 0};
    char content[ACCOUNTS_OUTCOME_MAX];
    int rc = load == LOAD_BUFFERS ? strip_buffers(e, &change) : strip_text(e, &change, content);
    if (rc == 0)
        rc = entry_write(e, &change, sizeof(STREAM_DROPPED));
    if (rc < 0) {
        memory_drop(m, e);
        return;
    }
    m->base.counts.stripped += !e->is_stripped;
    e->is_stripped = true;
    memory_changed(m, e, false);
}

static bool strip_oldest(struct memory *m, enum memory_load load, const struct entry *keep)
{
    for (int done = 1; done >= 0; done--)
        list_for_each (&m->queues[done].loads[load], it) {
            struct entry *e = container_of(it, struct entry, loads[load]);
            if (e == keep)
                continue;
            strip(m, e, load);
            return true;
        }
    return false;
}

static bool drop_oldest(struct memory *m, const struct entry *keep)
{
    for (int done = 1; done >= 0; done--)
        list_for_each (&m->queues[done].age, it) {
            struct entry *e = container_of(it, struct entry, age);
            if (e == keep)
                continue;
            memory_drop(m, e);
            return true;
        }
    return false;
}

/* Limits */

static void cull_text(struct memory *m, struct entry *keep)
{
    double enough = (1 - m->limits.cull) * (double)m->text_limit;
    while ((double)m->text_bytes > enough && strip_oldest(m, LOAD_TEXT, keep))
        ;
    /* The newest one alone is too much: better less of it than none of the others. */
    if ((double)m->text_bytes > enough && (double)keep->text_bytes > enough / 2 &&
        entry_heavy_texts(keep))
        strip(m, keep, LOAD_TEXT);
    while ((double)m->text_bytes > enough && drop_oldest(m, keep))
        ;
}

void memory_cull(struct memory *m, struct entry *keep)
{
    double kept = 1 - m->limits.cull;
    if (m->limits.records && map_size(&m->by_id) > m->limits.records) {
        double share = m->limits.cull * (double)m->limits.records;
        size_t n = share >= 1 ? (size_t)share : 1;
        while (n-- && drop_oldest(m, keep))
            ;
    }
    if (m->limits.bytes && m->buffer_bytes > m->limits.bytes)
        while ((double)m->buffer_bytes > kept * (double)m->limits.bytes &&
               strip_oldest(m, LOAD_BUFFERS, keep))
            ;
    if (m->text_bytes > m->text_limit)
        cull_text(m, keep);
}
