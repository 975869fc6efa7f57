/*
 * Stage own: who has the connection? The slot's owner, except for connections that are older than its ownership: the
 * node that gets such a segment and does not know the connection passes it on along the chain of former owners
 * (docs/adr/0004). The connection table that is asked is the kernel's own.
 */
#ifndef PANOPLY_OWN_H
#define PANOPLY_OWN_H

#include "admit.h"
#include "lookup.h"
#include "parse.h"
#include "udp-session.h"

enum { SOCKET_LISTENING = 10, TCP_HEADER_LENGTH = 20 };

/* A listener knows a connection whose state it has put into a SYN cookie. One function a family: the stack is short. */
static __noinline int accepts_cookie4(frame_t *frame, struct packet *packet, void *listener)
{
	__u8 segment[TCP_HEADER_LENGTH], ip[sizeof(struct ipv4_header)];

	if (read_bytes(frame, packet->transport, segment, sizeof(segment)) ||
	    read_bytes(frame, packet->header, ip, sizeof(ip)))
		return 0;
	return bpf_tcp_check_syncookie(listener, ip, sizeof(ip), (void *)segment, sizeof(segment)) == 0;
}

static __noinline int accepts_cookie6(frame_t *frame, struct packet *packet, void *listener)
{
	__u8 segment[TCP_HEADER_LENGTH], ip[sizeof(struct ipv6_header)];

	if (read_bytes(frame, packet->transport, segment, sizeof(segment)) ||
	    read_bytes(frame, packet->header, ip, sizeof(ip)))
		return 0;
	return bpf_tcp_check_syncookie(listener, ip, sizeof(ip), (void *)segment, sizeof(segment)) == 0;
}

