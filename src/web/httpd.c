/* SPDX-License-Identifier: BSD-3-Clause */
/* libmicrohttpd on our loop: its epoll descriptor is watched as any other, and its time is a
 * timer of ours. A request is suspended until the other threads have answered (scrape.h).
 *
 * Bounds: CONNECTIONS_MAX connections, of which those beyond CONNECTIONS_KEPT push out the one
 * that has been idle or slow for longest; PATIENCE_MS for a request, and for a connection
 * between two; REQUEST_MAX octets for a request's head; a body is not read. When the library
 * gives up for good, the thread ends and the controller goes on without it. */
#include "web/web.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"
#include "web/process.h"
#include "web/scrape.h"
#include "web/text.h"
#include "web/visitors.h"

#define CONNECTIONS_MAX 128
#define CONNECTIONS_KEPT 96
#define PATIENCE_MS 10000
#define TURN_MS 500 /* the longest pause while the library waits for something */
#define REQUEST_MAX 16384
#define PAGE_MAX ((size_t)4 << 20)

/* Answers that are counted. */
static const unsigned codes[] = {MHD_HTTP_OK, MHD_HTTP_NOT_FOUND, MHD_HTTP_METHOD_NOT_ALLOWED,
                                 MHD_HTTP_INTERNAL_SERVER_ERROR, MHD_HTTP_SERVICE_UNAVAILABLE};
#define N_CODES (sizeof(codes) / sizeof(codes[0]))

struct web {
    pthread_t thread;
    struct loop *loop;
    struct MHD_Daemon *daemon;
    struct watch events; /* the daemon's epoll descriptor */
    struct timer turn;   /* the daemon has something to do then */
    struct watch stop;
    int stop_fd, port;
    struct visitors visitors; /* connections */
    struct scrape scrape;
    struct stats_sheet own;
    struct buf page; /* /metrics, as of the last answers */
    int page_rc;
    uint64_t answered[N_CODES];
    struct stats_desk *desks[WEB_DESKS_MAX];
    unsigned n_desks;
};

struct request {
    struct list link; /* in the scrape's lists while it is suspended */
    struct MHD_Connection *connection;
    bool is_joined, is_ready;
};

/* The daemon's turns */

static void plan_turn(struct web *w)
{
    unsigned MHD_LONG_LONG ms;
    if (MHD_get_timeout(w->daemon, &ms) == MHD_YES)
        loop_after(w->loop, &w->turn, ms < TURN_MS ? MS_TO_NS(ms) + 1 : MS_TO_NS(TURN_MS));
    else
        loop_cancel(w->loop, &w->turn);
}

static void take_turn(struct web *w)
{
    MHD_run(w->daemon);
    plan_turn(w);
}

static void on_turn(struct timer *t)
{
    take_turn(container_of(t, struct web, turn));
}

static void on_events(struct watch *watch, unsigned events)
{
    take_turn(container_of(watch, struct web, events));
}

static void on_connection(void *cls, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct web *w = cls;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*context)
            visitor_left(&w->visitors, *context);
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    *context = info ? visitor_came(&w->visitors, info->connect_fd) : NULL;
}

/* Answers */

static enum MHD_Result answer(struct web *w, struct MHD_Connection *c, unsigned code,
                              const char *type, const void *body, size_t len)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(len, (void *)body, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result rc = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    for (size_t i = 0; i < N_CODES; i++)
        w->answered[i] += codes[i] == code && rc == MHD_YES;
    return rc;
}

