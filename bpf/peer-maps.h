/*
 * The maps of the peering programs. All but counters, peer_leaks and peer_asked are written by the agent only. own_addresses is the packet
 * program's as well (maps.h): a frame to the cluster MAC for one of the node's own addresses is for this node.
 */
#ifndef PANOPLY_PEER_MAPS_H
#define PANOPLY_PEER_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "peer-abi.h"

/* Shared memory, as struct state: choices and MACs change while the programs run, and the agent may load none then. */
struct peer_config config SEC(".data.peer") = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ABI_OWN_ADDRESSES);
	__type(key, struct address);
	__type(value, __u64);
} own_addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PEER_ADDRESSES);
	__type(key, struct address);
	__type(value, struct peer);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PEER_ADDRESSES);
	__type(key, __u64);
	__type(value, __u32);
} peer_macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ABI_NODES);
	__type(key, __u32);
	__type(value, __u64);
} peer_nodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ABI_NODES);
	__type(key, __u32);
	__type(value, __u32);
} peer_asked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ABI_NODES);
	__type(key, __u32);
	__type(value, struct peer_counter);
} peer_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PEER_REASON_COUNT);
	__type(key, __u32);
	__type(value, struct counter);
} peer_reasons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PEER_LEAKS);
	__type(key, __u32);
	__type(value, struct peer_leak);
} peer_leaks SEC(".maps");

static __always_inline void count_reason(struct __sk_buff *frame, __u32 reason)
{
	struct counter *counter = bpf_map_lookup_elem(&peer_reasons, &reason);

	if (counter) {
		counter->packets++;
		counter->bytes += frame->len;
	}
}

static __always_inline void count_in(struct __sk_buff *frame, __u32 node)
{
	struct peer_counter *counter = bpf_map_lookup_elem(&peer_counters, &node);

	if (counter) {
		counter->in_packets++;
		counter->in_bytes += frame->len;
		counter->seen_ns = bpf_ktime_get_coarse_ns();
	}
}

static __always_inline void count_out(struct __sk_buff *frame, __u32 node)
{
	struct peer_counter *counter = bpf_map_lookup_elem(&peer_counters, &node);

	if (counter) {
		counter->out_packets++;
		counter->out_bytes += frame->len;
	}
}

#endif
