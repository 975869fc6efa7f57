/*
 * Packets that have to wait: for an owner of their slot, or for the first fragment of their datagram. They are handed to the
 * agent through a ring buffer, and it sends them on when it is decided. When the ring is full, or a frame is larger than its
 * place there, the frame is dropped. Fragments and packets too big for a tunnel, which anybody can send without end, get half of
 * the ring.
 */
#ifndef PANOPLY_HOLD_H
#define PANOPLY_HOLD_H

#include "hook.h"
#include "packet.h"

enum { RING_FILLED = 0, RING_SIZE = 1 };

static __always_inline int hold_in(frame_t *frame, struct held *place, const struct decision *decision, __u32 bytes)
{
	place->header = (struct held_header){
		.length = bytes,
		.slot = decision->slot - decision->base,
		.group = decision->group,
		.link = frame_link(frame),
		.reason = decision->reason,
	};
	if (read_bytes(frame, 0, place->frame, bytes)) {
		bpf_ringbuf_discard(place, 0);
		return 0;
	}
	bpf_ringbuf_submit(place, 0);
	return 1;
}

/* Answers 0 when there is no room. */
static __noinline int hold(frame_t *frame, struct decision *decision, __u32 bytes)
{
	struct held *place;

	if (!decision || bytes < 14 || bytes > ABI_HELD_FRAME)
		return 0;
	if ((decision->reason == REASON_HOLD_EARLY_FRAGMENT || decision->reason == REASON_DROP_TOO_BIG) &&
	    bpf_ringbuf_query(&held, RING_FILLED) > bpf_ringbuf_query(&held, RING_SIZE) / 2)
		return 0;
	if (bytes <= ABI_HELD_SHORT_FRAME) {
		place = bpf_ringbuf_reserve(&held, offsetof(struct held, frame) + ABI_HELD_SHORT_FRAME, 0);
		return place && hold_in(frame, place, decision, bytes);
	}
	place = bpf_ringbuf_reserve(&held, sizeof(*place), 0);
	return place && hold_in(frame, place, decision, bytes);
}

#endif
