/* SPDX-License-Identifier: BSD-3-Clause */
/* Open ids in a map, each an allocation of its own; closed ones as runs. */
#include "records/known.h"

#include <stdlib.h>

#include "ersa/error.h"

struct open_id {
    size_t len;
    char text[];
};

void known_init(struct known *k)
{
    map_init(&k->open);
    idset_init(&k->closed);
}

void known_fini(struct known *k)
{
    size_t pos = 0;
    struct open_id *o;
    while ((o = map_next(&k->open, &pos))) {
        map_remove(&k->open, o->text, o->len);
        free(o);
    }
    map_fini(&k->open);
    idset_fini(&k->closed);
}

int known_open(struct known *k, struct slice id)
{
    if (map_size(&k->open) >= KNOWN_OPEN_MAX)
        return ERSA_EFULL;
    struct open_id *o = malloc(sizeof(*o) + id.len);
    if (!o)
        return ERSA_ENOMEM;
    o->len = id.len;
    memcpy(o->text, id.data, id.len);
    int rc = map_put(&k->open, o->text, o->len, o);
    if (rc < 0)
        free(o);
    else
        idset_remove(&k->closed, id);
    return rc == ERSA_EEXIST ? 0 : rc;
}

enum known_state known_close(struct known *k, struct slice id)
{
    struct open_id *o = map_remove(&k->open, id.data, id.len);
    if (!o)
        return idset_has(&k->closed, id) ? KNOWN_CLOSED : KNOWN_NOT;
    free(o);
    (void)idset_add(&k->closed, id); /* out of memory: it is unknown from now on */
    return KNOWN_OPEN;
}

enum known_state known_state(struct known *k, struct slice id)
{
    if (map_get(&k->open, id.data, id.len))
        return KNOWN_OPEN;
    return idset_has(&k->closed, id) ? KNOWN_CLOSED : KNOWN_NOT;
}

void known_forget(struct known *k, struct slice id)
{
    idset_remove(&k->closed, id);
}

void known_forget_closed(struct known *k)
{
    idset_clear(&k->closed);
}
