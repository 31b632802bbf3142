/* SPDX-License-Identifier: BSD-3-Clause */
/* Broadcasts between two pretended sides: requests whose header and metadata are spliced for
 * each target, replies that pass or are gathered, engines and clients that go meanwhile.
 *
 * The first octet: 1 without a key, 2 a client's results are bounded. Then steps, an octet each
 * (% N_STEPS): the table. Whatever comes, what is sent is signed and JSON, a target hears of
 * itself alone, and nobody is answered more often than asked. */
#include <string.h>

#include "fuzz.h"
#include "router/fanout.h"
#include "router/sched_broadcast.h"
#include "util/log.h"
#include "wire/jscan.h"

#define ENGINES 4
#define CLIENTS 2
#define PIECE_MAX 2048
#define TEXT_MAX 512
#define FRAMES_MAX 16
#define KEY "0123456789abcdef"
#define LIMIT 4096

static struct {
    struct session *with_key, *without, *session;
    struct broadcast *b;
    struct engine engines[ENGINES];
    bool is_there[ENGINES];
    struct held *last[ENGINES]; /* what it was sent last */
    int64_t awaited;            /* by the events */
} run;

static const char *const uuids[ENGINES] = {"e0", "e\"1", "e\xc3\xa9", "e_3"};
static const char *const escaped[ENGINES + 1] = {"e0", "e\\\"1", "e\\u00e9", "e_3", "none"};
static const char *const clients[CLIENTS] = {"c0", "\xff\xfe"};

/* The other sides */

static struct parts check_message(const struct frame *frames, unsigned n)
{
    struct parts p;
    FUZZ_CHECK(parts_split(frames, n, &p) == 0 && session_verify(run.session, &p) == 0);
    FUZZ_CHECK(jscan(p.header, NULL, 0) == 0 && jscan(p.metadata, NULL, 0) == 0);
    return p;
}

static struct engine *find(void *ctx, struct slice uuid)
{
    for (unsigned i = 0; i < ENGINES; i++)
        if (run.is_there[i] && slice_eq(run.engines[i].uuid, uuid))
            return &run.engines[i];
    return NULL;
}

/* Its id ends with the engine's uuid, and of the targets it is the only one. */
static void to_engine(void *ctx, struct engine *e, const struct frame *frames, unsigned n)
{
    char buf[2][FANOUT_ID_MAX];
    struct slice id, uuid, original;
    struct jfield header = {.key = "msg_id"}, targets = {.key = "targets"}, pair, one;
    size_t pos = 0, at = 0;
    struct parts p = check_message(frames, n);
    FUZZ_CHECK(jscan(p.header, &header, 1) == 0 && jscan(p.metadata, &targets, 1) == 0);
    FUZZ_CHECK(jscan_string(&header, buf[0], FANOUT_ID_MAX, &id) == 0);
    FUZZ_CHECK(fanout_original(id, e->uuid, &original));
    FUZZ_CHECK(jscan_next(&targets, &pos, &pair) && jscan_next(&pair, &at, &one));
    FUZZ_CHECK(jscan_string(&one, buf[1], FANOUT_ID_MAX, &uuid) == 0);
    FUZZ_CHECK(slice_eq(uuid, e->uuid) && !jscan_next(&targets, &pos, &pair));
    struct held **last = &run.last[e - run.engines];
    held_free(*last);
    *last = msg_hold(frames, n);
    FUZZ_CHECK(*last);
}

static void to_client(void *ctx, struct slice client, const struct frame *frames, unsigned n,
                      struct engine *source)
{
    check_message(frames, n); /* the content may be an engine's */
}

static void on_event(void *ctx, enum broadcast_event ev, struct engine *e, struct slice msg_id)
{
    run.awaited += ev == BROADCAST_SENT;
    FUZZ_CHECK(ev != BROADCAST_SENT || run.is_there[e - run.engines]);
}

