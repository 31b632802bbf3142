/* SPDX-License-Identifier: BSD-3-Clause */
/* What engines and clients that nobody knows say to the hub and to other ports of a router.
 *
 * The first octet: mode of the router. Then steps (router_seat.c). */
#include "router_seat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    seat_open(input_octet(&in));
    while (input_left(&in))
        seat_step(&in);
    seat_close();
    return 0;
}
