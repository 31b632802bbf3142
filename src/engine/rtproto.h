/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime protocol (docs/protocol/runtime.md): what ipengine and a runtime say to each
 * other over one AF_UNIX stream socketpair. Octets in host order; both ends are on one machine.
 *
 *     struct rt_head | n_parts * struct rt_part | the inline parts, one after the other
 *
 * A part of RT_SHM_MIN octets or more travels in a shared block: its descriptor is announced
 * once by RT_BLOCK (the memfd as SCM_RIGHTS on the first octet of that message), afterwards
 * named by its id. A block belongs to the side that made it; the receiver may use it, write to
 * it and keep it until it sends RT_RELEASE for that use. Shared by src/engine and python/ext;
 * needs no other header. */
#ifndef ERSA_ENGINE_RTPROTO_H
#define ERSA_ENGINE_RTPROTO_H

#include <stdint.h>

#define RT_VERSION 1
#define RT_ENV_FD "ERSA_RUNTIME_FD"
#define RT_SHM_MIN 65536u
#define RT_PARTS_MAX 1000000u
#define RT_INLINE_MAX (64u << 20)      /* inline octets of one message */
#define RT_LAST_WORDS "ersa.runtime: " /* begins a line on stderr that says why it ends */

struct rt_head {
    uint32_t type; /* enum rt_type */
    uint32_t n_parts;
    uint64_t inline_bytes; /* sum of the inline parts */
};

struct rt_part {
    uint64_t len;
    uint32_t block;    /* 0: inline; else id of a block of the sender */
    uint32_t reserved; /* 0 */
};

/* X(name, value, direction, parts). `e` engine to runtime, `r` runtime to engine, `b` both. */
#define RT_TYPES(X)                                                                         \
    X(HELLO, 1, "e",                                                                        \
      "JSON object: v, uuid, id, profile_dir, work_dir, argv, startup, session")            \
    X(RUN, 2, "e", "msg_type, msg_id, header, metadata, content, buffers...")               \
    X(SHUTDOWN, 3, "e", "none; the runtime ends when it is idle")                           \
    X(READY, 16, "r", "JSON object: v, language, version, pid, plus what it likes to tell") \
    X(REPLY, 17, "r", "msg_id, status, flags, content (empty: only status), buffers...")    \
    X(PUBLISH, 18, "r", "msg_type, topic, content, metadata (may be empty), buffers...")    \
    X(LOG, 19, "r", "level in decimal, text")                                               \
    X(EXIT, 20, "r", "none; user code asked the engine to end after this reply")            \
    X(BLOCK, 32, "b", "uint32 id, uint64 capacity (12 octets); memfd as SCM_RIGHTS")        \
    X(RELEASE, 33, "b", "uint32 ids, one after the other")

enum rt_type {
#define X(name, value, direction, parts) RT_##name = value,
    RT_TYPES(X)
#undef X
};

/* REPLY's flags, a string of letters: 'u' the failure is an UnmetDependency, 'n' the request
 * was not silent and failed (aborts queued executes), '' otherwise. RUN of a type without a
 * reply (comm_msg) is answered with status "none", so that the engine knows the runtime is idle
 * again. */
#define RT_FLAG_UNMET 'u'
#define RT_FLAG_ABORT_QUEUE 'n'

#endif
