/* SPDX-License-Identifier: BSD-3-Clause */
/* One entry a record. What each change brings is copied into the entry's newest chunk or a new
 * one, the lists of buffers first for the sake of their alignment; chunks go with their entry.
 * Entries and chunks of the usual size are used again. */
#include "store/pending.h"

#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

#define CHUNK_MIN 1280 /* room for a short request, or for its result */
#define IDLE_MAX 4096  /* entries, and chunks, that are kept for the next */
#define ID_ROOM 80

struct pending_chunk {
    struct pending_chunk *next;
    size_t used, cap;
    max_align_t data[];
};

void pending_init(struct pending *p)
{
    *p = (struct pending){.bytes = 0};
    map_init(&p->by_id);
    list_init(&p->open);
    list_init(&p->done);
    list_init(&p->written);
    list_init(&p->idle);
}

static void drop_all(struct pending *p, struct list *l)
{
    list_for_each (l, it)
        pending_drop(p, container_of(it, struct pending_entry, all));
}

void pending_fini(struct pending *p)
{
    drop_all(p, &p->open);
    drop_all(p, &p->done);
    drop_all(p, &p->written);
    map_fini(&p->by_id);
    struct list *it;
    while ((it = list_pop_front(&p->idle)))
        free(container_of(it, struct pending_entry, all));
    while (p->idle_chunks) {
        struct pending_chunk *next = p->idle_chunks->next;
        free(p->idle_chunks);
        p->idle_chunks = next;
    }
}

struct pending_entry *pending_find(const struct pending *p, struct slice id)
{
    return map_get(&p->by_id, id.data, id.len);
}

static void count(struct pending *p, struct pending_entry *e, size_t bytes)
{
    e->bytes += bytes;
    p->bytes += bytes;
}

/* Values that are not set stay what they were. */
static struct pending_entry *take_entry(struct pending *p, size_t id_len)
{
    struct pending_entry *e;
    struct list *it = id_len <= ID_ROOM ? list_pop_front(&p->idle) : NULL;
    if (it) {
        e = container_of(it, struct pending_entry, all);
        p->n_idle--;
    } else {
        e = malloc(sizeof(*e) + (id_len < ID_ROOM ? ID_ROOM : id_len));
    }
    if (e)
        memset(&e->dirty, 0, sizeof(*e) - offsetof(struct pending_entry, dirty));
    return e;
}

static void keep_entry(struct pending *p, struct pending_entry *e)
{
    if (p->n_idle == IDLE_MAX || e->id_len > ID_ROOM) {
        free(e);
        return;
    }
    p->n_idle++;
    list_push_front(&p->idle, &e->all);
}

