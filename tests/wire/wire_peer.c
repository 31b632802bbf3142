/* SPDX-License-Identifier: BSD-3-Clause */
/* One port on the command line: events as JSON lines on stdout, commands as lines on stdin.
 *
 *     wire_peer KIND [name=value ...]
 *
 * Names: bind, connect (several are allowed), identity, tx_cap, msg_max, unsent_max,
 * handshake_ms, reconnect_min_ms, reconnect_max_ms, echo=1, curve_secret (a CURVE server with
 * this key), curve_server (a CURVE client of that one, with a pair of its own). Peers are named
 * by their identity in hex. A frame is hex, "-" (empty) or "@N:xx" (N octets of that value).
 * Frames over 64 octets are told by length and SHA-256.
 *
 *     send PEER FRAME...   push FRAME...   publish FRAME...   subscribe FRAME   repeat N
 * COMMAND echo 0|1   pause|resume|close PEER   stall SOURCE SINK   stats   end LINGER_MS */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "wire/port.h"

#define WORDS_MAX 64
#define FRAME_SHOWN_MAX 64

static struct loop *loop;
static struct wire *wire;
static struct port *port;
static bool echoes;
static struct watch commands;
static struct buf line_buf;

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "wire_peer: %s: %s\n", what, why);
    exit(2);
}

/* Telling */

static void tell(const char *event, struct peer *p)
{
    printf("{\"event\": \"%s\"", event);
    if (!p)
        return;
    char hex[2 * 255 + 1];
    struct slice id = peer_identity(p);
    str_hex(id.data, id.len, hex);
    printf(", \"peer\": \"%s\"", hex);
}

static void end_of_line(void)
{
    printf("}\n");
    fflush(stdout);
}

static void tell_octets(const void *data, size_t len)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    if (len <= FRAME_SHOWN_MAX) {
        str_hex(data, len, hex);
        printf("\"%s\"", hex);
        return;
    }
    EVP_Digest(data, len, digest, &n, EVP_sha256(), NULL);
    str_hex(digest, n, hex);
    printf("[%zu, \"%s\"]", len, hex);
}

static void on_up(void *ctx, struct peer *p)
{
    tell("up", p);
    printf(", \"address\": \"%s\"", peer_address(p));
    end_of_line();
}

static void on_down(void *ctx, struct peer *p, enum peer_down why)
{
    static const char *const reasons[] = {"eof", "broken", "protocol", "timeout", "closed"};
    tell("down", p);
    printf(", \"why\": \"%s\"", reasons[why]);
    end_of_line();
}

static void on_taken_over(void *ctx, struct peer *p)
{
    tell("taken_over", p);
    end_of_line();
}

static void on_drained(void *ctx, struct peer *p)
{
    tell("drained", p);
    end_of_line();
}

static void on_message(void *ctx, struct peer *p, const struct msg *m)
{
    if (echoes) {
        peer_send(p, m->frames, m->n);
        return;
    }
    tell("message", p);
    printf(", \"frames\": [");
    for (unsigned i = 0; i < m->n; i++) {
        printf("%s", i ? ", " : "");
        tell_octets(m->frames[i].data, m->frames[i].len);
    }
    printf("]");
    end_of_line();
}

static void on_subscribed(void *ctx, struct peer *p, struct slice prefix, bool on)
{
    tell(on ? "subscribed" : "cancelled", p);
    printf(", \"prefix\": ");
    tell_octets(prefix.data, prefix.len);
    end_of_line();
}

static const struct port_ops ops = {
    .peer_up = on_up,
    .peer_down = on_down,
    .peer_taken_over = on_taken_over,
    .message = on_message,
    .subscribed = on_subscribed,
    .drained = on_drained,
};

/* Commands */

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static struct frame to_frame(const char *word)
{
    struct frame f = {(const uint8_t *)"", 0, NULL};
    if (word[0] == '@') {
        char *end;
        f.len = strtoul(word + 1, &end, 10);
        int value = *end == ':' ? (int)strtol(end + 1, NULL, 16) : 0;
        f.block = block_get(wire_pool(wire), f.len);
        if (!f.block)
            die(word, "no memory");
        f.data = f.block->data;
        memset(f.block->data, value, f.len);
    } else if (word[0] != '-') {
        size_t len = strlen(word) / 2;
        uint8_t *data = malloc(len + 1);
        if (!data)
            die(word, "no memory");
        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)(digit(word[2 * i]) << 4 | digit(word[2 * i + 1]));
        f.data = data;
        f.len = len;
    }
    return f;
}

static void frame_drop(struct frame *f)
{
    if (f->block)
        block_unref(f->block);
    else if (f->len)
        free((void *)f->data);
}

