/*
 * Stage own: who has the connection? The slot's owner, except for connections that are older than its ownership: the
 * node that gets such a segment and does not know the connection passes it on along the chain of former owners
 * (docs/adr/0004). The connection table that is asked is the kernel's own.
 */
#ifndef PANOPLY_OWN_H
#define PANOPLY_OWN_H

#include "lookup.h"
#include "parse.h"

enum { SOCKET_LISTENING = 10, TCP_HEADER_LENGTH = 20 };

/* A listener knows a connection whose state it has put into a SYN cookie. */
static __noinline int accepts_cookie(frame_t *frame, struct packet *packet, void *listener)
{
	__u8 segment[TCP_HEADER_LENGTH];
	__u8 ip[sizeof(struct ipv6_header)];
	__u32 length = packet->family == 4 ? sizeof(struct ipv4_header) : sizeof(struct ipv6_header);

	if (read_bytes(frame, packet->transport, segment, sizeof(segment)))
		return 0;
	if (read_bytes(frame, packet->header, ip, length))
		return 0;
	return bpf_tcp_check_syncookie(listener, ip, length, (void *)segment, sizeof(segment)) == 0;
}

static __noinline int knows_connection(frame_t *frame, struct packet *packet, struct flow *flow)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	int known;

	if (flow->family == 4) {
		tuple.ipv4.saddr = flow->source.word[3];
		tuple.ipv4.daddr = flow->destination.word[3];
		tuple.ipv4.sport = flow->source_port;
		tuple.ipv4.dport = flow->destination_port;
		socket = bpf_skc_lookup_tcp(frame, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &flow->source, sizeof(flow->source));
		__builtin_memcpy(tuple.ipv6.daddr, &flow->destination, sizeof(flow->destination));
		tuple.ipv6.sport = flow->source_port;
		tuple.ipv6.dport = flow->destination_port;
		socket = bpf_skc_lookup_tcp(frame, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!socket)
		return 0;
	known = socket->state != SOCKET_LISTENING || (!flow->quoted && accepts_cookie(frame, packet, socket));
	bpf_sk_release(socket);
	return known;
}

/* Entry 0 … 3 of the slot's chain: the present owner and those before it. */
static __always_inline __u16 chain_entry(__u32 slot, __u16 entry, __u32 k)
{
	struct former *former;

	if (k == 0)
		return entry & ABI_SLOT_OWNER;
	if (!(entry & ABI_SLOT_HAS_FORMER))
		return 0;
	former = bpf_map_lookup_elem(&former_owners, &slot);
	if (!former || k > ABI_FORMER_OWNERS)
		return 0;
	return former->owner[k - 1] & ABI_SLOT_OWNER;
}

static __always_inline struct decision own(frame_t *frame, struct packet *packet, struct flow *flow,
					   __u32 slot, __u16 entry)
{
	__u16 owner = entry & ABI_SLOT_OWNER;
	__u8 here = owner ? REASON_PASS_LOCAL : REASON_PASS_NO_OWNER;
	__u32 k = packet->hop ? packet->hop - 1 : 0;
	__u16 next;

	if (!packet->hop && owner && owner != config.self)
		return (struct decision){ .reason = REASON_FORWARD_OWNER, .node = owner, .hop = 1 };
	if (flow->protocol != PROTOCOL_TCP || flow->opening || k >= ABI_FORMER_OWNERS)
		return decide(here);
	next = k == 0 && owner && owner != config.self ? owner : chain_entry(slot, entry, k + 1);
	if (!next || next == config.self || knows_connection(frame, packet, flow))
		return decide(here);
	return (struct decision){ .reason = REASON_FORWARD_FORMER, .node = next, .hop = k + 2 };
}

#endif
