/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gives a pool wants its numbers and no others. So while one of them was only passed over,
 * no port gets any free one: it waits for a while, and then there is an error. */
#include "router/numbers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/log.h"

#define FREE_TRIED 64
#define PATIENCE_MS 5000 /* with numbers in use, for all ports together */
#define LOOK_AGAIN_MS 100

static int pool_init(struct number_pool *p, const struct router_ports *ports, const char *name)
{
    *p = (struct number_pool){.ports = ports, .name = name};
    p->lent = calloc(ports->n + 1, sizeof(*p->lent));
    return p->lent ? 0 : ERSA_ENOMEM;
}

int numbers_init(struct numbers *n, const struct router_config *cfg)
{
    *n = (struct numbers){.must_keep = cfg->must_keep_numbers};
    int rc = pool_init(&n->side[SIDE_ENGINE], &cfg->engine_ports, "engine");
    if (rc == 0)
        rc = pool_init(&n->side[SIDE_CLIENT], &cfg->client_ports, "client");
    if (rc == 0)
        rc = pool_init(&n->common, &cfg->ports, "common");
    if (rc < 0)
        numbers_fini(n);
    return rc;
}

void numbers_fini(struct numbers *n)
{
    free(n->side[SIDE_ENGINE].lent);
    free(n->side[SIDE_CLIENT].lent);
    free(n->common.lent);
    *n = (struct numbers){0};
}

static bool is_tried(struct numbers *n, int number)
{
    uint8_t *octet = &n->tried[(number & 0xffff) / 8], bit = (uint8_t)(1 << number % 8);
    bool was = *octet & bit;
    *octet |= bit;
    return was;
}

/* One that was not tried yet; 0: there is none. */
static int take_new(struct numbers *n, struct number_pool *const pools[2])
{
    for (size_t i = 0; i < 2; i++) {
        struct number_pool *p = pools[i];
        n->last = p;
        while (p->next < p->ports->n) {
            int number = p->ports->numbers[p->next++];
            if (!is_tried(n, number) || n->must_keep)
                return number;
        }
        if (p->ports->n && !p->warned) {
            p->warned = true;
            log_warn("Exhausted %zu %s ports", p->ports->n, p->name);
        }
    }
    n->last = NULL;
    return 0;
}

/* The one that was passed over first; 0: there is none. */
static int take_lent(struct numbers *n, struct number_pool *const pools[2])
{
    for (size_t i = 0; i < 2; i++) {
        struct number_pool *p = pools[i];
        if (p->n_lent == 0)
            continue;
        int number = p->lent[0];
        memmove(p->lent, p->lent + 1, --p->n_lent * sizeof(*p->lent));
        n->last = p;
        return number;
    }
    n->last = NULL;
    return 0;
}

static size_t count_lent(struct number_pool *const pools[2])
{
    return pools[0]->n_lent + pools[1]->n_lent;
}

/* Whether to look once more, after a moment. */
static bool has_patience(struct numbers *n, int number)
{
    const int64_t now = clock_mono_ns();
    if (!n->patience_ns) {
        n->patience_ns = now + MS_TO_NS(PATIENCE_MS);
        log_info("Port %d is in use; trying again for %d s", number, PATIENCE_MS / 1000);
    }
    if (now > n->patience_ns)
        return false;
    usleep(LOOK_AGAIN_MS * 1000);
    return true;
}

int numbers_first(struct numbers *n, enum side side, bool is_ipc)
{
    struct number_pool *const pools[] = {&n->side[side], &n->common};
    int number = take_new(n, pools);
    n->n_tries = 0;
    if (number)
        return number;
    if (is_ipc)
        return ++n->next_ipc;
    n->n_tries = count_lent(pools);
    number = take_lent(n, pools);
    if (!number)
        n->n_tries = FREE_TRIED;
    return number;
}

bool numbers_other(struct numbers *n, enum side side, bool is_ipc, int *number)
{
    struct number_pool *const pools[] = {&n->side[side], &n->common};
    struct number_pool *from = n->last;
    if (from && from != &n->common && n->must_keep)
        return has_patience(n, *number);
    if (!from) {
        *number = is_ipc ? ++n->next_ipc : 0;
        return n->n_tries-- > 0;
    }
    from->lent[from->n_lent++] = *number;
    int next = take_new(n, pools);
    if (next) {
        log_info("Port %d is in use, and passed over", *number);
    } else if (is_ipc) {
        n->n_tries = FREE_TRIED;
        next = ++n->next_ipc;
    } else if (n->n_tries > 1) {
        n->n_tries--;
        next = take_lent(n, pools);
    } else if (has_patience(n, *number)) {
        n->n_tries = count_lent(pools);
        next = take_lent(n, pools);
    }
    if (next)
        *number = next;
    return next;
}
