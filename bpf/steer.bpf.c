/*
 * The packet program: decapsulate, parse, announce, admit, classify, lookup, hash, connection-id, exception, own, emit, encapsulate, as told in
 * docs/walks/a-packet-arrives.md and modelled in src/core/steering/pipeline.ts. Compiled once for each hook.
 *
 * Plain TCP and UDP packets whose slot has no former owners take a short way: headers at fixed offsets, read in place.
 * Everything else goes through the stages one by one. Both end in emit, and both answer alike:
 * test/kernel/steer-vectors.test.ts compares them with the model.
 */
#include "admit.h"
#include "announce.h"
#include "classify.h"
#include "connection-id.h"
#include "emit.h"
#include "exception.h"
#include "fragment.h"
#include "hash.h"
#include "hook.h"
#include "lookup.h"
#include "other-port.h"
#include "own.h"
#include "parse.h"

struct ethernet {
	__u64 destination_and_source; /* of the source its first two bytes */
	__u32 source_rest;
	__be16 type;
};

/* Of a packet that only its addresses count of. */
static __always_inline void take_addresses(const struct packet *packet, struct flow *flow)
{
	flow->family = packet->family;
	flow->protocol = packet->protocol;
	flow->source = packet->source;
	flow->destination = packet->destination;
}

/* Stage lookup. What is for none of the VIPs goes to the group that is routed through the cluster. */
static __noinline int lookup(const struct flow *flow, int through, struct service *service)
{
	__u64 routed = state.routed;

	if (!flow || !service)
		return 0;
	if (through) {
		__builtin_memcpy(service, &routed, sizeof(routed));
		return routed != 0;
	}
	if (flow->family == 4)
		return lookup4(flow->protocol, flow->destination.word[3], flow->destination_port, service);
	return lookup6(flow->protocol, &flow->destination, flow->destination_port, service);
}

/* Stages classify … own of a packet that parse and admit have let through, in any shape. Of what is only routed through
 * the cluster, fragments have addresses, too, and so has an error that quotes nothing that can be read. */
static __always_inline struct decision place(frame_t *frame, struct desk *desk, int through)
{
	struct packet *packet = &desk->packet;
	struct flow *flow = &desk->flow;
	struct decision decision;
	struct service service;
	__u32 slot;
	__u16 entry;

	if (packet->fragment == FRAGMENT_LATER || !classify(frame, desk)) {
		if (!through)
			return decide(REASON_PASS_NO_FLOW);
		take_addresses(packet, flow);
	}
	if (!lookup(flow, through, &service) ||
	    !read_slot(&service, hash_flow(&service, flow), &slot, &entry))
		return decide(through ? REASON_DROP_NOT_OURS : unserved_reason(packet));
	if (!(service.flags & ABI_SERVICE_QUIC && name(frame, packet, flow, service.group, &decision)) &&
	    !except(frame, packet, flow, service.flags, slot, entry, &decision))
		decision = own(frame, packet, flow, service.flags, slot, entry);
	/* of a flooded frame that is not taken for want of the right, another node may be serving the session */
	if (is_of_session(flow->protocol, service.flags) &&
	    (decision.reason == REASON_PASS_LOCAL || decision.reason == REASON_PASS_EXCEPTION) &&
	    (!packet->flooded || is_accepting()))
		note_session(flow, service.group);
	if (decision.reason == REASON_PASS_LOCAL)
		choose_port(frame, flow, service.flags, service.group);
	decision.group = service.group + 1;
	decision.slot = slot;
	decision.base = service.base;
	return decision;
}

/* Stages parse … own, for frames of any shape. */
static __always_inline struct decision judge(frame_t *frame, struct desk *desk)
{
	struct packet *packet = &desk->packet;
	__u8 reason = REASON_COUNT;
	struct decision decision;
	struct ethernet ethernet;
	int through;

	if (read_bytes(frame, 0, &ethernet, ETHERNET_LENGTH))
		return decide(REASON_PASS_MALFORMED);
	packet->flooded = is_cluster_mac(ethernet.destination_and_source);
	if (!packet->flooded)
		packet->way = way_of(ethernet.destination_and_source >> 48 | ethernet.source_rest << 16);
	packet->sender = bpf_ntohs(ethernet.source_rest >> 16);
	if (has_hidden_tag(frame))
		return decide(REASON_PASS_NOT_IP);
	if (ethernet.type == bpf_htons(ETHERTYPE_ARP)) {
		reason = announce_arp(frame);
	} else if (ethernet.type == bpf_htons(ETHERTYPE_IPV4) || ethernet.type == bpf_htons(ETHERTYPE_IPV6)) {
		packet->family = ethernet.type == bpf_htons(ETHERTYPE_IPV4) ? 4 : 6;
		if (!parse_ip(frame, packet))
			reason = REASON_PASS_MALFORMED;
		else if (packet->family == 6)
			reason = announce_ipv6(frame, packet);
	} else {
		reason = REASON_PASS_NOT_IP;
	}
	if (reason == REASON_PASS_MALFORMED && packet->flooded)
		return decide(REASON_DROP_NOT_OURS);
	if (reason != REASON_COUNT)
		return decide(reason);
	if (config.peering && packet->flooded && packet->family && is_own_address(&packet->destination))
		packet->flooded = 0;
	else if (!packet->flooded && !is_own_mac(ethernet.destination_and_source))
		return decide(REASON_PASS_OTHER_MAC);
	if (!packet->family)
		return decide(REASON_PASS_NO_FLOW);
	through = packet->flooded && !is_vip(&packet->destination);
	if (through && is_multicast(packet))
		return decide(REASON_PASS_NO_FLOW);
	if (packet->fragment == FRAGMENT_LATER && !through)
		return recall_fragment(packet);
	decision = place(frame, desk, through);
	if (packet->fragment == FRAGMENT_FIRST)
		remember_fragment(packet, &decision);
	return decision;
}

static __noinline int steer_any(frame_t *frame)
{
	struct desk *desk = clear_desk();
	struct decision decision;
	__u32 flooded;

	if (!desk)
		return VERDICT_DROP;
	if (unlikely(state.tunnel_address) && decapsulate(frame) < 0)
		return emit_drop(REASON_DROP_TUNNEL, frame_length(frame));
	decision = judge(frame, desk);
	flooded = desk->packet.flooded;
	if (flooded && is_taken(decision.reason) && !is_accepting())
		decision = decide(REASON_DROP_UNLEASED);
	return emit(frame, decision, flooded, frame_length(frame));
}

#include "fast.h"

#ifdef HOOK_XDP
SEC("xdp")
int steer_xdp(struct xdp_md *frame)
#else
SEC("tc")
int steer_tc(struct __sk_buff *frame)
#endif
{
	return steer(frame);
}

char _license[] SEC("license") = "GPL";
