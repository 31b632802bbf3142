/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps, an octet each (% N_STEPS): the table. A peer is named by its slot. A message is made
 * of its form (an octet of FORM bits) and of pieces; what it leaves out is made up here. */
#include "router_seat.h"

#include <string.h>

#include "fake_port.h"
#include "util/log.h"
#include "wire/caps.h"
#include "wire/jscan.h"

#define SLOTS 12
#define FRAMES_MAX 24
#define TEXT_MAX 512
#define KEY "0123456789abcdef"
#define RING_CAP 32

enum form {
    FORM_IDENTITY = 1,  /* in front: of an engine or a client */
    FORM_RAW = 2,       /* no message: frames as they come */
    FORM_HEADER = 4,    /* its header is a piece */
    FORM_PARENT = 8,    /* so is its parent */
    FORM_METADATA = 16, /* and its metadata */
    FORM_BUFFER = 32,
    FORM_SPOILT = 64, /* with a wrong signature */
    FORM_OLD = 128,   /* a header without date and version */
};

static const char *const identities[] = {"e0", "e1", "e2", "c0", "c1", "", "\xff\xfe", "e3"};
static const char *const msg_types[] = {
    "registration_request",
    "unregistration_request",
    "ersa_ready",
    "connection_request",
    "queue_request",
    "load_request",
    "result_request",
    "history_request",
    "db_request",
    "purge_request",
    "resubmit_request",
    "shutdown_request",
    "become_dask_request",
    "stop_distributed_request",
    "apply_request",
    "apply_reply",
    "execute_request",
    "execute_reply",
    "ersa_begun",
    "ersa_recalled",
    "stream",
    "status",
    "shutdown_reply",
    "abort_request",
    "error",
    "nonsense_request",
};

struct slot {
    struct peer *peer; /* NULL: free */
    enum route route;
};

static struct seat {
    struct loop *loop;
    struct ring *to_records, *from_records;
    struct session *with_key, *without, *session;
    struct router *r;
    struct slot slots[SLOTS];
    int64_t now_ns;
    char ping[64]; /* the newest that anybody heard */
    size_t ping_len;
    unsigned n_said; /* by seat_say() */
} seat;

/* A message that is being made; its frames point into `text` and into the input. */
struct draft {
    struct frame frames[FRAMES_MAX];
    unsigned n;
    char text[3][TEXT_MAX];
    char signature[SESSION_SIGNATURE_MAX];
};

static void add(struct draft *d, struct slice s)
{
    FUZZ_CHECK(d->n < FRAMES_MAX);
    d->frames[d->n++] = (struct frame){(const uint8_t *)s.data, s.len, NULL};
}

/* What peers hear */

static struct slot *slot_of(const struct peer *p)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (seat.slots[i].peer == p)
            return &seat.slots[i];
    return NULL;
}

/* What the hub says is signed, and JSON in each part. */
static void check_reply(const struct frame *frames, unsigned n)
{
    struct parts p;
    struct jfield type = {.key = "msg_type"};
    FUZZ_CHECK(parts_split(frames, n, &p) == 0);
    FUZZ_CHECK(session_verify(seat.session, &p) == 0);
    FUZZ_CHECK(jscan(p.header, &type, 1) == 0 && type.type == J_STRING);
    FUZZ_CHECK(jscan(p.parent, NULL, 0) == 0 || jscan(p.content, NULL, 0) == 0);
    FUZZ_CHECK(jscan(p.metadata, NULL, 0) == 0 && jscan(p.content, NULL, 0) == 0);
}

static void on_heard(struct peer *p, const struct frame *frames, unsigned n)
{
    const struct link *l = peer_user(p);
    FUZZ_CHECK(l && n > 0 && l->peer == p);
    const struct gate *gates = seat.r->ports.gates;
    if (l->gate == &gates[RT_QUERY] || l->gate == &gates[RT_NOTIFY])
        check_reply(frames, n);
    else if (link_is_attached(l) && slice_is(frame_slice(&frames[0]), "query"))
        check_reply(frames + 1, n - 1);
    bool is_ping = l->gate == &gates[RT_HB_PING] ||
                   (link_is_attached(l) && slice_is(frame_slice(&frames[0]), "hb"));
    if (is_ping && frames[n - 1].len < sizeof(seat.ping)) {
        seat.ping_len = frames[n - 1].len;
        memcpy(seat.ping, frames[n - 1].data, seat.ping_len);
    }
}