static __always_inline int accepts_cookie(frame_t *frame, struct packet *packet, void *listener)
{
	return packet->family == 4 ? accepts_cookie4(frame, packet, listener) :
				     accepts_cookie6(frame, packet, listener);
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

static __always_inline int knows(frame_t *frame, struct packet *packet, struct flow *flow)
{
	return flow->protocol == PROTOCOL_UDP ? knows_session(flow) : knows_connection(frame, packet, flow);
}

/* Who of the owner and the former owners has not been asked. Where the tables agree, that is the entry after this node's own: of more
 * than five nodes, some share a bit of those that say who has been asked. Where they do not, entries stand elsewhere, and only these
 * bits tell. */
static __noinline __u16 ask_next(__u32 slot, __u16 entry_of_slot, __u32 way, __u16 sender)
{
	__u32 hop = way & HIGHEST_HOP, mine = 4, before = 4, left = 4, entry;
	__u64 chain = entry_of_slot & ABI_SLOT_OWNER; /* 16 bits an entry: the stack is short */

	if (entry_of_slot & ABI_SLOT_HAS_FORMER) {
		struct former *former = bpf_map_lookup_elem(&former_owners, &slot);

		if (!former)
			return 0;
		chain |= (__u64)former->owner[0] << 16 | (__u64)former->owner[1] << 32 | (__u64)former->owner[2] << 48;
	}
	if (hop < 2)
		sender = 0;
#pragma unroll
	for (entry = 4; entry-- > 0;) {
		__u16 node = chain >> 16 * entry;

		if (!node)
			continue;
		if (node == config.self)
			mine = entry;
		else if (node == sender)
			before = entry;
		else if (!(way & asked_bit(node)))
			left = entry;
	}
	if (before < mine && mine < 4 && mine < hop && mine + 2 >= hop && left > mine)
		return mine == 1 ? chain >> 32 : mine == 2 ? chain >> 48 : 0;
	return left < 4 ? chain >> 16 * left : 0;
}

/* Who answers when nobody is left to ask: the owner, if it was not the one that asked. A slot that is on its way
 * may have an owner of whom this node has not heard yet: the master lets the segment wait (docs/adr/0009). */
static __always_inline __u16 last_word(__u8 protocol, __u16 owner, int holds, __u16 sender)
{
	if (!owner)
		return holds ? state.master : 0;
	/* nothing in a UDP packet says that it begins a session: what nobody knows does, and that is the owner's */
	return owner == sender && protocol == PROTOCOL_TCP ? 0 : owner;
}

/* A UDP packet of a group that pins sessions (B12). */
static __always_inline int is_of_session(__u8 protocol, __u8 flags)
{
	return protocol == PROTOCOL_UDP && flags & ABI_SERVICE_SESSIONS && !(flags & ABI_SERVICE_ROUTED);
}

/* A packet that may belong to a connection or session which some node has already. Traffic that is routed through the cluster has
 * no sockets to ask: its slot's owner takes all of it at once. */
static __always_inline int is_segment(const struct flow *flow, __u8 flags)
{
	if (flow->protocol == PROTOCOL_TCP)
		return !flow->opening && !(flags & ABI_SERVICE_ROUTED);
	return is_of_session(flow->protocol, flags);
}

/* Of a flooded frame for a slot without an owner: the newest of its former owners keeps what comes, since it alone can stop
 * serving and begin to keep in the same moment (docs/adr/0012). A slot that has none is the lease holder's. */
static __noinline int stands_in(__u32 slot, __u16 entry)
{
	struct former *former;
	__u16 keeper = 0;

	if (entry & ABI_SLOT_HAS_FORMER) {
		former = bpf_map_lookup_elem(&former_owners, &slot);
		if (former)
			keeper = former->owner[0];
	}
	return keeper ? keeper == config.self : is_leased();
}

/* A former owner is asked whose agent does not run: its tables are old, and a reset would end what another node has. Found
 * out again where it is needed, because the stack is short. */
static __always_inline int is_blind(const struct packet *packet)
{
	return (packet->way & HIGHEST_HOP) > 1 && !is_accepting();
}

/* By the tables of an agent that does not run nobody can be found, so whoever asked this node goes on; unless it was this node that
 * chose the other, or the tables do not say where that is. */
static __noinline __u16 asker_of(const struct packet *packet)
{
	struct node *node;
	__u32 id;

	if (!packet || !is_blind(packet) || packet->sender == config.self || packet->way & asked_bit(config.self))
		return 0;
	id = packet->sender;
	node = bpf_map_lookup_elem(&nodes, &id);
	return node && node->mac ? id : 0;
}

/* Whom a node asks about a connection that it does not know; nobody when it has the last word itself. */
static __always_inline __u16 asked_next(const struct packet *packet, __u8 protocol, int holds, __u32 slot, __u16 entry)
{
	__u16 next = asker_of(packet);

	if (!next)
		next = ask_next(slot, entry, packet->way, packet->sender);
	if (!next && packet->way)
		next = last_word(protocol, entry & ABI_SLOT_OWNER, holds, packet->sender);
	return next == config.self ? 0 : next;
}

/* Of all members that have a flooded frame, the one that does not drop it. */
static __always_inline int takes_flooded(__u32 slot, __u16 entry)
{
	__u16 owner = entry & ABI_SLOT_OWNER;

	return owner ? owner == config.self : stands_in(slot, entry);
}

static __always_inline struct decision own(frame_t *frame, struct packet *packet, struct flow *flow, __u8 flags,
					   __u32 slot, __u16 entry)
{
	__u16 owner = entry & ABI_SLOT_OWNER, next;
	__u8 here = owner ? REASON_PASS_LOCAL : REASON_PASS_NO_OWNER;
	int mine = !owner || owner == config.self;
	int holds = !owner && flags & ABI_SERVICE_HOLDS;
	__u8 way = packet->way;

	if (packet->flooded && !takes_flooded(slot, entry))
		return decide(REASON_DROP_PEER);
	if (!way && !mine)
		return (struct decision){ .reason = REASON_FORWARD_OWNER, .node = owner, .way = 1 };
	if (!is_segment(flow, flags))
		return decide(holds && !way ? REASON_HOLD_UNASSIGNED : here);
	next = asked_next(packet, flow->protocol, holds, slot, entry);
	if ((!next && !holds && !is_blind(packet)) || knows(frame, packet, flow))
		return decide(here);
	way = packet->way;
	if (!next || (way & HIGHEST_HOP) == HIGHEST_HOP)
		return decide(holds ? REASON_HOLD_UNASSIGNED : is_blind(packet) ? REASON_DROP_UNLEASED : REASON_DROP_PEER);
	way = (way ? way + 1 : 2) | asked_bit(config.self);
	return (struct decision){ .reason = REASON_FORWARD_FORMER, .node = next, .way = way };
}

#endif
