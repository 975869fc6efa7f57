/*
 * Layout of every map that the packet program shares with the agent, and the reasons it counts: the single
 * source. src/driver/bpf/abi.gen.ts is generated from the compiled object's type information, never typed.
 * Change ABI_REVISION with any change of meaning that sizes do not show: the agent then starts with new maps.
 */
#ifndef PANOPLY_ABI_H
#define PANOPLY_ABI_H

#include <linux/types.h>

enum abi {
	ABI_REVISION = 18,
	ABI_NODES = 4096, /* node ids 1 … 4095; 0 = none */
	ABI_FORMER_OWNERS = 3,
	ABI_SLOTS_PER_WORD = 4,
	ABI_SERVICES_PER_BUCKET = 4,
	ABI_SLOT_OWNER = 0x0fff,
	ABI_SLOT_HAS_FORMER = 0x8000,
	ABI_SLOT_HAS_EXCEPTIONS = 0x4000,
	ABI_EXCEPTIONS_PER_BUCKET = 4,
	ABI_EXCEPTION_BUCKETS = 65536, /* a power of two; in two halves, of which one is looked at */
	ABI_TABLE_PORT = 1, /* table 1: (protocol, VIP, port) */
	ABI_TABLE_ANY = 2, /* table 2: (protocol, VIP) */
	ABI_TABLE_VIP = 3, /* table 3: (VIP) */
	ABI_TABLE_IPV6 = 0x80, /* with one of the above: a bucket's key of an IPv6 service */
	ABI_SERVICE_STICKY = 1,
	ABI_SERVICE_HOLDS = 2, /* packets of slots without an owner are held */
	ABI_SERVICE_ROUTED = 4, /* slots by source and destination address */
	ABI_SERVICE_SYMMETRIC = 8, /* equal in both directions */
	ABI_SERVICE_SESSIONS = 16, /* UDP sessions stay at their node (B12) */
	ABI_SERVICE_QUIC = 32, /* UDP packets go to the node that their connection id names */
	ABI_SERVICE_OTHER_PORT = 64, /* new TCP connections that this node serves go to a port of map other_ports */
	ABI_NAMED_WORDS = 64, /* of a group in map named_nodes: ABI_NODES bits */
	ABI_LINKS = 8, /* interfaces of one node that carry client traffic */
	ABI_CLUSTER_MACS = 3, /* of the methods unicast, multicast, igmp */
	ABI_METHOD_FORWARD = 0, /* the others: 1 + index of the cluster MAC */
	ABI_HASH_KEYED = 0,
	ABI_HASH_XOR = 1,
	ABI_HELD_FRAME = 2048, /* the longest frame that can wait */
	ABI_HELD_SHORT_FRAME = 240, /* up to here it takes a short place in the ring */
	ABI_OWN_ADDRESSES = 64, /* of one node; with peering */
	ABI_VIP_OF_MASTER = 0, /* map vips: whoever has the answer lease answers */
	ABI_VIP_OF_NOBODY = 0xffff, /* it is on its way from one interface node to another */
	ABI_PATHS = 7, /* private paths of a node */
	ABI_PATH_CHOICES = 64, /* entries of a node's table of paths; as in src/core/paths/spread.ts */
	ABI_NODE_TUNNELLED_SHIFT = 48, /* of a node's MAC: bit above it */
	ABI_TUNNEL_NONE = 0,
	ABI_TUNNEL_IPIP = 1,
	ABI_TUNNEL_GENEVE = 2,
	ABI_SLOT_PACKET_SHIFT = 40, /* slot_counters: packets above, bytes below */
};

/* Why a frame got its verdict; order and names of src/core/steering/reasons.ts. */
enum reason {
	REASON_PASS_NOT_IP,
	REASON_PASS_MALFORMED,
	REASON_DROP_TUNNEL,
	REASON_PASS_ANNOUNCE,
	REASON_DROP_ANNOUNCE,
	REASON_PASS_OTHER_MAC,
	REASON_DROP_NOT_OURS,
	REASON_PASS_NO_FLOW,
	REASON_PASS_PEER_FRAGMENT,
	REASON_PASS_EARLY_FRAGMENT,
	REASON_HOLD_EARLY_FRAGMENT,
	REASON_PASS_NO_SERVICE,
	REASON_DROP_PEER,
	REASON_DROP_UNLEASED,
	REASON_PASS_CONNECTION_ID,
	REASON_FORWARD_CONNECTION_ID,
	REASON_PASS_EXCEPTION,
	REASON_FORWARD_EXCEPTION,
	REASON_HOLD_UNASSIGNED,
	REASON_PASS_NO_OWNER,
	REASON_PASS_LOCAL,
	REASON_FORWARD_OWNER,
	REASON_FORWARD_FORMER,
	REASON_DROP_HOLD_FULL,
	REASON_DROP_NO_NEIGHBOUR,
	REASON_DROP_TOO_BIG,
	REASON_COUNT,
};

