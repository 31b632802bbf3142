/* SPDX-License-Identifier: BSD-3-Clause */
/* The rival of `make bench`: the least that a broker on libzmq can do. Two ROUTERs; what comes
 * as [A, B, rest...] on one leaves as [B, A, rest...] on the other, frames moved and never
 * looked at. With a third and fourth port it also forwards iopub, SUB to PUB. Prints the ports
 * as JSON, ends on SIGTERM or when its standard input closes.
 *
 *     broker [--iopub] */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { FRONT, BACK, IOPUB_IN, IOPUB_OUT, STDIN, ENDS };

static void must(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "broker: %s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
}

/* Binds a socket of the type to a free port; unlimited queues, as the reference's. */
static void *bound(void *ctx, int type, int *ret_port)
{
    void *s = zmq_socket(ctx, type);
    int none = 0;
    char endpoint[64];
    size_t len = sizeof endpoint;

    must(zmq_setsockopt(s, ZMQ_SNDHWM, &none, sizeof none), "SNDHWM");
    must(zmq_setsockopt(s, ZMQ_RCVHWM, &none, sizeof none), "RCVHWM");
    must(zmq_setsockopt(s, ZMQ_LINGER, &none, sizeof none), "LINGER");
    if (type == ZMQ_SUB)
        must(zmq_setsockopt(s, ZMQ_SUBSCRIBE, "", 0), "SUBSCRIBE");
    must(zmq_bind(s, "tcp://127.0.0.1:*"), "bind");
    must(zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, endpoint, &len), "endpoint");
    *ret_port = atoi(strrchr(endpoint, ':') + 1);
    return s;
}

/* Moves one message; `swap` exchanges the first two frames. False when none was waiting. */
static bool forward(void *from, void *to, bool swap)
{
    zmq_msg_t first, frame;
    zmq_msg_init(&first);
    if (zmq_msg_recv(&first, from, ZMQ_DONTWAIT) < 0)
        return false;
    bool more = zmq_msg_more(&first);
    if (swap && more) {
        zmq_msg_init(&frame);
        must(zmq_msg_recv(&frame, from, 0), "recv");
        more = zmq_msg_more(&frame);
        must(zmq_msg_send(&frame, to, ZMQ_SNDMORE), "send");
    }
    must(zmq_msg_send(&first, to, more ? ZMQ_SNDMORE : 0), "send");
    while (more) {
        zmq_msg_init(&frame);
        must(zmq_msg_recv(&frame, from, 0), "recv");
        more = zmq_msg_more(&frame);
        must(zmq_msg_send(&frame, to, more ? ZMQ_SNDMORE : 0), "send");
    }
    return true;
}

int main(int argc, char **argv)
{
    bool iopub = argc > 1 && strcmp(argv[1], "--iopub") == 0;
    int ports[4] = {0};
    void *ctx = zmq_ctx_new();
    zmq_pollitem_t items[ENDS] = {
        [FRONT] = {bound(ctx, ZMQ_ROUTER, &ports[0]), 0, ZMQ_POLLIN, 0},
        [BACK] = {bound(ctx, ZMQ_ROUTER, &ports[1]), 0, ZMQ_POLLIN, 0},
        [IOPUB_IN] = {bound(ctx, ZMQ_SUB, &ports[2]), 0, iopub ? ZMQ_POLLIN : 0, 0},
        [IOPUB_OUT] = {bound(ctx, ZMQ_PUB, &ports[3]), 0, 0, 0},
        [STDIN] = {NULL, 0, ZMQ_POLLIN, 0},
    };

    printf("{\"client\": %d, \"engine\": %d, \"iopub_engine\": %d, \"iopub_client\": %d}\n",
           ports[0], ports[1], ports[2], ports[3]);
    fflush(stdout);
    while (zmq_poll(items, ENDS, -1) >= 0 && !items[STDIN].revents) {
        for (int i = 0; i < 1000; i++) {
            bool any =
                items[FRONT].revents && forward(items[FRONT].socket, items[BACK].socket, true);
            any |=
                items[BACK].revents && forward(items[BACK].socket, items[FRONT].socket, true);
            any |= items[IOPUB_IN].revents &&
                   forward(items[IOPUB_IN].socket, items[IOPUB_OUT].socket, false);
            if (!any)
                break;
        }
    }
    for (int i = 0; i < STDIN; i++)
        zmq_close(items[i].socket);
    zmq_ctx_term(ctx);
    return 0;
}