static struct peer *to_peer(const char *word)
{
    struct frame id = to_frame(word);
    struct peer *p = port_find(port, id.data, id.len);
    frame_drop(&id);
    if (!p) {
        tell("unknown", NULL);
        end_of_line();
    }
    return p;
}

enum way { TO_PEER, TO_ANY, TO_SUBSCRIBERS };

static void send_frames(enum way way, struct peer *p, char **words, unsigned n, unsigned times)
{
    struct frame frames[WORDS_MAX];
    unsigned missed = 0;
    int rc = 0;
    for (unsigned i = 0; i < n; i++)
        frames[i] = to_frame(words[i]);
    for (unsigned t = 0; t < times && rc == 0; t++) {
        if (way == TO_SUBSCRIBERS)
            missed += port_publish(port, frames, n);
        else
            rc = way == TO_ANY ? port_send(port, frames, n) : peer_send(p, frames, n);
    }
    for (unsigned i = 0; i < n; i++)
        frame_drop(&frames[i]);
    if (rc < 0 || missed || (p && peer_is_full(p))) {
        tell("sent", NULL);
        printf(", \"error\": %d, \"missed\": %u, \"full\": %s", rc, missed,
               p && peer_is_full(p) ? "true" : "false");
        end_of_line();
    }
}

static void tell_stats(void)
{
    const struct wire_stats *s = wire_stats(wire);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"accepted", s->accepted},
        {"connected", s->connected},
        {"handshake_failed", s->handshake_failed},
        {"protocol_errors", s->protocol_errors},
        {"msgs_in", s->msgs_in},
        {"msgs_out", s->msgs_out},
        {"bytes_in", s->bytes_in},
        {"bytes_out", s->bytes_out},
        {"reads", s->reads},
        {"writes", s->writes},
        {"dropped_pub", s->dropped_pub},
        {"takeovers", s->takeovers},
        {"queued", port_queued_bytes(port)},
        {"peers", port_peers(port)},
        {"block_bytes", block_pool_used(wire_pool(wire))},
    };
    tell("stats", NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        printf(", \"%s\": %llu", rows[i].name, (unsigned long long)rows[i].value);
    end_of_line();
}

static void on_peer_command(char **words, unsigned n, unsigned times)
{
    struct peer *p = n > 1 ? to_peer(words[1]) : NULL;
    if (!p)
        return;
    if (strcmp(words[0], "send") == 0)
        send_frames(TO_PEER, p, words + 2, n - 2, times);
    else if (strcmp(words[0], "pause") == 0)
        peer_pause(p);
    else if (strcmp(words[0], "resume") == 0)
        peer_resume(p);
    else if (strcmp(words[0], "close") == 0)
        peer_close(p);
    else if (strcmp(words[0], "stall") == 0 && n > 2)
        peer_stall(p, to_peer(words[2]));
    else
        die(words[0], "no such command");
}

static void on_command(char **words, unsigned n, unsigned times)
{
    if (strcmp(words[0], "repeat") == 0 && n > 2) {
        on_command(words + 2, n - 2, (unsigned)atoi(words[1]));
    } else if (strcmp(words[0], "push") == 0) {
        send_frames(TO_ANY, NULL, words + 1, n - 1, times);
    } else if (strcmp(words[0], "publish") == 0) {
        send_frames(TO_SUBSCRIBERS, NULL, words + 1, n - 1, times);
    } else if (strcmp(words[0], "subscribe") == 0 && n > 1) {
        struct frame f = to_frame(words[1]);
        port_subscribe(port, f.data, f.len);
        frame_drop(&f);
    } else if (strcmp(words[0], "echo") == 0 && n > 1) {
        echoes = words[1][0] == '1';
    } else if (strcmp(words[0], "stats") == 0) {
        tell_stats();
    } else if (strcmp(words[0], "end") == 0 && n > 1) {
        port_close(TAKE_PTR(port), (unsigned)atoi(words[1]));
    } else {
        on_peer_command(words, n, times);
    }
}

static void on_line(char *line)
{
    char *words[WORDS_MAX], *save = NULL;
    unsigned n = 0;
    for (char *w = strtok_r(line, " ", &save); w && n < WORDS_MAX;
         w = strtok_r(NULL, " ", &save))
        words[n++] = w;
    if (n && port)
        on_command(words, n, 1);
}

