/* SPDX-License-Identifier: BSD-3-Clause */
/* A slab is SLAB_BYTES at a multiple of SLAB_BYTES, so a piece finds its slab by its address.
 * Pieces that were never used follow those that were: a page is touched when it is needed, but
 * in a flood a slab's pages are had by one call, for two thirds of what their faults would
 * cost. Slabs come from regions of many, since every mapping costs the kernel something. */
#include "util/slab.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define SLAB_BYTES ((size_t)256 << 10)
#define REGION_SLABS 16
#define REGION_BYTES (REGION_SLABS * SLAB_BYTES)
#define ALL_SLABS ((1u << REGION_SLABS) - 1)

struct free_piece {
    struct free_piece *next;
};

struct slab_region {
    struct list link;
    uint8_t *data;       /* REGION_BYTES */
    unsigned free, kept; /* slabs as bits: those in no use, and those of them that have pages */
};

struct slab {
    struct list link; /* in `partial`; full ones are nowhere */
    struct slab_region *region;
    struct free_piece *free;
    uint32_t class, n_used;
    uint32_t n_touched, n_pieces; /* from the front: those that were ever given out */
    _Alignas(SLAB_STEP) uint8_t pieces[];
};

static struct slab *slab_of(const void *piece)
{
    return (struct slab *)((uintptr_t)piece & ~(uintptr_t)(SLAB_BYTES - 1));
}

static size_t piece_bytes(const struct slab *slab)
{
    return (size_t)slab->class * SLAB_STEP;
}

/* Regions */

/* Address space at a multiple of SLAB_BYTES: what is too much around it is given back. */
static uint8_t *map_region(void)
{
    uint8_t *raw = mmap(NULL, REGION_BYTES + SLAB_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)raw & (SLAB_BYTES - 1);
    if (before)
        munmap(raw, before);
    munmap(raw + before + REGION_BYTES, SLAB_BYTES - before);
    return raw + before;
}

static struct slab_region *new_region(struct slabs *s)
{
    struct slab_region *region = malloc(sizeof(*region));
    uint8_t *data = region ? map_region() : NULL;
    if (!data) {
        free(region);
        return NULL;
    }
    *region = (struct slab_region){.data = data, .free = ALL_SLABS};
    list_push_front(&s->roomy, &region->link);
    return region;
}

static void free_region(struct slab_region *region)
{
    list_remove(&region->link);
    ASAN_UNPOISON_MEMORY_REGION(region->data, REGION_BYTES);
    munmap(region->data, REGION_BYTES);
    free(region);
}

static void trim_region(struct slab_region *region)
{
    if (region->free == ALL_SLABS) {
        free_region(region);
        return;
    }
    for (; region->kept; region->kept &= region->kept - 1)
        madvise(region->data + (size_t)__builtin_ctz(region->kept) * SLAB_BYTES, SLAB_BYTES,
                MADV_DONTNEED);
}

/* Slabs */

/* More than a region is in use already, and little of this slab will stay unused. */
static void populate(const struct slabs *s, uint8_t *data)
{
#ifdef MADV_POPULATE_WRITE
    if (!list_is_empty(&s->full))
        madvise(data, SLAB_BYTES, MADV_POPULATE_WRITE); /* else they come one by one */
#endif
}

/* One that was used before, if there is any: its pages are there. */
static struct slab *open_slab(struct slabs *s, uint32_t class)
{
    struct slab_region *region = list_is_empty(&s->roomy)
                                     ? new_region(s)
                                     : container_of(s->roomy.next, struct slab_region, link);
    if (!region)
        return NULL;
    bool is_fresh = !region->kept;
    unsigned number = (unsigned)__builtin_ctz(is_fresh ? region->free : region->kept);
    region->free &= ~(1u << number);
    region->kept &= ~(1u << number);
    if (!region->free) {
        list_remove(&region->link);
        list_push_front(&s->full, &region->link);
    }
    struct slab *slab = (struct slab *)(region->data + number * SLAB_BYTES);
    if (is_fresh)
        populate(s, (uint8_t *)slab);
    size_t room = SLAB_BYTES - offsetof(struct slab, pieces);
    *slab = (struct slab){.region = region,
                          .class = class,
                          .n_pieces = (uint32_t)(room / ((size_t) class * SLAB_STEP))};
    list_init(&slab->link);
    list_push_front(&s->partial[class], &slab->link);
    return slab;
}

static void close_slab(struct slabs *s, struct slab *slab)
{
    struct slab_region *region = slab->region;
    unsigned bit = 1u << (size_t)((uint8_t *)slab - region->data) / SLAB_BYTES;
    list_remove(&slab->link);
    list_remove(&region->link);
    list_push_front(&s->roomy, &region->link);
    region->free |= bit;
    region->kept |= bit;
}

static void *take_piece(struct slab *slab)
{
    void *piece = slab->free;
    if (slab->free)
        slab->free = slab->free->next;
    else
        piece = slab->pieces + slab->n_touched++ * piece_bytes(slab);
    ASAN_UNPOISON_MEMORY_REGION(piece, piece_bytes(slab));
    slab->n_used++;
    if (!slab->free && slab->n_touched == slab->n_pieces)
        list_remove(&slab->link);
    return piece;
}

void slabs_init(struct slabs *s)
{
    *s = (struct slabs){.n_used = 0};
    for (size_t i = 0; i < SLAB_CLASSES; i++)
        list_init(&s->partial[i]);
    list_init(&s->roomy);
    list_init(&s->full);
}

static void free_regions(struct list *regions)
{
    list_for_each (regions, it)
        free_region(container_of(it, struct slab_region, link));
}

void slabs_fini(struct slabs *s)
{
    free_regions(&s->roomy);
    free_regions(&s->full);
    slabs_init(s);
}

void *slabs_get(struct slabs *s, size_t size)
{
    if (size == 0 || size > SLAB_PIECE_MAX)
        return NULL;
    uint32_t class = (uint32_t)((size + SLAB_STEP - 1) / SLAB_STEP);
    struct list *partial = &s->partial[class];
    struct slab *slab = list_is_empty(partial) ? open_slab(s, class)
                                               : container_of(partial->next, struct slab, link);
    if (!slab)
        return NULL;
    s->n_used++;
    return take_piece(slab);
}

/* The last slab with room of a size stays open for the next piece. */
void slabs_put(struct slabs *s, void *piece)
{
    if (!piece)
        return;
    struct slab *slab = slab_of(piece);
    struct list *partial = &s->partial[slab->class];
    struct free_piece *f = piece;
    f->next = slab->free;
    ASAN_POISON_MEMORY_REGION(f + 1, piece_bytes(slab) - sizeof(*f));
    if (!slab->free && slab->n_touched == slab->n_pieces)
        list_push_front(partial, &slab->link);
    slab->free = f;
    slab->n_used--;
    s->n_used--;
    if (slab->n_used == 0 && partial->next != partial->prev)
        close_slab(s, slab);
}

void slabs_trim(struct slabs *s)
{
    for (size_t i = 0; i < SLAB_CLASSES; i++) {
        list_for_each (&s->partial[i], it) {
            struct slab *slab = container_of(it, struct slab, link);
            if (slab->n_used == 0)
                close_slab(s, slab);
        }
    }
    list_for_each (&s->roomy, it)
        trim_region(container_of(it, struct slab_region, link));
}
