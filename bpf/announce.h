/*
 * Stage announce: who asks for a VIP gets an answer only from its interface node, and from it only while its lease
 * lasts (docs/adr/0003, docs/adr/0025). The kernel answers by itself; this stage decides whether it hears the question.
 */
#ifndef PANOPLY_ANNOUNCE_H
#define PANOPLY_ANNOUNCE_H

#include "parse.h"

enum { SOLICITATION_LENGTH = 24 };

/* Its interface node; null where the address is no VIP. */
static __always_inline __u16 *holder_of(const struct address *address)
{
	return bpf_map_lookup_elem(&vips, address);
}

static __always_inline int is_vip(const struct address *address)
{
	return holder_of(address) != 0;
}

/* This node has heard the cluster lately, so that nobody else serves what it does (docs/adr/0008). The coarse clock is a
 * few milliseconds late, within what the heart leaves as margin. */
static __always_inline int is_accepting(void)
{
	return *(volatile __u64 *)&state.accept_until_ns > bpf_ktime_get_coarse_ns();
}

/* This node is the master whose answers count; it also stands in where nobody else serves. */
static __always_inline int is_leased(void)
{
	return *(volatile __u64 *)&state.lease_until_ns > bpf_ktime_get_ns();
}

static __always_inline __u8 answer_reason(__u16 holder)
{
	int answers = holder == ABI_VIP_OF_MASTER ? is_leased() : holder == config.self && is_accepting();

	return answers ? REASON_PASS_ANNOUNCE : REASON_DROP_ANNOUNCE;
}

/* Answers the reason, or REASON_COUNT when it is not about a VIP. */
static __always_inline __u8 announce_arp(frame_t *frame)
{
	struct address target;
	struct arp_packet arp;
	__be32 ipv4;
	__u16 *holder;

	if (read_bytes(frame, ETHERNET_LENGTH, &arp, sizeof(arp)))
		return REASON_PASS_MALFORMED;
	if (arp.hardware != bpf_htons(1) || arp.protocol != bpf_htons(ETHERTYPE_IPV4) ||
	    arp.hardware_length != 6 || arp.protocol_length != 4)
		return REASON_PASS_MALFORMED;
	__builtin_memcpy(&ipv4, arp.target, sizeof(ipv4));
	map_ipv4(&target, ipv4);
	if (arp.operation != bpf_htons(ARP_REQUEST))
		return REASON_COUNT;
	holder = holder_of(&target);
	return holder ? answer_reason(*holder) : REASON_COUNT;
}

static __always_inline __u8 announce_ipv6(frame_t *frame, const struct packet *packet)
{
	struct address target;
	__u16 *holder;
	__u8 type;

	if (packet->protocol != PROTOCOL_ICMPV6 || packet->fragment == FRAGMENT_LATER ||
	    packet->transport + SOLICITATION_LENGTH > packet->end)
		return REASON_COUNT;
	if (read_bytes(frame, packet->transport, &type, sizeof(type)) ||
	    read_bytes(frame, packet->transport + 8, &target, sizeof(target)))
		return REASON_PASS_MALFORMED;
	if (type != NEIGHBOR_SOLICITATION)
		return REASON_COUNT;
	holder = holder_of(&target);
	return holder ? answer_reason(*holder) : REASON_COUNT;
}

#endif