static void on_commands(struct watch *w, unsigned events)
{
    char chunk[4096];
    ssize_t n = read(w->fd, chunk, sizeof(chunk));
    if (n <= 0) {
        loop_stop(loop);
        return;
    }
    buf_append(&line_buf, chunk, (size_t)n);
    const uint8_t *end;
    while (line_buf.len && (end = memchr(line_buf.data, '\n', line_buf.len))) {
        size_t len = (size_t)(end - line_buf.data);
        line_buf.data[len] = '\0';
        on_line((char *)line_buf.data);
        buf_consume(&line_buf, len + 1);
    }
}

/* Starting */

struct arguments {
    struct port_config cfg;
    const char *binds[8], *connects[8];
    unsigned n_binds, n_connects;
    struct curve_config curve;
};

static bool read_key(struct arguments *a, const char *name, const char *value)
{
    bool is_server = strcmp(name, "curve_secret") == 0;
    if (!is_server && strcmp(name, "curve_server") != 0)
        return false;
    a->curve.is_server = is_server;
    if (curve_key_parse(is_server ? a->curve.own.secret_key : a->curve.server, value) < 0)
        die(name, "no key");
    if (is_server)
        curve_keys_derive(&a->curve.own);
    else
        curve_keys_make(&a->curve.own);
    a->cfg.curve = &a->curve;
    return true;
}

static void read_argument(struct arguments *a, char *text)
{
    char *value = strchr(text, '=');
    if (!value)
        die(text, "\"name=value\" is wanted");
    *value++ = '\0';
    const struct {
        const char *name;
        size_t *size;
        unsigned *ms;
    } numbers[] = {
        {"tx_cap", &a->cfg.tx_cap_bytes, NULL},
        {"msg_max", &a->cfg.msg_max_bytes, NULL},
        {"unsent_max", &a->cfg.unsent_max_bytes, NULL},
        {"handshake_ms", NULL, &a->cfg.handshake_ms},
        {"reconnect_min_ms", NULL, &a->cfg.reconnect_min_ms},
        {"reconnect_max_ms", NULL, &a->cfg.reconnect_max_ms},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(text, numbers[i].name) != 0)
            continue;
        if (numbers[i].size)
            *numbers[i].size = strtoul(value, NULL, 10);
        else
            *numbers[i].ms = (unsigned)strtoul(value, NULL, 10);
        return;
    }
    if (read_key(a, text, value))
        return;
    if (strcmp(text, "identity") == 0) {
        a->cfg.identity = value;
        a->cfg.identity_len = strlen(value);
    } else if (strcmp(text, "echo") == 0) {
        echoes = value[0] == '1';
    } else if (strcmp(text, "bind") == 0 && a->n_binds < 8) {
        a->binds[a->n_binds++] = value;
    } else if (strcmp(text, "connect") == 0 && a->n_connects < 8) {
        a->connects[a->n_connects++] = value;
    } else {
        die(text, "no such name");
    }
}

static void open_port(const struct arguments *a)
{
    struct ersa_error err = {0};
    char bound[PORT_ENDPOINT_MAX];
    port = port_new(wire, &a->cfg, &err);
    if (!port)
        die("port", err.text);
    for (unsigned i = 0; i < a->n_binds; i++) {
        if (port_bind(port, a->binds[i], bound, &err) < 0)
            die("bind", err.text);
        tell("bound", NULL);
        printf(", \"endpoint\": \"%s\"", bound);
        end_of_line();
    }
    for (unsigned i = 0; i < a->n_connects; i++)
        if (port_connect(port, a->connects[i], &err) < 0)
            die("connect", err.text);
}

int main(int argc, char **argv)
{
    static const char *const kinds[PORT_KIND_MAX] = {"ROUTER", "DEALER", "PUB", "XPUB", "SUB"};
    struct arguments a = {
        .cfg = {.kind = PORT_KIND_MAX, .name = "wire_peer", .ops = &ops, .prio = LOOP_NORMAL}};
    for (int k = 0; k < PORT_KIND_MAX; k++)
        if (argc > 1 && strcmp(argv[1], kinds[k]) == 0)
            a.cfg.kind = (enum port_kind)k;
    for (int i = 2; i < argc; i++)
        read_argument(&a, argv[i]);
    loop = loop_new();
    wire = loop ? wire_new(loop, NULL) : NULL;
    if (!wire)
        die("wire", "no memory");
    open_port(&a);
    buf_init(&line_buf, 1 << 20);
    commands.fn = on_commands;
    if (loop_watch(loop, &commands, 0, LOOP_READ, LOOP_URGENT) < 0)
        die("stdin", "can't be watched");
    int rc = loop_run(loop);
    loop_unwatch(loop, &commands);
    wire_free(wire);
    loop_free(loop);
    buf_fini(&line_buf);
    return rc < 0;
}
