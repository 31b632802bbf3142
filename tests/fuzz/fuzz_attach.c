/* SPDX-License-Identifier: BSD-3-Clause */
/* What attached engines say on their one connection, [channel, ...], while clients ask.
 *
 * The first octet: mode of the router. In slots 0 and 1 are engines that are registered and
 * ready, in 2 to 5 clients of mux, task, broadcast and control. Then steps (router_seat.c). */
#include "router_seat.h"

static void start(uint8_t mode)
{
    seat_open(mode);
    seat_connect(RT_ATTACH, "e0");
    seat_connect(RT_ATTACH, "e1");
    seat_connect(RT_MUX_CLIENT, "c0");
    seat_connect(RT_TASK_CLIENT, "c0");
    seat_connect(RT_BROADCAST_ROOT, "c0");
    seat_connect(RT_CONTROL_CLIENT, "c0");
    seat_say(0, "registration_request",
             "{\"uuid\": \"e0\", \"id\": null, \"ersa\": {\"v\": 1, \"caps\": [\"attach\", "
             "\"ready\", \"begun\", \"recall\"]}}");
    seat_say(1, "registration_request",
             "{\"uuid\": \"e1\", \"ersa\": {\"v\": 1, \"caps\": [\"attach\", \"ready\"]}}");
    seat_say(0, "ersa_ready", "{}");
    seat_say(1, "ersa_ready", "{}");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    start(input_octet(&in));
    while (input_left(&in))
        seat_step(&in);
    seat_close();
    return 0;
}
