/*
 * Stage connection-id: which node does a QUIC packet name (policy quic, docs/adr/0031)? A server puts its node's id into bytes 1 and 2 of the
 * connection ids that it chooses, and a client sends them in all packets but its first ones. Follows src/core/steering/connection-id.ts.
 */
#ifndef PANOPLY_CONNECTION_ID_H
#define PANOPLY_CONNECTION_ID_H

#include "own.h"

enum {
	QUIC_LONG_HEADER = 0x80,
	QUIC_LONG_LENGTH = 9, /* up to the end of the node's id */
	QUIC_SHORT_LENGTH = 4,
	QUIC_LONG_CONNECTION_ID = 6,
	QUIC_NAMING = 3,
	QUIC_LONGEST = 20,
	QUIC_HANDSHAKE_1 = 2, /* bits 4 and 5 of the flags, in version 1 */
	QUIC_HANDSHAKE_2 = 3,
};

#define QUIC_VERSION_1 1U
#define QUIC_VERSION_2 0x6b3343cfU

/* The id in a packet with a long header. Before Handshake packets it is one that the client made up. */
static __noinline __u32 named_by_long_header(frame_t *frame, const struct packet *packet)
{
	__u32 at = packet ? packet->transport + 8 : 0, version;
	__u8 head[QUIC_LONG_LENGTH];
	__u8 type, length;

	if (!packet || at + sizeof(head) > packet->end || read_bytes(frame, at, head, sizeof(head)))
		return 0;
	type = head[0] >> 4 & 3;
	length = head[5];
	version = (__u32)head[1] << 24 | head[2] << 16 | head[3] << 8 | head[4];
	if (!(version == QUIC_VERSION_1 && type == QUIC_HANDSHAKE_1) &&
	    !(version == QUIC_VERSION_2 && type == QUIC_HANDSHAKE_2))
		return 0;
	if (length < QUIC_NAMING || length > QUIC_LONGEST || at + QUIC_LONG_CONNECTION_ID + length > packet->end)
		return 0;
	return head[7] << 8 | head[8];
}

/* The id in a packet; 0: none. There need not be a node of that id. */
static __noinline __u32 named_node(frame_t *frame, const struct packet *packet)
{
	__u32 at = packet ? packet->transport + 8 : 0;
	__u8 head[QUIC_SHORT_LENGTH];

	if (!packet || at + sizeof(head) > packet->end || read_bytes(frame, at, head, sizeof(head)))
		return 0;
	if (head[0] & QUIC_LONG_HEADER)
		return named_by_long_header(frame, packet);
	return head[2] << 8 | head[3];
}

/* Whether a server there goes on serving the group's connections. If not, whoever has the slot tells the client. */
static __always_inline int is_named(__u32 group, __u32 id)
{
	__u32 word = group * ABI_NAMED_WORDS + id / 64;
	__u64 *nodes = bpf_map_lookup_elem(&named_nodes, &word);

	return nodes && *nodes >> id % 64 & 1;
}

static __always_inline int is_reachable(__u32 id)
{
	struct node *node = bpf_map_lookup_elem(&nodes, &id);

	return id == config.self || (node && node->mac);
}

/* Answers 0 where the slot decides: the packet names no node, or none that serves, or a peer thought that it names this one. */
static __always_inline int name(frame_t *frame, const struct packet *packet, const struct flow *flow, __u32 group,
				struct decision *decision)
{
	__u32 id;

	if (packet->protocol != PROTOCOL_UDP || flow->protocol != PROTOCOL_UDP)
		return 0;
	id = named_node(frame, packet);
	if (!id || id >= ABI_NODES || !is_named(group, id) || !is_reachable(id))
		return 0;
	if (id == config.self) {
		*decision = decide(REASON_PASS_CONNECTION_ID);
		return 1;
	}
	if (packet->way)
		return 0;
	if (packet->flooded)
		*decision = decide(REASON_DROP_PEER);
	else
		*decision = (struct decision){ .reason = REASON_FORWARD_CONNECTION_ID, .node = id, .way = 1 };
	return 1;
}

#endif
