/*
 * Stage emit: count, and send a forwarded frame back out of the interface it came in on. Nothing but the two MAC
 * addresses changes (B5); the new source says who forwarded it and how far it has come.
 */
#ifndef PANOPLY_EMIT_H
#define PANOPLY_EMIT_H

#include "hook.h"
#include "packet.h"

static __always_inline int emit(frame_t *frame, struct decision decision, __u32 bytes)
{
	__u32 id = decision.node, self = config.self;
	struct node *node;
	__u64 mac;

	if (decision.reason == REASON_DROP_ANNOUNCE || decision.reason == REASON_DROP_ORPHAN_FRAGMENT) {
		count(&counters, decision.reason, bytes);
		return VERDICT_DROP;
	}
	if (decision.group)
		count(&group_counters, decision.group - 1, bytes);
	if (decision.reason != REASON_FORWARD_OWNER && decision.reason != REASON_FORWARD_FORMER) {
		count(&counters, decision.reason, bytes);
		return VERDICT_PASS;
	}
	node = bpf_map_lookup_elem(&nodes, &id);
	mac = node ? node->mac : 0;
	if (unlikely(!mac)) {
		count(&counters, REASON_DROP_NO_NEIGHBOUR, bytes);
		return VERDICT_DROP;
	}
	if (decision.reason == REASON_FORWARD_OWNER)
		count(&node_counters, id, bytes);
	else
		count(&counters, decision.reason, bytes);
	return send_back(frame, mac | 0x5006ULL << 48,
			 0x4e | (__u32)decision.hop << 8 | (self >> 8) << 16 | self << 24);
}

#endif
