/*
 * The short way: TCP or UDP over IPv4 without options or IPv6 without extension headers, whole packets, whose slot has
 * no former owners. One service lookup, one hash, one slot, one node; nothing is copied.
 */
#ifndef PANOPLY_FAST_H
#define PANOPLY_FAST_H

enum { IPV4_TRANSPORT = 34, IPV6_TRANSPORT = 54, IPV4_FRAGMENT_BITS = 0x3fff };

/* What follows the slot. Answers 0 when the chain of former owners has to be asked. */
static __always_inline int finish(frame_t *frame, const struct service *service, __u16 entry, __u32 hop,
				  __u32 bytes, int *verdict)
{
	struct decision decision = { .group = service->group + 1 };

	if (!hop && (entry & ABI_SLOT_OWNER) && (entry & ABI_SLOT_OWNER) != config.self) {
		decision.reason = REASON_FORWARD_OWNER;
		decision.node = entry & ABI_SLOT_OWNER;
		decision.hop = 1;
	} else if (entry == config.self) {
		decision.reason = REASON_PASS_LOCAL;
	} else {
		return 0;
	}
	*verdict = emit(frame, decision, bytes);
	return 1;
}

static __always_inline int transport_fits(const void *transport, __u8 protocol, __u32 length, const void *end)
{
	__u32 needed = protocol == PROTOCOL_TCP ? 20 : 8;

	return (protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP) && length >= needed &&
	       transport + sizeof(struct ports) <= end;
}

static __always_inline int steer(frame_t *frame)
{
	return steer_any(frame);
}

#endif
