/*
 * Layout of the maps of the peering programs (part C), beside those of abi.h. src/driver/bpf/peer-abi.gen.ts is generated
 * from the compiled object's type information.
 */
#ifndef PANOPLY_PEER_ABI_H
#define PANOPLY_PEER_ABI_H

#include <linux/types.h>

#include "abi.h"

enum peer_abi {
	PEER_ADDRESSES = 16384, /* of all members */
	PEER_DEDICATED = 8, /* MACs of this node that peers send to */
	PEER_LIVE = 1,
	PEER_INITIATOR = 1, /* the initiator rewrites replies (C7) */
	PEER_BY_SOURCE = 2, /* peers' frames are known by their source address as well (C9) */
	PEER_NO_LEARNING = 4, /* the stack does not learn from requests (C10) */
	PEER_LOCAL_RESPONDER = 8, /* C13 */
	PEER_SOURCE_CHECK = 16, /* C15 */
	/* Indices of map peer_leaks; names in src/core/peering/leaks.ts. */
	PEER_LEAK_CLUSTER_SOURCE = 0,
	PEER_LEAK_OWN_SOURCE = 1,
	PEER_LEAK_OUTSIDER = 2,
	PEER_LEAKS = 3,
};

/* What was done with a frame; order and names of src/core/peering/reasons.ts. The first one is not counted. */
enum peer_reason {
	PEER_REASON_PASS_OTHER,
	PEER_REASON_TAKE_PEER,
	PEER_REASON_LEARN_REQUEST,
	PEER_REASON_LEARN_REPLY,
	PEER_REASON_ANSWER_REQUEST,
	PEER_REASON_DROP_NOT_OURS,
	PEER_REASON_DROP_UNASKED,
	PEER_REASON_MASK_SOURCE,
	PEER_REASON_SEND_PEER,
	PEER_REASON_TELL_REPLY,
	PEER_REASON_ANSWER_LOCAL,
	PEER_REASON_COUNT,
};

/* Map peers: the host list without this node, by struct address. MACs are numbers as in struct node. */
struct peer {
	__u64 mac;
	__u16 node;
	__u16 flags; /* PEER_LIVE */
	__u32 reserved;
};

/* Map peer_macs: whose dedicated MAC that is; 0: of several. Map peer_nodes: each other node's MAC, by id; 0 = none. Map
 * own_addresses: what peers are to learn of this node's own addresses, by struct address. Map peer_asked: 1 for a node that
 * has asked for this one. */

/* Map peer_counters: frames from and to a node's dedicated MAC, by id; one per CPU. */
struct peer_counter {
	__u64 in_packets;
	__u64 in_bytes;
	__u64 out_packets;
	__u64 out_bytes;
	__u64 seen_ns; /* CLOCK_MONOTONIC, by the kernel's tick; 0: never */
};

/* Map peer_leaks: frames by which a MAC is where it must not be; one per CPU. */
struct peer_leak {
	__u64 packets;
	__u64 seen_ns; /* of the last one, as in struct peer_counter */
	__u64 mac; /* its Ethernet source */
	struct address address; /* and whom it says that it is from; zeros: it does not say */
};

/* Map .data.peer, shared memory. */
struct peer_config {
	__u64 cluster_mac;
	__u64 outsider_source;
	__u64 peer_source;
	__u64 dedicated[PEER_DEDICATED]; /* the first is the one that members know each other by; 0 = none */
	__u64 shared; /* the one of these that several members have; 0 = none */
	__u64 peer_mask; /* every peer's MAC has peer_bits where this has ones */
	__u64 peer_bits;
	__u32 choices; /* PEER_INITIATOR … */
	enum peer_reason reserved; /* not read; makes the enums part of the object's type information */
	enum peer_abi reserved_abi;
	__u64 live_until_ns; /* CLOCK_MONOTONIC; PEER_LIVE means nothing afterwards, since no agent says who lives */
};

#endif
