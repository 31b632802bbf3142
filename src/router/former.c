/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines whose hearts were lost, by uuid and by number. */
#include "router/former.h"

#include <stdlib.h>
#include <string.h>

#include "router/sched_task.h"

#define FORMERS_MAX 65536 /* as many as the registry remembers */

void formers_init(struct formers *f)
{
    map_init(&f->by_uuid);
    map_init(&f->by_number);
    list_init(&f->order);
}

void formers_fini(struct formers *f)
{
    while (!list_is_empty(&f->order))
        formers_forget(f, container_of(f->order.next, struct former, link));
    map_fini(&f->by_uuid);
    map_fini(&f->by_number);
}

struct former *formers_add(struct formers *f, const struct sched_engine *e)
{
    struct former *n = malloc(sizeof(*n) + e->uuid.len);
    if (!n)
        return NULL;
    n->number = e->number;
    n->is_away = false;
    n->uuid = (struct slice){n->text, e->uuid.len};
    memcpy(n->text, e->uuid.data, e->uuid.len);
    list_init(&n->seats);
    list_push_back(&f->order, &n->link);
    if (map_put(&f->by_uuid, n->uuid.data, n->uuid.len, n) < 0 ||
        map_put(&f->by_number, &n->number, sizeof(n->number), n) < 0) {
        formers_forget(f, n);
        return NULL;
    }
    if (map_size(&f->by_uuid) > FORMERS_MAX)
        formers_forget(f, container_of(f->order.next, struct former, link));
    return n;
}

void formers_forget(struct formers *f, struct former *n)
{
    while (list_pop_front(&n->seats))
        ;
    if (formers_by_uuid(f, n->uuid) == n)
        map_remove(&f->by_uuid, n->uuid.data, n->uuid.len);
    if (formers_by_number(f, n->number) == n)
        map_remove(&f->by_number, &n->number, sizeof(n->number));
    list_remove(&n->link);
    free(n);
}

struct former *formers_by_uuid(const struct formers *f, struct slice uuid)
{
    return map_get(&f->by_uuid, uuid.data, uuid.len);
}

struct former *formers_by_number(const struct formers *f, uint32_t number)
{
    return map_get(&f->by_number, &number, sizeof(number));
}
