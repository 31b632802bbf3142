/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses and sockets. A socket file that nobody listens on any more is replaced. */
#include "wire/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

/* A connection without a word from the other side is found dead after about two minutes. */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_PROBES 4

/* Inside a host no network is to be found out about, and what the system has chosen for
 * networks may cost: BBR sets a timer for what it sends, a tenth of a task's time. This one is
 * in every kernel and free to all. */
#define PLAIN_CONTROL "reno"

static int parse_tcp(struct endpoint *ret, const char *text, const char *rest, bool to_bind,
                     struct ersa_error *err)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&ret->addr;
    char ip[64];
    const char *colon = strrchr(rest, ':');
    long long port = 0;
    if (!colon || (size_t)(colon - rest) >= sizeof(ip))
        return err_set(err, ERSA_EINVAL, "%s: \"tcp://ip:port\" is wanted", text);
    memcpy(ip, rest, (size_t)(colon - rest));
    ip[colon - rest] = '\0';
    bool any_port = to_bind && strcmp(colon + 1, "*") == 0;
    if (!any_port && (str_to_i64(colon + 1, &port) < 0 || port < 0 || port > 65535))
        return err_set(err, ERSA_EINVAL, "%s: the port must be a number up to 65535", text);
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    ret->len = sizeof(*in);
    if (to_bind && strcmp(ip, "*") == 0)
        in->sin_addr.s_addr = htonl(INADDR_ANY);
    else if (inet_pton(AF_INET, ip, &in->sin_addr) != 1)
        return err_set(err, ERSA_EINVAL, "%s: not an IPv4 address: %s", text, ip);
    return 0;
}

static int parse_ipc(struct endpoint *ret, const char *text, const char *path,
                     struct ersa_error *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&ret->addr;
    size_t len = strlen(path);
    if (path[0] != '/')
        return err_set(err, ERSA_EINVAL, "%s: the path must be absolute", text);
    if (len >= sizeof(un->sun_path))
        return err_set(err, ERSA_EINVAL, "%s: the path is longer than %zu octets", text,
                       sizeof(un->sun_path) - 1);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    ret->len = sizeof(*un);
    return 0;
}

int endpoint_parse(struct endpoint *ret, const char *text, bool to_bind, struct ersa_error *err)
{
    memset(ret, 0, sizeof(*ret));
    if (strncmp(text, "tcp://", 6) == 0)
        return parse_tcp(ret, text, text + 6, to_bind, err);
    if (strncmp(text, "ipc://", 6) == 0)
        return parse_ipc(ret, text, text + 6, err);
    return err_set(err, ERSA_EINVAL, "%s: neither tcp:// nor ipc://", text);
}

void endpoint_text(const struct endpoint *e, char *out, size_t max)
{
    char ip[INET_ADDRSTRLEN] = "?";
    if (endpoint_is_ipc(e)) {
        snprintf(out, max, "ipc://%s", ((const struct sockaddr_un *)&e->addr)->sun_path);
        return;
    }
    const struct sockaddr_in *in = (const struct sockaddr_in *)&e->addr;
    inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
    snprintf(out, max, "tcp://%s:%u", ip, ntohs(in->sin_port));
}

static int open_socket(const struct endpoint *e)
{
    return socket(e->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Is somebody behind that socket file? */
static bool answers(const struct endpoint *e)
{
    CLEANUP(close_fd) int fd = open_socket(e);
    return fd >= 0 &&
           (connect(fd, (const struct sockaddr *)&e->addr, e->len) == 0 || errno == EAGAIN);
}

static int bind_it(int fd, const struct endpoint *e)
{
    int rc = bind(fd, (const struct sockaddr *)&e->addr, e->len);
    if (rc < 0 && errno == EADDRINUSE && endpoint_is_ipc(e) && !answers(e)) {
        unlink(((const struct sockaddr_un *)&e->addr)->sun_path);
        rc = bind(fd, (const struct sockaddr *)&e->addr, e->len);
    }
    return rc;
}

int endpoint_listen(struct endpoint *e, const char *text, struct ersa_error *err)
{
    CLEANUP(close_fd) int fd = open_socket(e);
    if (fd < 0)
        return err_errno(err, ERSA_EIO, "%s", text);
    int on = 1;
    if (!endpoint_is_ipc(e))
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind_it(fd, e) < 0 || listen(fd, SOMAXCONN) < 0)
        return err_errno(err, errno == EADDRINUSE ? ERSA_EEXIST : ERSA_EIO, "%s", text);
    if (!endpoint_is_ipc(e)) {
        e->len = sizeof(e->addr);
        getsockname(fd, (struct sockaddr *)&e->addr, &e->len);
    }
    return TAKE_FD(fd);
}

/* Both ends on one host: the system takes the destination's address for the source, too. */
static bool is_local(int fd, const struct endpoint *peer)
{
    struct sockaddr_in own = {0};
    socklen_t len = sizeof(own);
    return getsockname(fd, (struct sockaddr *)&own, &len) == 0 && own.sin_family == AF_INET &&
           own.sin_addr.s_addr == ((const struct sockaddr_in *)&peer->addr)->sin_addr.s_addr;
}

/* What both sides set on a connection. */
static void tune(int fd, const struct endpoint *peer)
{
    if (endpoint_is_ipc(peer))
        return;
    int on = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S,
        probes = KEEPALIVE_PROBES;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    if (is_local(fd, peer))
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, PLAIN_CONTROL, strlen(PLAIN_CONTROL));
}

int endpoint_connect(const struct endpoint *e)
{
    CLEANUP(close_fd) int fd = open_socket(e);
    if (fd < 0)
        return ERSA_EIO;
    if (connect(fd, (const struct sockaddr *)&e->addr, e->len) < 0 && errno != EINPROGRESS)
        return ERSA_EIO;
    tune(fd, e);
    return TAKE_FD(fd);
}

int endpoint_accept(int listener)
{
    struct endpoint peer = {.len = sizeof(peer.addr)};
    int fd = accept4(listener, (struct sockaddr *)&peer.addr, &peer.len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        tune(fd, &peer);
    return fd;
}
