/* SPDX-License-Identifier: BSD-3-Clause */
/* What a broadcast's client is told where no engine answers: a reply like an engine's. */
#ifndef ERSA_ROUTER_REFUSAL_H
#define ERSA_ROUTER_REFUSAL_H

#include "util/buf.h"
#include "wire/session.h"

struct refusal {
    const char *ename, *evalue;
    struct slice parent;   /* header of what failed */
    struct slice msg_type; /* of the request */
    struct slice original; /* its message id */
    struct slice uuid;     /* absent: no engine has to do with it */
    bool is_coalescing;
};

/* Frames from the delimiter on, which last as long as `text` and `scratch` (both reset first)
 * are let alone; the refusal's strings must not be in them. ERSA_EPARSE: the type is no
 * request; ERSA_ENOMEM, ERSA_EFULL. */
int refusal_compose(const struct refusal *f, struct session *s, struct buf *text,
                    struct buf *scratch, struct frame out[SESSION_FRAMES]);

#endif