static void on_gone(struct peer *p)
{
    struct slot *s = slot_of(p);
    if (s)
        *s = (struct slot){0};
}

/* The tables of engines */

static size_t check_engines(const struct registry *reg, const struct list *engines)
{
    size_t n = 0;
    for (const struct list *it = engines->next; it != engines; it = it->next) {
        const struct engine *e = container_of(it, struct engine, link);
        FUZZ_CHECK(registry_by_id(reg, e->id) == e && registry_by_uuid(reg, e->uuid) == e);
        FUZZ_CHECK(e->id >= 0 && e->id < reg->next_id);
        FUZZ_CHECK(!e->attach || e->attach->engine == e);
        for (int ch = 0; ch < CH_MAX; ch++)
            FUZZ_CHECK(!e->links[ch] || e->links[ch]->engine == e);
        n++;
    }
    return n;
}

static void check_registry(void)
{
    const struct registry *reg = &seat.r->registry;
    FUZZ_CHECK(check_engines(reg, &reg->live) == reg->n_live);
    FUZZ_CHECK(check_engines(reg, &reg->pending) == reg->n_pending);
    FUZZ_CHECK(map_size(&reg->by_id) == reg->n_live + reg->n_pending);
    FUZZ_CHECK(reg->env.unlisted_events == 0);
}

/* Messages */

static void add_message(struct draft *d, struct slice header, struct slice parent,
                        struct slice metadata, struct slice content, bool is_spoilt)
{
    size_t len = session_sign(seat.session, header, parent, metadata, content, d->signature);
    if (is_spoilt && len)
        d->signature[0] ^= 1;
    add(d, SLICE_LIT("<IDS|MSG>"));
    add(d, (struct slice){d->signature, len});
    add(d, header);
    add(d, parent);
    add(d, metadata);
    add(d, content);
}

static struct slice make_header(char out[TEXT_MAX], const char *msg_type, unsigned id,
                                const char *session, bool is_old)
{
    int n = snprintf(out, TEXT_MAX,
                     "{\"msg_id\": \"m%u\", \"msg_type\": \"%s\", \"session\": \"%s\"%s}", id,
                     msg_type, session,
                     is_old ? ""
                            : ", \"date\": \"2026-01-02T03:04:05.678901Z\", \"username\": "
                              "\"u\", \"version\": \"5.3\"");
    return (struct slice){out, (size_t)n};
}

static struct slice make_parent(char out[TEXT_MAX], unsigned id)
{
    return (struct slice){out, (size_t)snprintf(out, TEXT_MAX, "{\"msg_id\": \"m%u\"}", id)};
}

/* Engines sign with their own name. */
static const char *session_of(const struct slot *s)
{
    struct slice id = peer_identity(s->peer);
    for (size_t i = 0; i < sizeof(identities) / sizeof(identities[0]) - 2; i++)
        if (slice_is(id, identities[i]))
            return identities[i];
    return "a1b2";
}

static void draft_frames(struct draft *d, struct input *in)
{
    unsigned n = 1 + input_octet(in) % 8;
    for (unsigned i = 0; i < n; i++) {
        size_t len;
        const uint8_t *data = input_piece(in, input_octet(in), &len);
        add(d, (struct slice){(const char *)data, len});
    }
}

