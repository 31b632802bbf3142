/* SPDX-License-Identifier: BSD-3-Clause */
/* What the runtime and its children write to descriptors 1 and 2: two pipes, read as it comes,
 * handed on as text in pieces. A piece ends with its request (output_drain), after 0.2 s, or at
 * OUTPUT_PIECE octets, never in the middle of a character.
 *
 * Nothing grows: what is not read stays in the pipe and makes its writer wait. Many small
 * writes do not wake us each: after a short read we look again a little later. */
#ifndef ERSA_ENGINE_OUTPUT_H
#define ERSA_ENGINE_OUTPUT_H

#include <stdbool.h>

#include "loop/loop.h"
#include "util/buf.h"
#include "util/str.h"

/* Stock clients append each piece to all that came before: many small ones of a flood cost them
 * more than the flood itself. */
#define OUTPUT_PIECE (4u << 20)
#define OUTPUT_DELAY_MS 200
#define OUTPUT_PAUSE_MS 5
#define OUTPUT_DRAIN_MAX (1u << 20) /* read at most by one drain: others may go on writing */

enum output_stream { OUTPUT_STDOUT, OUTPUT_STDERR, OUTPUT_MAX };

/* `text`: at least one octet; what is not UTF-8 in it is not an unfinished character. */
typedef void (*output_fn)(void *ctx, enum output_stream which, struct slice text);

struct output;

struct output_pipe {
    struct watch watch;
    struct timer pause;
    struct output *output; /* borrowed: whose it is */
    enum output_stream which;
    struct buf text;
    bool is_open;
};

struct output {
    struct loop *loop; /* borrowed */
    output_fn fn;
    void *ctx;
    struct output_pipe pipes[OUTPUT_MAX];
    struct timer delay;
    bool is_held;
};

/* Takes the descriptors (reading ends, non-blocking from now on). 0, ERSA_ENOMEM, ERSA_EIO
 * (they are closed). */
int output_open(struct output *o, struct loop *l, int out_fd, int err_fd, output_fn fn,
                void *ctx);
/* Reads what is left, hands on everything, closes. No-op when closed. */
void output_close(struct output *o);
/* Reads both pipes until they are empty and hands on what came so far. */
void output_drain(struct output *o);
/* Stops and goes on reading, but for output_drain(). */
void output_hold(struct output *o, bool on);

#endif
