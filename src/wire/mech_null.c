/* SPDX-License-Identifier: BSD-3-Clause */
/* The NULL mechanism: each side says READY at once, and believes the other (wire.md 1.3). */
#include "ersa/error.h"
#include "wire/mechanism.h"

static int start(const struct handshake *h, struct buf *out)
{
    return zmtp_put_ready(out, h->socket_type, h->identity);
}

static int on_command(const struct handshake *h, const struct zmtp_command *cmd,
                      struct buf *out, struct zmtp_ready *ret_ready)
{
    if (slice_is(cmd->name, "ERROR"))
        return ERSA_ECLOSED;
    if (!slice_is(cmd->name, "READY"))
        return 0;
    int rc = zmtp_parse_ready(cmd->data, ret_ready);
    return rc < 0 ? rc : 1;
}

const struct mechanism mechanism_null = {.name = "NULL", .start = start, .command = on_command};
