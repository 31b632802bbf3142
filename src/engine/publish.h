/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes to iopub (engine.md 13): streams, states, what the runtime publishes. All of one
 * request stands between `busy` and `idle`; for a request with quiet_status (extensions.md 6)
 * the pair comes only if there is something to stand between. */
#ifndef ERSA_ENGINE_PUBLISH_H
#define ERSA_ENGINE_PUBLISH_H

#include "engine/output.h"
#include "engine/request.h"
#include "util/buf.h"

struct engine;

enum topic { TOPIC_STATUS, TOPIC_STDOUT, TOPIC_STDERR, TOPIC_SHUTDOWN, TOPIC_MAX };

struct publish {
    struct buf topics[TOPIC_MAX]; /* "engine.3.status", once the id is known */
    struct buf last_parent;       /* header of the last request that the runtime had */
};

void publish_init(struct publish *p);
void publish_fini(struct publish *p);
/* The id is known. */
int publish_prepare(struct publish *p, int64_t id);

/* Any message; `parent` and `metadata` with data NULL: {} and {"engine": <uuid>}. */
void publish_message(struct engine *e, const char *msg_type, struct slice topic,
                     struct slice parent, struct slice content, struct slice metadata,
                     const struct frame *buffers, unsigned n_buffers);
/* Something that the runtime published; its parent is the request under way, else the last. */
void publish_output(struct engine *e, const char *msg_type, struct slice topic,
                    struct slice content, struct slice metadata, const struct frame *buffers,
                    unsigned n_buffers);
void publish_stream(struct engine *e, enum output_stream which, struct slice text);

void publish_starting(struct engine *e);
void publish_busy(struct engine *e, struct request *r);
void publish_idle(struct engine *e, struct request *r);
/* The runtime is done with it: it is the parent of what still comes. */
void publish_done(struct engine *e, const struct request *r);
/* For reply_metadata(): iopub messages of the request, its `idle` included. */
int64_t publish_count(const struct request *r);

#endif