static const struct broadcast_ops ops = {find, to_engine, to_client, on_event};

/* Messages */

struct draft {
    struct frame frames[FRAMES_MAX];
    unsigned n;
    char header[TEXT_MAX], parent[TEXT_MAX], metadata[TEXT_MAX];
    char signature[SESSION_SIGNATURE_MAX];
};

static void add(struct draft *d, struct slice s)
{
    FUZZ_CHECK(d->n < FRAMES_MAX);
    d->frames[d->n++] = (struct frame){(const uint8_t *)s.data, s.len, NULL};
}

static void add_message(struct draft *d, struct slice header, struct slice parent,
                        struct slice metadata, struct slice content, unsigned n_buffers)
{
    size_t len = session_sign(run.session, header, parent, metadata, content, d->signature);
    add(d, SLICE_LIT("<IDS|MSG>"));
    add(d, (struct slice){d->signature, len});
    add(d, header);
    add(d, parent);
    add(d, metadata);
    add(d, content);
    static const char buffer[LIMIT / 8];
    for (unsigned i = 0; i < n_buffers; i++)
        add(d, (struct slice){buffer, sizeof(buffer)});
}

/* Steps */

/* Its form: 1 coalescing, 2 the header is a piece, 4 the metadata are, 8 of no type that is
 * answered, 16 an identity more, 32 with spaces. */
static void step_submit(struct input *in)
{
    struct draft d = {.n = 0};
    unsigned form = input_octet(in), targets = input_octet(in), id = input_octet(in);
    const char *space = form & 32 ? " \n" : "", *comma = "";
    struct slice header = {d.header, 0}, metadata = {d.metadata, 0};
    header.len =
        (size_t)snprintf(d.header, TEXT_MAX,
                         "{%s\"msg_id\":%s\"m%u\"%s, \"msg_type\": \"%s\", \"session\": \"c\"}",
                         space, space, id, space, form & 8 ? "comm_msg" : "apply_request");
    int at = snprintf(d.metadata, TEXT_MAX, "{%s\"is_coalescing\": %s, \"targets\":%s[", space,
                      form & 1 ? "true" : "false", space);
    for (unsigned i = 0; i <= ENGINES; i++) {
        if (!(targets >> i & 1))
            continue;
        at += snprintf(d.metadata + at, TEXT_MAX - (size_t)at, "%s%s[\"%s\",%s%u]", comma,
                       space, escaped[i], space, i);
        comma = ", ";
    }
    at += snprintf(d.metadata + at, TEXT_MAX - (size_t)at, "]%s}%s", space, space);
    metadata.len = (size_t)at;
    if (form & 2)
        header = input_slice(in, PIECE_MAX);
    if (form & 4)
        metadata = input_slice(in, PIECE_MAX);
    if (form & 16)
        add(&d, SLICE_LIT("between"));
    add_message(&d, header, SLICE_LIT("{}"), metadata, SLICE_LIT("{}"), targets >> 6);
    const char *client = clients[targets >> 5 & 1];
    broadcast_submit(run.b, slice_of(client), &(struct msg){d.frames, d.n});
}

/* Its form: 1 an error, 2 the metadata are a piece, 4 the content is, 8 the parent is, 16 by
 * nobody's connection, 64 and 128 buffers. */
