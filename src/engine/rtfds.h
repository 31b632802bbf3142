/* SPDX-License-Identifier: BSD-3-Clause */
/* Octets of the runtime protocol with descriptors beside them (SCM_RIGHTS): the one way in
 * which both sides write and read them. Like rtproto.h it is shared by src/engine and
 * python/ext, and needs no other header. */
#ifndef ERSA_ENGINE_RTFDS_H
#define ERSA_ENGINE_RTFDS_H

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define RTFDS_AT_ONCE 32

/* As send(), never with a signal; `fd` goes with the first octet, -1: none does. */
static inline ssize_t rtfds_send(int to, const void *data, size_t len, int fd, int flags)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {(void *)data, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        m.msg_control = control.room;
        m.msg_controllen = sizeof(control.room);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &fd, sizeof(fd));
    }
    return sendmsg(to, &m, MSG_NOSIGNAL | flags);
}

struct rtfds {
    int fds[RTFDS_AT_ONCE]; /* the receiver's from now on */
    unsigned n;
    bool is_cut; /* there were more, and they are lost */
};

/* As recv(); `ret` is filled when octets came. */
static inline ssize_t rtfds_receive(int from, void *data, size_t len, int flags,
                                    struct rtfds *ret)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(RTFDS_AT_ONCE * sizeof(int))];
    } control;
    struct iovec iov = {data, len};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = sizeof(control.room)};
    ssize_t n = recvmsg(from, &m, MSG_CMSG_CLOEXEC | flags);
    ret->n = 0;
    ret->is_cut = n > 0 && m.msg_flags & MSG_CTRUNC;
    if (n <= 0)
        return n;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned more = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(ret->fds + ret->n, CMSG_DATA(h), more * sizeof(int));
        ret->n += more;
    }
    return n;
}

#endif
