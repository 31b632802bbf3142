/* SPDX-License-Identifier: BSD-3-Clause */
/* Metadata of what the engine sends (engine.md 9.1): the task scheduler reads `status` and
 * `dependencies_met` there, so that it need not look into the content. Labels and the like are
 * copied from the request as they stand, octet by octet. */
#ifndef ERSA_ENGINE_REPLY_H
#define ERSA_ENGINE_REPLY_H

#include <stdint.h>

#include "engine/request.h"
#include "util/buf.h"

/* Who answers; the texts are JSON, made once. */
struct reply_self {
    struct buf plain;       /* {"engine": "<uuid>"} */
    struct buf engine_info; /* {"engine_uuid": "<uuid>", "engine_id": <id>} */
};

/* 0 or ERSA_ENOMEM. */
int reply_self_init(struct reply_self *self, const char *uuid, int64_t id);
void reply_self_fini(struct reply_self *self);

#define REPLY_SAYS_NOTHING (-1) /* about output */

/* Appends the metadata of the reply to `r`. `status` as the runtime gave it; `published`: how
 * many iopub messages the request had, for a client that asked (quiet_status), else
 * REPLY_SAYS_NOTHING. 0, ERSA_ENOMEM or ERSA_EFULL. */
int reply_metadata(struct buf *out, const struct reply_self *self, const struct request *r,
                   struct slice status, bool is_unmet, int64_t published);

#endif
