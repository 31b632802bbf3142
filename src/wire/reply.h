/* SPDX-License-Identifier: BSD-3-Clause */
/* Error contents as Python clients expect them (wire.md 6). */
#ifndef ERSA_WIRE_REPLY_H
#define ERSA_WIRE_REPLY_H

#include <jansson.h>

#include "util/buf.h"
#include "util/str.h"

/* {"status": "error", "ename", "evalue", "traceback": [...], "engine_info": {}}; a new
 * reference, NULL when out of memory. `evalue` is what str(exception) gives: for KeyError use
 * error_content_key(). */
json_t *error_content(const char *ename, const char *evalue);
/* The same for a KeyError with that message: its str() is the message's repr(). */
json_t *error_content_key(const char *message);

/* Appends repr() of a text, or of a JSON value (containers as JSON text). */
int put_repr(struct buf *b, struct slice text);
int put_repr_json(struct buf *b, const json_t *value);

/* "apply_request" -> "apply_reply" in `out`; false when the type is no request. */
#define MSG_TYPE_MAX 128
bool reply_type(struct slice request_type, char out[MSG_TYPE_MAX]);

#endif