/* Of maps service_buckets and services4. Addresses and ports in network order; port 0 in tables 2 and 3, protocol 0 in
 * table 3. Of an IPv6 service in a bucket: ABI_TABLE_IPV6, and fold_address() of its VIP. */
struct service4_key {
	__be32 vip;
	__be16 port;
	__u8 protocol;
	__u8 table;
};

/* Map services6. */
struct service6_key {
	__be32 vip[4];
	__be16 port;
	__u8 protocol;
	__u8 table;
};

/* Where a service's group has its slots. Replaced as a whole, so a reader sees the old or the new one. Never all
 * zero, since no group has a single slot. */
struct service {
	__u32 base; /* first slot, a multiple of ABI_SLOTS_PER_WORD */
	__u16 group; /* index of the group's counter */
	__u8 slot_bits; /* the group has 2^slot_bits slots */
	__u8 flags; /* ABI_SERVICE_… */
};

/* Map service_buckets: services where they are found with one cache line; key and value are each written and
 * read as a whole. A service is in one of two buckets (find() in lookup.h), or, where both are full or another VIP
 * folds to the same key, in maps services4 and services6; and it never moves. */
struct service_bucket {
	struct {
		__u64 key; /* struct service4_key; 0: free */
		__u64 service; /* struct service */
	} entry[ABI_SERVICES_PER_BUCKET];
};

/* Map bucket_vips: the VIPs of the IPv6 services in a bucket, written before their keys. */
struct address {
	__be32 word[4];
} __attribute__((aligned(8)));

struct bucket_vips {
	struct address entry[ABI_SERVICES_PER_BUCKET];
};

/* Map slots: one 64-bit value per four slots, lowest slot in the lowest 16 bits; each is an owner's id,
 * with ABI_SLOT_HAS_FORMER when map former_owners has owners for it (read only then), and with ABI_SLOT_HAS_EXCEPTIONS
 * when map exceptions may have flows of it (likewise). */

/* Map former_owners: the owners before the present one, newest first; 0 = none. */
struct former {
	__u16 owner[ABI_FORMER_OWNERS];
	__u16 reserved;
};

/* Map exceptions, whose only element is all of it, so that where a bucket is does not take a lookup: each entry is a flow's print (51 bits) and below it the id of the node that it is pinned to (12 bits); 0: free. A flow is in
 * one of two buckets of the part of the map that is looked at. Written and read as a whole. */
struct exception_bucket {
	__u64 entry[ABI_EXCEPTIONS_PER_BUCKET];
};

struct exceptions {
	struct exception_bucket bucket[ABI_EXCEPTION_BUCKETS];
};

/* Map vips: every virtual address, as struct address, IPv4 as ::ffff:a.b.c.d; the value, 16 bits, is the id of its interface node or
 * ABI_VIP_OF_… */

/* Map own_addresses: this node's addresses, those of peering alone; the value is the peering programs'. */

/* Map nodes: a node's MAC as the six low bytes of a little-endian number; 0 = unknown. With bit ABI_NODE_TUNNELLED_SHIFT it is not
 * on this segment: frames go as map tunnels says. */
struct node {
	__u64 mac;
};

/* Map tunnels, by node id: how frames go to a node that is not on this segment (docs/adr/0022). Written whole before the node is
 * marked as such. */
struct tunnel {
	__u64 next_mac; /* of the next machine on the way, as in struct node; 0: it is not known */
	__u64 own_mac; /* of this node's interface on the way */
	__be32 source; /* this node's address */
	__be32 destination; /* the node's */
	__u32 link; /* index of the interface on the way */
	__u16 mtu; /* longest outer packet that arrives */
	__u8 kind; /* ABI_TUNNEL_… */
	__u8 reserved;
};

/* Map tunnel_ends: ids of the nodes whose encapsulated packets are taken, by their IPv4 address. */

/* Map node_paths, with one entry where there are no private paths: by which of them frames go to a node (B11). Paths count
 * from 1, so path[0] is never used; choice 0 is the way without private paths. A path is written before the choices that name it. */
struct node_path {
	__u64 mac; /* of the node's interface on that path, as in struct node */
	__u32 link; /* index of this node's interface on it */
	__u32 reserved;
};

struct node_paths {
	struct node_path path[ABI_PATHS + 1]; /* a power of two */
	__u8 choice[ABI_PATH_CHOICES]; /* by slot */
};