/* Room for `bytes` at the end of the entry's memory. */
static char *take_room(struct pending *p, struct pending_entry *e, size_t bytes)
{
    struct pending_chunk *c = e->chunks;
    bytes = (bytes + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    if (!c || c->cap - c->used < bytes) {
        size_t cap = bytes < CHUNK_MIN ? CHUNK_MIN : bytes;
        c = cap == CHUNK_MIN ? p->idle_chunks : NULL;
        if (c) {
            p->idle_chunks = c->next;
            p->n_idle_chunks--;
        } else {
            c = malloc(sizeof(*c) + cap);
        }
        if (!c)
            return NULL;
        *c = (struct pending_chunk){.next = e->chunks, .cap = cap};
        e->chunks = c;
        count(p, e, sizeof(*c) + cap);
    }
    char *room = (char *)c->data + c->used;
    c->used += bytes;
    return room;
}

static void keep_chunk(struct pending *p, struct pending_chunk *c)
{
    if (p->n_idle_chunks == IDLE_MAX || c->cap != CHUNK_MIN) {
        free(c);
        return;
    }
    c->next = p->idle_chunks;
    p->idle_chunks = c;
    p->n_idle_chunks++;
}

struct pending_entry *pending_entry(struct pending *p, struct slice id, bool creates)
{
    struct pending_entry *e = pending_find(p, id);
    if (e) {
        e->creates = e->creates || creates;
        return e;
    }
    e = take_entry(p, id.len);
    if (!e)
        return NULL;
    e->id_len = id.len;
    memcpy(e->id, id.data, id.len);
    if (map_put(&p->by_id, e->id, e->id_len, e) < 0) {
        free(e);
        return NULL;
    }
    e->creates = creates;
    e->since_ms = clock_mono_ms();
    e->rec.v[F_msg_id].text = pending_id(e);
    e->rec.set = e->dirty = STORE_FIELD(F_msg_id);
    buf_init(&e->streams[0], PENDING_STREAM_MAX);
    buf_init(&e->streams[1], PENDING_STREAM_MAX);
    list_push_back(&p->open, &e->all);
    count(p, e, sizeof(*e) + id.len);
    return e;
}

void pending_drop(struct pending *p, struct pending_entry *e)
{
    map_remove(&p->by_id, e->id, e->id_len);
    list_remove(&e->all);
    p->bytes -= e->bytes;
    while (e->chunks) {
        struct pending_chunk *next = e->chunks->next;
        keep_chunk(p, e->chunks);
        e->chunks = next;
    }
    buf_fini(&e->streams[0]);
    buf_fini(&e->streams[1]);
    keep_entry(p, e);
}

/* Merging */

/* Streams have buffers of their own. */
#define APART (STORE_FIELD(F_msg_id) | STORE_STREAMS)

/* The lowest field of a set that is not empty, which is taken from it. */
static unsigned take_field(uint32_t *set)
{
    unsigned f = (unsigned)__builtin_ctz(*set);
    *set &= *set - 1;
    return f;
}

static size_t list_bytes(const struct store_binary *list)
{
    size_t n = list->n * sizeof(struct slice);
    for (unsigned i = 0; i < list->n; i++)
        n += list->items[i].len;
    return n;
}

/* Of the texts and lists in `set`. */
static size_t values_bytes(const struct store_record *r, uint32_t set)
{
    size_t n = 0;
    for (uint32_t lists = set & STORE_BUFFERS; lists;)
        n += list_bytes(&r->v[take_field(&lists)].binary);
    for (uint32_t texts = set & ~(STORE_BUFFERS | STORE_DATES); texts;)
        n += r->v[take_field(&texts)].text.len;
    return n;
}

static struct slice copy_text(char **at, struct slice s)
{
    struct slice copy = {*at, s.len};
    if (s.len)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

static void copy_values(struct pending_entry *e, const struct store_record *r, uint32_t set,
                        char *memory)
{
    struct slice *list = (struct slice *)(void *)memory;
    for (uint32_t lists = set & STORE_BUFFERS; lists;)
        memory += r->v[take_field(&lists)].binary.n * sizeof(*list);
    for (uint32_t lists = set & STORE_BUFFERS; lists;) {
        unsigned f = take_field(&lists);
        const struct store_binary *from = &r->v[f].binary;
        for (unsigned i = 0; i < from->n; i++)
            list[i] = copy_text(&memory, from->items[i]);
        e->rec.v[f].binary = (struct store_binary){list, from->n};
        list += from->n;
    }
    for (uint32_t dates = set & STORE_DATES; dates;) {
        unsigned f = take_field(&dates);
        e->rec.v[f].date = r->v[f].date;
    }
    for (uint32_t texts = set & ~(STORE_BUFFERS | STORE_DATES); texts;) {
        unsigned f = take_field(&texts);
        e->rec.v[f].text = copy_text(&memory, r->v[f].text);
    }
}

/* Due at the next tick: done, or written already in a transaction that is to end whole. */
static void hurry(struct pending *p, struct pending_entry *e)
{
    list_remove(&e->all);
    list_push_back(&p->done, &e->all);
}

static int set_stream(struct pending *p, struct pending_entry *e, unsigned f, struct slice text)
{
    buf_reset(&e->streams[f - F_stdout]);
    e->stream_written[f - F_stdout] = 0;
    return pending_append(p, e, (enum store_field)f, text);
}

int pending_merge(struct pending *p, struct pending_entry *e, const struct store_record *r)
{
    uint32_t set = r->set & ~APART;
    char *room = take_room(p, e, values_bytes(r, set));
    if (!room)
        return ERSA_ENOMEM;
    copy_values(e, r, set, room);
    e->rec.set |= r->set;
    e->dirty |= r->set;
    int rc = 0;
    for (unsigned f = F_stdout; f <= F_stderr && rc == 0; f++)
        rc = r->set & STORE_FIELD(f) ? set_stream(p, e, f, r->v[f].text) : 0;
    if (rc < 0)
        return rc;
    if (r->set & STORE_FIELD(F_completed) || e->is_written)
        hurry(p, e);
    return 0;
}

int pending_append(struct pending *p, struct pending_entry *e, enum store_field f,
                   struct slice text)
{
    struct buf *b = &e->streams[f - F_stdout];
    size_t cap = b->cap;
    int rc = buf_append(b, text.data, text.len);
    count(p, e, b->cap - cap);
    if (e->is_written)
        hurry(p, e);
    return rc;
}

void pending_strip(struct store_record *r)
{
    if (r->set & STORE_FIELD(F_completed) && !(r->set & STORE_FIELD(F_header))) {
        r->set |= STORE_FIELD(F_result_content);
        r->v[F_result_content].text = store_stripped_content;
    }
    r->set &= ~STORE_BUFFERS;
}

/* Writing */

void pending_forget_rows(struct pending *p)
{
    struct list *const lists[] = {&p->open, &p->done, &p->written};
    for (int i = 0; i < 3; i++)
        list_for_each (lists[i], it)
            container_of(it, struct pending_entry, all)->row = 0;
}

bool pending_is_dirty(const struct pending_entry *e)
{
    return e->dirty || e->streams[0].len > e->stream_written[0] ||
           e->streams[1].len > e->stream_written[1];
}

struct slice pending_suffix(const struct pending_entry *e, int stream)
{
    const struct buf *b = &e->streams[stream];
    size_t from = e->stream_written[stream];
    if (b->len == from)
        return SLICE_LIT("");
    return (struct slice){(const char *)b->data + from, b->len - from};
}

static struct pending_entry *first_of(const struct list *l)
{
    return list_is_empty(l) ? NULL : container_of(l->next, struct pending_entry, all);
}

struct pending_entry *pending_due(struct pending *p, int64_t now_ms, bool all)
{
    struct pending_entry *e = first_of(&p->done);
    if (e)
        return e;
    e = first_of(&p->open);
    return e && (all || e->since_ms + PENDING_OPEN_MS <= now_ms) ? e : NULL;
}

struct pending_entry *pending_oldest(const struct pending *p)
{
    return first_of(&p->open);
}

unsigned pending_new(const struct pending *p, struct pending_entry *first, int64_t now_ms,
                     bool all, struct pending_entry **ret, unsigned max)
{
    unsigned n = 0;
    for (struct list *it = &first->all; it != &p->done && it != &p->open && n < max;
         it = it->next) {
        struct pending_entry *e = container_of(it, struct pending_entry, all);
        bool is_due = all || e->rec.set & STORE_FIELD(F_completed) ||
                      e->since_ms + PENDING_OPEN_MS <= now_ms;
        if (!is_due || !e->creates || !e->is_new || e->is_written)
            break;
        ret[n++] = e;
    }
    return n;
}

void pending_wrote(struct pending *p, struct pending_entry *e)
{
    e->dirty = 0;
    e->is_written = true;
    e->is_new = false;
    for (int i = 0; i < 2; i++)
        e->stream_written[i] = e->streams[i].len;
    list_remove(&e->all);
    list_push_back(&p->written, &e->all);
}

void pending_committed(struct pending *p)
{
    list_for_each (&p->written, it)
        pending_drop(p, container_of(it, struct pending_entry, all));
}

static void roll_back(struct pending *p, struct list *l)
{
    list_for_each (l, it) {
        struct pending_entry *e = container_of(it, struct pending_entry, all);
        if (!e->is_written)
            continue;
        e->dirty = e->rec.set;
        e->is_written = false;
        e->stream_written[0] = e->stream_written[1] = 0;
        list_remove(&e->all);
        list_push_front(e->rec.set & STORE_FIELD(F_completed) ? &p->done : &p->open, &e->all);
    }
}

void pending_rolled_back(struct pending *p)
{
    roll_back(p, &p->done);
    roll_back(p, &p->written);
}