static enum MHD_Result answer_text(struct web *w, struct MHD_Connection *c, unsigned code,
                                   const char *text)
{
    return answer(w, c, code, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result get_metrics(struct web *w, struct MHD_Connection *c)
{
    if (w->page_rc < 0)
        return answer_text(w, c, MHD_HTTP_INTERNAL_SERVER_ERROR,
                           "the figures could not be written down\n");
    return answer(w, c, MHD_HTTP_OK, TEXT_CONTENT_TYPE, w->page.data, w->page.len);
}

static enum MHD_Result get_health(struct web *w, struct MHD_Connection *c)
{
    char text[128];
    const struct stats_desk *silent = scrape_missing(&w->scrape);
    if (!silent)
        return answer_text(w, c, MHD_HTTP_OK, "ok\n");
    snprintf(text, sizeof(text), "the thread '%s' does not answer\n", desk_thread(silent));
    return answer_text(w, c, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static const struct {
    const char *path;
    enum MHD_Result (*get)(struct web *w, struct MHD_Connection *c);
} routes[] = {
    {"/metrics", get_metrics},
    {"/healthz", get_health},
};
#define N_ROUTES (sizeof(routes) / sizeof(routes[0]))

/* The path of a request's target. In the absolute form, as proxies are asked (RFC 9112 3.2.2),
 * a scheme and an authority stand in front of it. */
static const char *path_of(const char *target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], len) != 0)
            continue;
        const char *path = strchr(target + len, '/');
        return path ? path : "/";
    }
    return target;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version,
                                  const char *upload_data, size_t *upload_size, void **context)
{
    struct web *w = cls;
    struct request *q = *context;
    size_t route = 0;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(w, c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    const char *path = path_of(url);
    while (route < N_ROUTES && strcmp(path, routes[route].path) != 0)
        route++;
    if (route == N_ROUTES)
        return answer_text(w, c, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
    if (!q) {
        q = calloc(1, sizeof(*q));
        if (!q)
            return MHD_NO;
        list_init(&q->link);
        q->connection = c;
        *context = q;
        return MHD_YES;
    }
    *upload_size = 0; /* whatever it is */
    if (q->is_ready)
        return routes[route].get(w, c);
    if (!q->is_joined) {
        q->is_joined = true;
        MHD_suspend_connection(c);
        scrape_join(&w->scrape, &q->link);
    }
    return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **context,
                         enum MHD_RequestTerminationCode why)
{
    struct web *w = cls;
    struct request *q = *context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info && info->socket_context)
        visitor_served(&w->visitors, info->socket_context);
    if (q)
        list_remove(&q->link);
    free(q);
    *context = NULL;
}

/* What this thread tells itself, and how old the others' figures are. */
static void fill_own(struct web *w)
{
    struct stats_sheet *s = &w->own;
    char code[8];
    stats_reset(s);
    stats_put_label(s, STATS_BUILD, ERSA_VERSION, 1);
    for (unsigned i = 0; i < w->n_desks; i++) {
        int64_t at_ns = desk_latest(w->desks[i])->at_ns;
        if (at_ns)
            stats_put_label(s, STATS_SHEET_AGE, desk_thread(w->desks[i]),
                            (double)(clock_mono_ns() - at_ns) / 1e9);
    }
    for (size_t i = 0; i < N_CODES; i++) {
        snprintf(code, sizeof(code), "%u", codes[i]);
        stats_put_label(s, STATS_HTTP_REQUESTS, code, (double)w->answered[i]);
    }
    stats_put(s, STATS_HTTP_CONNECTIONS, w->visitors.n);
    stats_put(s, STATS_HTTP_EVICTED, (double)w->visitors.n_evicted);
    process_put(s);
    stats_put_thread(s, "web");
}

static void resume(struct list *requests)
{
    list_for_each (requests, it) {
        struct request *q = container_of(it, struct request, link);
        list_remove(&q->link);
        q->is_ready = true;
        MHD_resume_connection(q->connection);
    }
}

static void on_scraped(void *ctx)
{
    struct web *w = ctx;
    const struct stats_sheet *sheets[WEB_DESKS_MAX + 1] = {&w->own};
    fill_own(w);
    for (unsigned i = 0; i < w->n_desks; i++)
        sheets[i + 1] = desk_latest(w->desks[i]);
    buf_reset(&w->page);
    w->page_rc = text_render(&w->page, sheets, w->n_desks + 1);
    resume(&w->scrape.asked);
    loop_after(w->loop, &w->turn, 1); /* not in this turn of the loop */
}

/* The thread */

static void on_stop(struct watch *watch, unsigned events)
{
    loop_stop(container_of(watch, struct web, stop)->loop);
}

static void *run(void *arg)
{
    struct web *w = arg;
    pthread_setname_np(pthread_self(), "web");
    plan_turn(w);
    if (loop_run(w->loop) < 0)
        log_error("metrics::the web thread has failed");
    resume(&w->scrape.joined);
    resume(&w->scrape.asked);
    MHD_stop_daemon(w->daemon);
    w->daemon = NULL;
    return NULL;
}

/* What the library finds impossible ends this thread and nothing else. Its memory is left. */
static void on_panic(void *cls, const char *file, unsigned line, const char *reason)
{
    struct web *w = cls;
    log_critical("metrics::the HTTP server gave up: %s", reason ? reason : "unknown reason");
    if (pthread_equal(pthread_self(), w->thread))
        pthread_exit(NULL);
    abort();
}

static void log_library(void *cls, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
static void log_library(void *cls, const char *fmt, va_list ap)
{
    char text[256];
    vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\n")] = 0;
    log_debug("metrics::%s", text);
}

/* Start and end */

static int bind_one(const struct addrinfo *a, struct ersa_error *err)
{
    int one = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, ERSA_EIO, "no socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int rc = err_errno(err, errno == EADDRINUSE ? ERSA_EEXIST : ERSA_EIO, "can't listen");
    close(fd);
    return rc;
}

/* A listening socket, or a negative error. */
static int listen_on(const struct web_config *cfg, int *ret_port, struct ersa_error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[16];
    snprintf(port, sizeof(port), "%d", cfg->port);
    int rc = getaddrinfo(strcmp(cfg->ip, "*") == 0 ? "0.0.0.0" : cfg->ip, port, &hints, &list);
    if (rc != 0)
        return err_set(err, ERSA_EINVAL, "%s: %s", cfg->ip, gai_strerror(rc));
    int fd = bind_one(list, err);
    freeaddrinfo(list);
    if (fd < 0)
        return err_prefix(err, fd, "%s, port %d", cfg->ip, cfg->port);
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    if (getnameinfo((struct sockaddr *)&bound,
                    getsockname(fd, (struct sockaddr *)&bound, &len) == 0 ? len : 0, NULL, 0,
                    port, sizeof(port), NI_NUMERICSERV) == 0)
        *ret_port = atoi(port);
    return fd;
}

static int start_daemon(struct web *w, int listen_fd)
{
    MHD_set_panic_func(on_panic, w);
    w->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
        w, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET,
        (MHD_socket)listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MAX, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, w, MHD_OPTION_NOTIFY_CONNECTION, on_connection, w, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        w->daemon ? MHD_get_daemon_info(w->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return ERSA_EIO;
    return loop_watch(w->loop, &w->events, info->epoll_fd, LOOP_READ, LOOP_NORMAL);
}

static void free_web(struct web *w)
{
    scrape_fini(&w->scrape);
    if (w->loop) {
        loop_cancel(w->loop, &w->turn);
        visitors_fini(&w->visitors);
        loop_unwatch(w->loop, &w->events);
        loop_unwatch(w->loop, &w->stop);
        loop_free(w->loop);
    }
    if (w->stop_fd >= 0)
        close(w->stop_fd);
    buf_fini(&w->page);
    free(w);
}

/* Signals are for the thread that started us. */
static int start_thread(struct web *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : ERSA_EIO;
}

int web_start(struct web **ret, const struct web_config *cfg, struct ersa_error *err)
{
    int port = cfg->port;
    int listen_fd = listen_on(cfg, &port, err);
    if (listen_fd < 0)
        return listen_fd;
    struct web *w = calloc(1, sizeof(*w));
    if (!w) {
        close(listen_fd);
        return err_set(err, ERSA_ENOMEM, "out of memory");
    }
    w->port = port;
    w->turn.fn = on_turn;
    w->events.fn = on_events;
    w->stop.fn = on_stop;
    buf_init(&w->page, PAGE_MAX);
    w->n_desks = cfg->n_desks < WEB_DESKS_MAX ? cfg->n_desks : WEB_DESKS_MAX;
    memcpy(w->desks, cfg->desks, w->n_desks * sizeof(struct stats_desk *));
    w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->loop = loop_new();
    visitors_init(&w->visitors, w->loop, CONNECTIONS_KEPT,
                  cfg->patience_ms ? cfg->patience_ms : PATIENCE_MS);
    int rc = w->loop && w->stop_fd >= 0 ? 0 : ERSA_EIO;
    if (rc == 0)
        rc = loop_watch(w->loop, &w->stop, w->stop_fd, LOOP_READ, LOOP_URGENT);
    if (rc == 0)
        rc = scrape_init(&w->scrape, w->loop, w->desks, w->n_desks, on_scraped, w);
    if (rc == 0)
        rc = start_daemon(w, listen_fd);
    if (rc == 0)
        rc = start_thread(w);
    if (rc < 0) {
        if (w->daemon)
            MHD_stop_daemon(w->daemon);
        else
            close(listen_fd);
        free_web(w);
        return err_set(err, rc, "the HTTP server was not started: %s", ersa_strerror(rc));
    }
    *ret = w;
    return 0;
}

int web_port(const struct web *w)
{
    return w->port;
}

void web_stop(struct web *w)
{
    uint64_t one = 1;
    if (!w)
        return;
    if (write(w->stop_fd, &one, sizeof(one)) < 0)
        log_error("metrics::the web thread was not told to stop");
    pthread_join(w->thread, NULL);
    free_web(w);
}
