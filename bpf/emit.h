/*
 * Stage emit: count, and send a forwarded frame back out of the interface it came in on (from an arm: out of the
 * interface on which the other nodes are; where there are private paths: out of one that works, B11). Nothing but the two MAC
 * addresses changes (B5); the new source says who forwarded it and how far it has come. To a node beyond the segment it goes
 * encapsulated (tunnel.h).
 */
#ifndef PANOPLY_EMIT_H
#define PANOPLY_EMIT_H

#include "hold.h"
#include "hook.h"
#include "packet.h"
#include "tunnel.h"

static __always_inline int emit_drop(__u8 reason, __u32 bytes)
{
	count(&counters, reason, bytes);
	return VERDICT_DROP;
}

static __always_inline int emit_pass(__u8 reason, __u32 bytes)
{
	count(&counters, reason, bytes);
	return VERDICT_PASS;
}

/* Of a frame that came to a cluster MAC. `data`: where its Ethernet header can be written, or null. */
static __always_inline int emit_taken(frame_t *frame, void *data, __u8 reason, __u32 bytes)
{
	count(&counters, reason, bytes);
	return pass_to_host(frame, data);
}

static __always_inline int is_drop(__u8 reason)
{
	return reason == REASON_DROP_ANNOUNCE || reason == REASON_DROP_NOT_OURS || reason == REASON_DROP_PEER ||
	       reason == REASON_DROP_UNLEASED || reason == REASON_DROP_TUNNEL;
}

/* By which private path a frame of that slot goes to the node (B11): the MAC there, and the interface here. Both stay as they
 * are where none works. */
static __always_inline void choose_path(__u32 id, __u32 slot, __u64 *mac, __u32 *link)
{
	struct node_paths *known = bpf_map_lookup_elem(&node_paths, &id);
	__u32 choice;

	if (unlikely(!known))
		return;
	choice = known->choice[slot % ABI_PATH_CHOICES] & ABI_PATHS; /* which the verifier is to see */
	if (unlikely(!choice))
		return;
	*mac = known->path[choice].mac;
	*link = known->path[choice].link;
}

/* Frames to the slot's owner are counted by node only: the agent adds them up. `data`: where the frame's Ethernet
 * header can be read, or null. */
static __always_inline int emit_forward(frame_t *frame, void *data, __u8 reason, __u32 id, __u32 slot,
					__u32 way, __u32 bytes)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &id);
	__u64 mac = node ? node->mac : 0;
	__u32 self = config.self, link = 0;

	if (config.paths)
		choose_path(id, slot, &mac, &link);
	if (unlikely(!mac))
		return emit_drop(REASON_DROP_NO_NEIGHBOUR, bytes);
	if (unlikely(mac >> ABI_NODE_TUNNELLED_SHIFT))
		return encapsulate(frame, id, slot, way | reason << 8, bytes);
	if (reason == REASON_FORWARD_OWNER)
		count(&node_counters, id, bytes);
	else
		count(&counters, reason, bytes);
	return send_back(frame, data, mac | 0x5006ULL << 48, 0x4e | way << 8 | (self >> 8) << 16 | self << 24,
			 link);
}

/* Whether it takes a valid lease to do that with a frame that came to a cluster MAC. */
static __always_inline int is_taken(__u8 reason)
{
	return !is_drop(reason) && reason != REASON_PASS_NOT_IP && reason != REASON_PASS_ANNOUNCE &&
	       reason != REASON_PASS_NO_FLOW;
}

static __always_inline int emit(frame_t *frame, struct decision decision, int flooded, __u32 bytes)
{
	__u8 reason = decision.reason;

	if (is_drop(reason))
		return emit_drop(reason, bytes);
	if (reason == REASON_HOLD_UNASSIGNED || reason == REASON_HOLD_EARLY_FRAGMENT)
		return emit_drop(hold(frame, &decision, bytes) ? reason : REASON_DROP_HOLD_FULL, bytes);
	if (decision.group)
		count(&group_counters, decision.group - 1, bytes);
	if (reason == REASON_FORWARD_OWNER || reason == REASON_FORWARD_FORMER || reason == REASON_FORWARD_EXCEPTION ||
	    reason == REASON_FORWARD_CONNECTION_ID)
		return emit_forward(frame, 0, reason, decision.node, decision.slot, decision.way, bytes);
	if (state.slots_measured && (reason == REASON_PASS_LOCAL || reason == REASON_PASS_NO_OWNER))
		count_slot(decision.slot, bytes);
	if (flooded && reason != REASON_PASS_NOT_IP)
		return emit_taken(frame, 0, reason, bytes);
	return emit_pass(reason, bytes);
}

#endif
