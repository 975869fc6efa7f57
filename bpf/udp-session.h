/*
 * UDP sessions that this node serves (B12), of groups that ask for it: who has them is asked when their slot has moved, as a TCP connection
 * is asked for in the kernel's table. Bounded: the session that was used least recently makes room.
 */
#ifndef PANOPLY_UDP_SESSION_H
#define PANOPLY_UDP_SESSION_H

#include "hook.h"
#include "packet.h"

static __always_inline struct udp_session_key session_key(const struct flow *flow)
{
	struct udp_session_key key = {
		.source = flow->source,
		.destination = flow->destination,
		.source_port = flow->source_port,
		.destination_port = flow->destination_port,
	};

	return key;
}

static __noinline int knows_session(const struct flow *flow)
{
	struct udp_session_key key;
	struct udp_session *session;

	if (!flow)
		return 0;
	key = session_key(flow);
	session = bpf_map_lookup_elem(&udp_sessions, &key);
	return session && session->until_ns > bpf_ktime_get_coarse_ns();
}

static __noinline int note_session(const struct flow *flow, __u32 group)
{
	__u64 *idle = bpf_map_lookup_elem(&udp_idle, &group);
	struct udp_session_key key;
	struct udp_session *known, session;

	if (!flow || !idle)
		return 0;
	session.until_ns = bpf_ktime_get_coarse_ns() + *idle;
	key = session_key(flow);
	known = bpf_map_lookup_elem(&udp_sessions, &key);
	if (known)
		known->until_ns = session.until_ns;
	else
		bpf_map_update_elem(&udp_sessions, &key, &session, BPF_ANY);
	return 0;
}

#endif
