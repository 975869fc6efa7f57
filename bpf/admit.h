/*
 * Stage admit: is it for this node? What came to the node's own MAC is; what came to a cluster MAC, all members have, and
 * the stages after this one decide who serves it (docs/adr/0007). What else a switch flooded is somebody else's.
 */
#ifndef PANOPLY_ADMIT_H
#define PANOPLY_ADMIT_H

#include "announce.h"

/* Given the first eight bytes of the frame: the destination and two more. */
static __always_inline int is_own_mac(__u64 destination_and_source)
{
	return destination_and_source << 16 == config.mac << 16;
}

static __always_inline int is_cluster_mac(__u64 destination_and_source)
{
	__u64 destination = destination_and_source << 16 >> 16;

	return destination && (destination == state.cluster_mac[0] || destination == state.cluster_mac[1] ||
			       destination == state.cluster_mac[2]);
}

/* With peering the interface has the cluster MAC itself: outsiders reach the node's own addresses by it (docs/adr/0013). A function
 * of its own, since it is called where the stack is nearly full. */
static __noinline int is_own_address(const struct address *address)
{
	return bpf_map_lookup_elem(&own_addresses, address) != 0;
}

static __always_inline int is_multicast(const struct packet *packet)
{
	__u8 first = packet->family == 4 ? ((const __u8 *)packet->destination.word)[12] :
					   ((const __u8 *)packet->destination.word)[0];

	return packet->family == 4 ? first >> 4 == 0xe : first == 0xff;
}

/* For no service: one node's stack answers, as a single machine's would. But a peer sends nothing on for which there is no
 * service: the tables here are old, or not there yet. */
static __always_inline __u8 unserved_reason(const struct packet *packet)
{
	if (packet->way && !is_accepting())
		return REASON_DROP_UNLEASED;
	return packet->flooded && !is_leased() ? REASON_DROP_PEER : REASON_PASS_NO_SERVICE;
}

#endif
