/* SPDX-License-Identifier: BSD-3-Clause */
/* Open addressing with linear probing and tombstones; SipHash-1-3 with a key of this process,
 * so that peers can't choose colliding identities. A slot holds half the hash, so that keys are
 * compared rarely, and has 24 octets: maps of a million tasks are a matter of memory. */
#include "util/map.h"

#include <assert.h>
#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"
#include "util/rand.h"
#include "util/zeroed.h"

struct map_slot {
    const void *key; /* NULL: never used; &dead: removed */
    void *value;
    uint32_t len, hash;
};
static_assert(sizeof(struct map_slot) == 24, "no octet of a slot is waste");

#define SMALLEST 16
#define RECENTS 32 /* keys whose hash is remembered */
#define RECENT_MIN 16
#define RECENT_MAX 64

static const char dead;
static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    rand_bytes(seed, sizeof(seed));
}

static inline uint64_t rotate(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash(const uint8_t *p, size_t len)
{
    pthread_once(&seed_once, make_seed);
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                     seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
    uint64_t word;
    size_t left = len;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)len << 56;
    if (len >= 8 && left) { /* the last eight octets, without those that were read */
        uint64_t last;
        memcpy(&last, p + left - 8, 8);
        word |= le64toh(last) >> (8 * (8 - left));
    } else {
        for (size_t i = 0; i < left; i++)
            word |= (uint64_t)p[i] << (8 * i);
    }
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The same few keys come again and again: the id of the task that is dealt with, its client,
 * its engine. */
static _Thread_local struct recent {
    uint64_t hash;
    size_t len;
    uint8_t key[RECENT_MAX];
} recents[RECENTS];

static struct recent *recent_of(const uint8_t *key, size_t len)
{
    uint32_t tail;
    memcpy(&tail, key + len - sizeof(tail), sizeof(tail));
    return &recents[(tail * 0x9e3779b1u) >> 27 & (RECENTS - 1)];
}

uint64_t map_hash(const void *key, size_t len)
{
    if (len < RECENT_MIN || len > RECENT_MAX)
        return hash(key, len);
    struct recent *r = recent_of(key, len);
    if (r->len == len && memcmp(r->key, key, len) == 0)
        return r->hash;
    r->hash = hash(key, len);
    r->len = len;
    memcpy(r->key, key, len);
    return r->hash;
}

static bool is_used(const struct map_slot *s)
{
    return s->key && s->key != &dead;
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_fini(struct map *m)
{
    free(m->slots);
    map_init(m);
}

static struct map_slot *find(const struct map *m, const void *key, size_t len, uint32_t hash)
{
    if (!m->n_slots)
        return NULL;
    for (size_t i = hash & (m->n_slots - 1);; i = (i + 1) & (m->n_slots - 1)) {
        struct map_slot *s = &m->slots[i];
        if (!s->key)
            return NULL;
        if (s->key != &dead && s->hash == hash && s->len == len &&
            (len == 0 || memcmp(s->key, key, len) == 0))
            return s;
    }
}

static void insert(struct map *m, const struct map_slot *item)
{
    size_t i = item->hash & (m->n_slots - 1);
    while (is_used(&m->slots[i]))
        i = (i + 1) & (m->n_slots - 1);
    if (m->slots[i].key == &dead)
        m->n_dead--;
    m->slots[i] = *item;
    m->n_used++;
}

static int resize(struct map *m, size_t n_slots)
{
    struct map_slot *slots = zeroed(n_slots, sizeof(*slots));
    if (!slots)
        return ERSA_ENOMEM;
    struct map old = *m;
    *m = (struct map){.slots = slots, .n_slots = n_slots};
    for (size_t i = 0; i < old.n_slots; i++)
        if (is_used(&old.slots[i]))
            insert(m, &old.slots[i]);
    free(old.slots);
    return 0;
}

/* Before a put: at most three quarters are in use or dead, and a sixteenth at least is in use.
 * Removing never moves anything, since map_next() goes on behind it. */
static int make_room(struct map *m)
{
    size_t n = m->n_slots ? m->n_slots : SMALLEST;
    bool is_full = 4 * (m->n_used + m->n_dead + 1) > 3 * m->n_slots;
    bool is_sparse = n > SMALLEST && 16 * (m->n_used + 1) < n;
    if (!is_full && !is_sparse)
        return 0;
    while (2 * (m->n_used + 1) > n)
        n *= 2;
    while (n > SMALLEST && 8 * (m->n_used + 1) < n)
        n /= 2;
    int rc = resize(m, n);
    return is_full ? rc : 0; /* staying large does no harm */
}

void map_trim(struct map *m)
{
    if (m->n_slots)
        (void)make_room(m);
}

void *map_get(const struct map *m, const void *key, size_t len)
{
    if (!m->n_used)
        return NULL;
    const struct map_slot *s = find(m, key, len, (uint32_t)map_hash(key, len));
    return s ? s->value : NULL;
}

int map_put(struct map *m, const void *key, size_t len, void *value)
{
    if (len > UINT32_MAX)
        return ERSA_EINVAL;
    struct map_slot item = {.key = key ? key : "",
                            .value = value,
                            .len = (uint32_t)len,
                            .hash = (uint32_t)map_hash(key, len)};
    if (find(m, key, len, item.hash))
        return ERSA_EEXIST;
    int rc = make_room(m);
    if (rc < 0)
        return rc;
    insert(m, &item);
    return 0;
}

void *map_remove(struct map *m, const void *key, size_t len)
{
    struct map_slot *s = m->n_used ? find(m, key, len, (uint32_t)map_hash(key, len)) : NULL;
    if (!s)
        return NULL;
    void *value = s->value;
    size_t next = ((size_t)(s - m->slots) + 1) & (m->n_slots - 1);
    m->n_used--;
    if (m->slots[next].key) {
        *s = (struct map_slot){.key = &dead};
        m->n_dead++;
    } else { /* nothing is searched for behind it */
        *s = (struct map_slot){0};
    }
    if (m->n_used == 0)
        map_fini(m);
    return value;
}

void *map_next(const struct map *m, size_t *pos)
{
    while (*pos < m->n_slots) {
        const struct map_slot *s = &m->slots[(*pos)++];
        if (is_used(s))
            return s->value;
    }
    return NULL;
}