static void step_reply(struct input *in)
{
    struct draft d = {.n = 0};
    unsigned form = input_octet(in), who = input_octet(in), id = input_octet(in);
    unsigned e = who % ENGINES;
    struct slice header = {d.header, 0}, parent = {d.parent, 0}, metadata = {d.metadata, 0};
    struct slice content = SLICE_LIT("{\"status\": \"ok\"}");
    header.len = (size_t)snprintf(d.header, TEXT_MAX,
                                  "{\"msg_id\": \"r\", \"msg_type\": \"apply_reply\", "
                                  "\"session\": \"%s\"}",
                                  escaped[e]);
    parent.len =
        (size_t)snprintf(d.parent, TEXT_MAX, "{\"msg_id\": \"m%u_%s\"}", id, escaped[e]);
    metadata.len =
        (size_t)snprintf(d.metadata, TEXT_MAX,
                         "{\"status\": \"%s\", \"is_broadcast\": true, "
                         "\"is_coalescing\": %s, \"original_msg_id\": \"m%u\"}",
                         form & 1 ? "error" : "ok", form & 32 ? "true" : "false", id);
    if (form & 2)
        metadata = input_slice(in, PIECE_MAX);
    if (form & 4)
        content = input_slice(in, PIECE_MAX);
    if (form & 8)
        parent = input_slice(in, PIECE_MAX);
    add(&d, slice_of(clients[who >> 7]));
    add_message(&d, header, parent, metadata, content, form >> 6);
    bool is_here = run.is_there[e] && !(form & 16);
    broadcast_reply(run.b, is_here ? &run.engines[e] : NULL, &(struct msg){d.frames, d.n});
}

static void step_come(struct input *in)
{
    run.is_there[input_octet(in) % ENGINES] = true;
}

static void leave(unsigned e, bool was_told)
{
    broadcast_engine_gone(run.b, &run.engines[e], was_told);
    FUZZ_CHECK(list_is_empty(&run.engines[e].broadcasts));
    run.is_there[e] = false;
}

static void step_leave(struct input *in)
{
    unsigned e = input_octet(in) % ENGINES;
    leave(e, input_octet(in) & 1);
}

static void step_client_gone(struct input *in)
{
    broadcast_client_gone(run.b, slice_of(clients[input_octet(in) % CLIENTS]));
}

static void step_undelivered(struct input *in)
{
    unsigned e = input_octet(in) % ENGINES;
    struct held *h = run.last[e];
    run.last[e] = NULL;
    if (h && run.is_there[e])
        broadcast_undelivered(run.b, &run.engines[e], h->frames, h->n);
    held_free(h);
}

static void (*const steps[])(struct input *in) = {
    step_submit,      step_reply,  step_come,  step_leave,
    step_client_gone, step_submit, step_reply, step_undelivered,
};
#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

/* Runs */

static void start(uint8_t mode)
{
    static const struct broadcast_config free_cfg = {.digest_history = 16},
                                         bounded = {.digest_history = 16,
                                                    .client_limit = LIMIT};
    if (!run.with_key) {
        log_set_level(LOG_CRITICAL + 1);
        session_new(&run.with_key, KEY, strlen(KEY), "hmac-sha256", "hub", "me", NULL);
        session_new(&run.without, "", 0, "hmac-sha256", "hub", "me", NULL);
        FUZZ_CHECK(run.with_key && run.without);
    }
    run.session = mode & 1 ? run.without : run.with_key;
    run.awaited = 0;
    for (unsigned i = 0; i < ENGINES; i++) {
        run.engines[i] = (struct engine){.id = i, .uuid = slice_of(uuids[i])};
        list_init(&run.engines[i].broadcasts);
        run.is_there[i] = true;
    }
    FUZZ_CHECK(broadcast_new(&run.b, run.session, mode & 2 ? &bounded : &free_cfg, &ops, NULL,
                             NULL) == 0);
}

static void finish(void)
{
    for (unsigned i = 0; i < ENGINES; i++) {
        leave(i, i & 1);
        held_free(run.last[i]);
        run.last[i] = NULL;
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        broadcast_client_gone(run.b, slice_of(clients[i]));
    FUZZ_CHECK(broadcast_counts(run.b).gathering == 0);
    FUZZ_CHECK(broadcast_counts(run.b).sent >= (uint64_t)run.awaited);
    broadcast_free(run.b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    start(input_octet(&in));
    while (input_left(&in))
        steps[input_octet(&in) % N_STEPS](&in);
    finish();
    return 0;
}
