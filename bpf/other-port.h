/*
 * New TCP connections of a service that this node serves on another port than the service's (a sorry server, B7; docs/adr/0032). Nothing in the
 * frame changes: the stack is told which listener it is for, and the connection has the service's own address and port. Only at tc: XDP
 * has no sockets to give to the stack.
 */
#ifndef PANOPLY_OTHER_PORT_H
#define PANOPLY_OTHER_PORT_H

#include "own.h"

#ifdef HOOK_XDP

static __always_inline int to_other_port(frame_t *frame, const struct flow *flow, __u32 group)
{
	return 0;
}

#else

static __always_inline __u32 tuple_of(const struct flow *flow, struct bpf_sock_tuple *tuple)
{
	if (flow->family == 4) {
		tuple->ipv4.saddr = flow->source.word[3];
		tuple->ipv4.daddr = flow->destination.word[3];
		tuple->ipv4.sport = flow->source_port;
		tuple->ipv4.dport = flow->destination_port;
		return sizeof(tuple->ipv4);
	}
	__builtin_memcpy(tuple->ipv6.saddr, &flow->source, sizeof(flow->source));
	__builtin_memcpy(tuple->ipv6.daddr, &flow->destination, sizeof(flow->destination));
	tuple->ipv6.sport = flow->source_port;
	tuple->ipv6.dport = flow->destination_port;
	return sizeof(tuple->ipv6);
}

/* A connection that is there, or half there, is found by the stack itself. */
static __noinline int to_other_port(frame_t *frame, const struct flow *flow, __u32 group)
{
	__u64 *port = bpf_map_lookup_elem(&other_ports, &group);
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	__u32 length;

	if (!flow || !port || !*port)
		return 0;
	length = tuple_of(flow, &tuple) == sizeof(tuple.ipv4) ? sizeof(tuple.ipv4) : sizeof(tuple.ipv6);
	socket = bpf_skc_lookup_tcp(frame, &tuple, length, BPF_F_CURRENT_NETNS, 0);
	if (socket) {
		int listens = socket->state == SOCKET_LISTENING;

		bpf_sk_release(socket);
		if (!listens)
			return 0;
	}
	if (flow->family == 4)
		tuple.ipv4.dport = *port;
	else
		tuple.ipv6.dport = *port;
	socket = bpf_skc_lookup_tcp(frame, &tuple, length, BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return 0;
	if (socket->state == SOCKET_LISTENING)
		bpf_sk_assign(frame, socket, 0);
	bpf_sk_release(socket);
	return 0;
}

#endif

/* A segment of a service that this node serves. */
static __always_inline void choose_port(frame_t *frame, const struct flow *flow, __u8 flags, __u32 group)
{
	if (flags & ABI_SERVICE_OTHER_PORT && flow->protocol == PROTOCOL_TCP && !flow->quoted)
		to_other_port(frame, flow, group);
}

#endif