/* Map fragments: what was decided about the first fragment of a datagram. */
struct fragment_key {
	struct address source;
	struct address destination;
	__u32 identification;
	__u32 protocol; /* and 256 for what came to a cluster MAC */
};

/* Map udp_sessions: UDP sessions that this node serves, of groups with ABI_SERVICE_SESSIONS. IPv4 as ::ffff:a.b.c.d. */
struct udp_session_key {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 reserved; /* 0 */
};

struct udp_session {
	__u64 until_ns; /* CLOCK_MONOTONIC; it has been idle for too long then */
};

/* Map udp_idle: by index of the group's counter, for how many ns a session stays after its last packet. */

/* Map named_nodes: by index of the group's counter times ABI_NAMED_WORDS, a bit for each node: QUIC packets that name it go to it. */

/* Map other_ports: by index of the group's counter, the port in network order. */

struct decision {
	__u32 group; /* index of the group's counter + 1; 0 = no group */
	__u16 node; /* 0: stays here */
	__u8 way; /* as in the source MAC: hop and who has been asked */
	__u8 reason;
	__u32 slot; /* as in map slots */
	__u32 base; /* the first one of its group */
};

/* Ring buffer held: a frame that waits. Frames up to ABI_HELD_SHORT_FRAME have a record that ends behind that many bytes. */
struct held_header {
	__u32 length; /* of the frame */
	__u32 slot; /* counted from the group's first; of REASON_HOLD_UNASSIGNED */
	__u32 group; /* index of the group's counter + 1; 0 = no group */
	__u32 link; /* index of the interface that it came in on */
	__u8 reason; /* REASON_HOLD_… */
	__u8 reserved[3];
};

struct held {
	struct held_header header;
	__u8 frame[ABI_HELD_FRAME];
};

/* Map slot_counters: for each slot, packets · 2^ABI_SLOT_PACKET_SHIFT + bytes that this node has taken, as one number
 * that only rises. The difference of two readings is right as long as the bytes between them are fewer than 2^40. */

/* Maps counters (by reason), node_counters (by id), group_counters (by index): one per CPU. */
struct counter {
	__u64 packets;
	__u64 bytes;
};

/* Map .data.state, shared memory. */
struct state {
	__u64 lease_until_ns; /* CLOCK_MONOTONIC; this node may answer for the VIPs until then */
	__u64 accept_until_ns; /* likewise: it may take frames that came to a cluster MAC */
	__u64 speak_until_ns; /* likewise: its sessions may speak (docs/adr/0029) */
	__u64 cluster_mac[ABI_CLUSTER_MACS]; /* as in struct node; 0 while there is no VIP */
	__u64 exceptions; /* part of map exceptions that is looked at: its first bucket above, below it how many there are, less one */
	__u64 routed; /* struct service of the group of traffic through the cluster; 0 = none */
	__u32 hash_key[2]; /* written together */
	__u64 epoch; /* version of the tables that were last written completely */
	__u64 version_counter;
	__u32 master;
	enum abi revision; /* ABI_REVISION; 0 = new */
	__u32 table_any_used; /* table 2 is asked only when it has entries */
	__u32 services4_used; /* map services4 is asked only when it has entries */
	__u32 services6_used; /* likewise */
	__u32 table_vip_used; /* table 3 is asked only when it has entries */
	__u32 method; /* ABI_METHOD_FORWARD, or 1 + index of the cluster MAC that clients are told */
	__u32 hash_kind; /* ABI_HASH_… */
	__u32 tenure; /* rises when others may have taken this node's sessions over: they speak again when their server has asked */
	__u32 slots_measured; /* map slot_counters is kept up to date */
	__be32 tunnel_address; /* to which encapsulated packets come; 0: none are taken */
	__u32 longest_packet; /* what servers here tell clients to send at most, headers included; 0: what they please */
	__u32 clsact_links[ABI_LINKS]; /* interfaces whose clsact qdisc the agent made, by index; 0: no entry */
};

/* Set before loading, constant afterwards. */
struct config {
	__u64 mac; /* own, as in struct node */
	__u32 self; /* own node id */
	__u32 multi_buffer; /* frames may be spread over several buffers (XDP) */
	enum reason reserved; /* not read; makes the enum part of the object's type information */
	struct held_header reserved_held; /* likewise */
	__u32 bucket_shift; /* there are 2^(64 - bucket_shift) buckets */
	__u32 paths; /* this node has private paths: map node_paths is looked at */
	__u32 peer_link; /* index of the interface by which frames go to other nodes; 0: the one they came in on */
	__u32 peering; /* the interface has the cluster MAC, and the peering programs come next (peer.bpf.c) */
};

#endif