static void draft_message(struct draft *d, const struct slot *s, unsigned form,
                          struct input *in)
{
    struct slice header, parent, metadata = SLICE_LIT("{}");
    if (form & FORM_HEADER) {
        header = input_slice(in, 1024);
    } else {
        const char *type = msg_types[input_octet(in) % (sizeof(msg_types) / sizeof(char *))];
        header = make_header(d->text[0], type, input_octet(in), session_of(s), form & FORM_OLD);
    }
    parent =
        form & FORM_PARENT ? input_slice(in, 1024) : make_parent(d->text[1], input_octet(in));
    if (form & FORM_METADATA)
        metadata = input_slice(in, 1024);
    add_message(d, header, parent, metadata, input_slice(in, 4096), form & FORM_SPOILT);
    if (form & FORM_BUFFER)
        add(d, SLICE_LIT("buffer"));
}

static const char *pick_identity(struct input *in)
{
    return identities[input_octet(in) % (sizeof(identities) / sizeof(identities[0]))];
}

/* Steps */

static struct slot *pick_slot(struct input *in)
{
    struct slot *s = &seat.slots[input_octet(in) % SLOTS];
    return s->peer ? s : NULL;
}

static void step_say(struct input *in)
{
    struct slot *s = pick_slot(in);
    struct draft d = {.n = 0};
    unsigned form = input_octet(in);
    if (!s)
        return;
    if (s->route == RT_ATTACH) {
        unsigned ch = input_octet(in) % (CH_MAX + 1);
        struct frame name = channel_frame(ch % CH_MAX);
        add(&d, ch == CH_MAX ? input_slice(in, 16) : frame_slice(&name));
    }
    if (form & FORM_IDENTITY)
        add(&d, slice_of(pick_identity(in)));
    if (form & FORM_RAW)
        draft_frames(&d, in);
    else
        draft_message(&d, s, form, in);
    fake_say(s->peer, d.frames, d.n);
}

static void connect_slot(enum route rt, struct slice identity)
{
    struct port *p =
        rt == RT_BROADCAST_LEAF ? seat.r->ports.leaves[0].port : seat.r->ports.gates[rt].port;
    struct slot *s = slot_of(NULL);
    struct peer *peer = p && s ? fake_connect(p, identity) : NULL;
    if (!peer || slot_of(peer) || !peer_user(peer))
        return;
    *s = (struct slot){.peer = peer, .route = rt};
}

static void step_connect(struct input *in)
{
    enum route rt = input_octet(in) % RT_MAX;
    const char *identity = pick_identity(in);
    connect_slot(rt, slice_of(identity));
}

static void step_hang_up(struct input *in)
{
    struct slot *s = pick_slot(in);
    if (s)
        fake_hang_up(s->peer);
}

static void step_pass(struct input *in)
{
    static const int ms[] = {0, 1, 60, 250, 1000, 3000, 6000, 35000};
    seat.now_ns += MS_TO_NS(ms[input_octet(in) % 8]);
    loop_set_clock(seat.loop, seat.now_ns);
    FUZZ_CHECK(loop_turn(seat.loop, 0) == 0);
}

static void step_pong(struct input *in)
{
    struct slot *s = pick_slot(in);
    struct frame f[] = {channel_frame(CH_HB), {NULL, 0, NULL}};
    if (!s)
        return;
    f[1] = (struct frame){(const uint8_t *)seat.ping, seat.ping_len, NULL};
    fake_say(s->peer, s->route == RT_ATTACH ? f : f + 1, s->route == RT_ATTACH ? 2 : 1);
}

static void step_subscribe(struct input *in)
{
    struct slot *s = pick_slot(in);
    if (s)
        fake_subscribe(s->peer);
}

static void step_deaf(struct input *in)
{
    struct slot *s = pick_slot(in);
    unsigned on = input_octet(in) & 1;
    if (s)
        fake_set_deaf(s->peer, on);
}

static void answer(const struct mail *m)
{
    struct frame f[] = {FRAME_LIT("db_reply"), FRAME_LIT("{}"),
                        FRAME_LIT("{\"status\": \"ok\"}"), FRAME_LIT("buffer")};
    struct letter l = {.type = MAIL_ANSWER, .peer = m->peer, .frames = f, .n = 4};
    hub_on_answer(seat.r, mail_new(NULL, &l));
}

