/* SPDX-License-Identifier: BSD-3-Clause */
/* Hash map from octet strings to pointers: open addressing, seeded hash (peers choose the
 * keys), grows by doubling, shrinks when mostly empty. Keys are borrowed: they live in the
 * object that is the value and must not change while it is in the map. One thread. */
#ifndef ERSA_UTIL_MAP_H
#define ERSA_UTIL_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot;

struct map {
    struct map_slot *slots; /* owned; NULL until the first put */
    size_t n_slots;         /* power of two or 0 */
    size_t n_used;
    size_t n_dead;
};

void map_init(struct map *m);
void map_fini(struct map *m); /* values are the caller's */

/* Seeded 64-bit hash of `len` octets, the same for the life of the process. */
uint64_t map_hash(const void *key, size_t len);

/* Value for the key, NULL when absent. */
void *map_get(const struct map *m, const void *key, size_t len);

/* Adds a key that is absent. Returns 0, ERSA_EEXIST (nothing changed), ERSA_EINVAL (a key of
 * 4 GiB or more) or ERSA_ENOMEM. */
int map_put(struct map *m, const void *key, size_t len, void *value);

/* Removes the key; returns its value, NULL when absent. */
void *map_remove(struct map *m, const void *key, size_t len);

/* Gives back room of a map that has become mostly empty; a put does so too. */
void map_trim(struct map *m);

static inline size_t map_size(const struct map *m)
{
    return m->n_used;
}

/* Iteration: start with *pos = 0; returns NULL at the end. The map must not be changed but by
 * map_remove() of the value just returned. */
void *map_next(const struct map *m, size_t *pos);

#endif
