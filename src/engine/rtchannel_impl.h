/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the channel, shared by rtchannel.c, which reads, and rtsend.c, which writes. */
#ifndef ERSA_ENGINE_RTCHANNEL_IMPL_H
#define ERSA_ENGINE_RTCHANNEL_IMPL_H

#include "engine/rtchannel.h"

/* To be told when the channel can be read, unless it is held, and written, if there is
 * something to write. */
void rtchannel_watch(struct rtchannel *c);
/* A buffer that was large once, and is empty, is let go. */
void rtchannel_shrink(struct buf *b);

/* rtsend.c */
/* What can't be written now waits; that the other side is gone is learned by reading. */
void rtchannel_flush(struct rtchannel *c);
/* A borrower_release_fn of the channel: gives the block back. */
void rtchannel_give_back(void *ctx, uint32_t id);

#endif