static void step_records(struct input *in)
{
    struct mail *m;
    while ((m = ring_pop(seat.to_records))) {
        if (m->type == MAIL_QUERY)
            answer(m);
        mail_free(m);
    }
}

static void step_resubmit(struct input *in)
{
    struct draft d = {.n = 0};
    add(&d, make_header(d.text[0], "apply_request", input_octet(in), "a1b2", false));
    add(&d, SLICE_LIT("{}"));
    struct letter l = {
        .type = MAIL_RESUBMIT, .msg_id = SLICE_LIT("m1"), .frames = d.frames, .n = d.n};
    hub_on_answer(seat.r, mail_new(NULL, &l));
}

void seat_step(struct input *in)
{
    static void (*const steps[])(struct input * in) = {
        step_say,  step_connect,   step_hang_up, step_pass,     step_pong,
        step_deaf, step_subscribe, step_records, step_resubmit, step_say,
    };
    steps[input_octet(in) % (sizeof(steps) / sizeof(steps[0]))](in);
    check_registry();
}

/* Runs */

static void set_up(void)
{
    if (seat.loop)
        return;
    log_set_level(LOG_CRITICAL + 1);
    seat.loop = loop_new();
    seat.to_records = ring_new(RING_CAP);
    seat.from_records = ring_new(RING_CAP);
    session_new(&seat.with_key, KEY, strlen(KEY), "hmac-sha256", "hub", "me", NULL);
    session_new(&seat.without, "", 0, "hmac-sha256", "hub", "me", NULL);
    FUZZ_CHECK(seat.loop && seat.to_records && seat.from_records);
    FUZZ_CHECK(seat.with_key && seat.without);
    fake_hooks = (struct fake_hooks){on_heard, on_gone};
}

void seat_open(uint8_t mode)
{
    set_up();
    seat.session = mode & 1 ? seat.with_key : seat.without;
    seat.now_ns = 1000000000;
    seat.n_said = 0;
    seat.ping_len = 0;
    loop_set_clock(seat.loop, seat.now_ns);
    memset(seat.slots, 0, sizeof(seat.slots));
    struct router_config cfg = {
        .engine_interface = "tcp://127.0.0.1",
        .client_interface = "tcp://127.0.0.1",
        .broadcast_depth = 0,
        .caps = mode & 2 ? 0 : CAPS_ALL,
        .heart_period_ms = 3000,
        .heart_misses_max = 2,
        .digest_history = 16,
        .sched = {.scheme = "leastload",
                  .hwm = HWM_AUTO,
                  .client_limit = 1 << 16,
                  .grace_report_ms = 200,
                  .grace_lost_ms = 5000},
        .state_path = "state",
    };
    if (mode & 4)
        cfg.restore =
            SLICE_LIT("{\"engines\": {\"1\": \"e1\", \"4\": \"e2\"}, \"next_id\": 9}");
    struct ersa_error err = {0};
    FUZZ_CHECK(router_new(&seat.r, seat.loop, seat.session, seat.to_records, seat.from_records,
                          &cfg, &err) == 0);
}

void seat_connect(enum route rt, const char *identity)
{
    connect_slot(rt, slice_of(identity));
}

void seat_say(unsigned slot, const char *msg_type, const char *content)
{
    struct slot *s = &seat.slots[slot];
    struct draft d = {.n = 0};
    if (!s->peer)
        return;
    if (s->route == RT_ATTACH)
        add(&d, SLICE_LIT("query"));
    add_message(&d,
                make_header(d.text[0], msg_type, 1000 + seat.n_said++, session_of(s), false),
                SLICE_LIT("{}"), SLICE_LIT("{}"), slice_of(content), false);
    fake_say(s->peer, d.frames, d.n);
}

void seat_close(void)
{
    struct mail *m;
    FUZZ_CHECK(loop_turn(seat.loop, 0) == 0); /* a loop ends with a whole turn */
    check_registry();
    router_free(seat.r);
    seat.r = NULL;
    while ((m = ring_pop(seat.to_records)))
        mail_free(m);
    FUZZ_CHECK(loop_turn(seat.loop, 0) == 0);
}
