/* SPDX-License-Identifier: BSD-3-Clause */
/* Two open-addressed tables. A run's key is the hash of what stands before the number, mixed
 * with the number of the run; nothing is ever
 * removed, an id forgotten keeps its place. Both grow by doubling at a load of 0.7.
 */
#include "wire/seen.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"
#include "util/map.h"
#include "util/zeroed.h"

#define RUN_WORDS 7
#define PER_WORD 32 /* ids, 2 bits each */
#define PER_RUN (RUN_WORDS * PER_WORD)
#define DIGITS_MAX 18
#define SLOTS_MIN 64

struct seen_run {
    uint64_t key; /* 0: free */
    uint64_t words[RUN_WORDS];
};
static_assert(sizeof(struct seen_run) == 64, "one cache line");
static_assert(SEEN_OPEN == 1, "seen_forget_closed()");

struct place {
    uint64_t key;
    unsigned word, shift;
};

/* "<anything>_<number>", the number as one writes it; false where the id has another form. */
static bool parse_usual(struct slice id, struct slice *ret_stem, uint64_t *ret_n)
{
    size_t at = id.len;
    while (at > 0 && id.data[at - 1] >= '0' && id.data[at - 1] <= '9')
        at--;
    size_t digits = id.len - at;
    if (digits == 0 || digits > DIGITS_MAX || at < 2 || id.data[at - 1] != '_')
        return false;
    if (id.data[at] == '0' && digits > 1)
        return false;
    uint64_t n = 0;
    for (size_t i = at; i < id.len; i++)
        n = n * 10 + (uint64_t)(id.data[i] - '0');
    *ret_stem = (struct slice){id.data, at};
    *ret_n = n;
    return true;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t hash_run(struct slice stem, uint64_t run)
{
    return mix(map_hash(stem.data, stem.len) + (run + 1) * 0x9e3779b97f4a7c15u);
}

uint64_t seen_hash(struct slice id, unsigned bits)
{
    struct slice stem;
    uint64_t n;
    if (!parse_usual(id, &stem, &n))
        return map_hash(id.data, id.len);
    return hash_run(stem, n >> bits) << bits | (n & ((1u << bits) - 1));
}

static struct place locate(struct slice stem, uint64_t n)
{
    uint64_t run = n / PER_RUN, at = n % PER_RUN;
    uint64_t key = hash_run(stem, run);
    return (struct place){key ? key : 1, (unsigned)(at / PER_WORD),
                          (unsigned)(2 * (at % PER_WORD))};
}

/* The run of that key, or the free slot where it belongs. */
static struct seen_run *find_run(struct seen_run *runs, size_t slots, uint64_t key)
{
    size_t at = key & (slots - 1);
    while (runs[at].key && runs[at].key != key)
        at = (at + 1) & (slots - 1);
    return &runs[at];
}

static uint64_t fingerprint(struct slice id)
{
    uint64_t h = map_hash(id.data, id.len) & ~(uint64_t)3;
    return h ? h : 4;
}

static uint64_t *find_other(uint64_t *others, size_t slots, uint64_t print)
{
    size_t at = print >> 2 & (slots - 1);
    while (others[at] && (others[at] & ~(uint64_t)3) != print)
        at = (at + 1) & (slots - 1);
    return &others[at];
}

static bool is_crowded(size_t n, size_t slots)
{
    return n * 10 >= slots * 7;
}

static int grow_runs(struct seen *s)
{
    size_t slots = s->run_slots ? 2 * s->run_slots : SLOTS_MIN;
    struct seen_run *runs = zeroed(slots, sizeof(*runs));
    if (!runs)
        return ERSA_ENOMEM;
    for (size_t i = 0; i < s->run_slots; i++)
        if (s->runs[i].key)
            *find_run(runs, slots, s->runs[i].key) = s->runs[i];
    free(s->runs);
    s->runs = runs;
    s->run_slots = slots;
    return 0;
}

static int grow_others(struct seen *s)
{
    size_t slots = s->other_slots ? 2 * s->other_slots : SLOTS_MIN;
    uint64_t *others = zeroed(slots, sizeof(*others));
    if (!others)
        return ERSA_ENOMEM;
    for (size_t i = 0; i < s->other_slots; i++)
        if (s->others[i])
            *find_other(others, slots, s->others[i] & ~(uint64_t)3) = s->others[i];
    free(s->others);
    s->others = others;
    s->other_slots = slots;
    return 0;
}

static int set_usual(struct seen *s, const struct place *p, enum seen_state state)
{
    struct seen_run *run = s->runs ? find_run(s->runs, s->run_slots, p->key) : NULL;
    if (!run || !run->key) {
        if (is_crowded(s->n_runs + 1, s->run_slots)) {
            if (grow_runs(s) < 0)
                return ERSA_ENOMEM;
            run = find_run(s->runs, s->run_slots, p->key);
        }
        run->key = p->key;
        s->n_runs++;
    }
    uint64_t *word = &run->words[p->word];
    *word = (*word & ~((uint64_t)3 << p->shift)) | (uint64_t)state << p->shift;
    return 0;
}

static int set_other(struct seen *s, uint64_t print, enum seen_state state)
{
    uint64_t *slot = s->others ? find_other(s->others, s->other_slots, print) : NULL;
    if (!slot || !*slot) {
        if (is_crowded(s->n_others + 1, s->other_slots)) {
            if (grow_others(s) < 0)
                return ERSA_ENOMEM;
            slot = find_other(s->others, s->other_slots, print);
        }
        s->n_others++;
    }
    *slot = print | (uint64_t)state;
    return 0;
}

void seen_init(struct seen *s)
{
    *s = (struct seen){0};
}

void seen_fini(struct seen *s)
{
    free(s->runs);
    free(s->others);
    seen_init(s);
}

enum seen_state seen_get(const struct seen *s, struct slice id)
{
    struct slice stem;
    uint64_t n;
    if (!parse_usual(id, &stem, &n))
        return s->others ? *find_other(s->others, s->other_slots, fingerprint(id)) & 3
                         : SEEN_NEVER;
    if (!s->runs)
        return SEEN_NEVER;
    struct place p = locate(stem, n);
    const struct seen_run *run = find_run(s->runs, s->run_slots, p.key);
    return run->words[p.word] >> p.shift & 3;
}

int seen_set(struct seen *s, struct slice id, enum seen_state state)
{
    struct slice stem;
    uint64_t n;
    if (!parse_usual(id, &stem, &n))
        return set_other(s, fingerprint(id), state);
    struct place p = locate(stem, n);
    return set_usual(s, &p, state);
}

/* SEEN_OPEN is the low bit of its pair alone. */
void seen_forget_closed(struct seen *s)
{
    for (size_t i = 0; i < s->run_slots; i++)
        for (unsigned w = 0; w < RUN_WORDS; w++) {
            uint64_t word = s->runs[i].words[w];
            s->runs[i].words[w] = word & ~(word >> 1) & 0x5555555555555555u;
        }
    for (size_t i = 0; i < s->other_slots; i++)
        if ((s->others[i] & 3) != SEEN_OPEN)
            s->others[i] &= ~(uint64_t)3;
}

size_t seen_bytes(const struct seen *s)
{
    return s->run_slots * sizeof(*s->runs) + s->other_slots * sizeof(*s->others);
}
