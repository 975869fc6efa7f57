/*
 * Stages decapsulate and encapsulate: frames to and from nodes that are not on this segment travel as packets between the nodes' own
 * addresses (B11, docs/adr/0022), IP in IP (RFC 2003, RFC 4213) or Geneve (RFC 8926). What a source MAC says on the segment, who sends
 * it and how far it has come, is in the outer IPv4 identification, which nobody else needs where a packet is never fragmented (RFC 6864),
 * or in a Geneve option. The model is src/core/steering/tunnels.ts.
 */
#ifndef PANOPLY_TUNNEL_H
#define PANOPLY_TUNNEL_H

#include "admit.h"
#include "hold.h"

enum {
	PROTOCOL_IPIP = 4,
	PROTOCOL_IPV6_IN_IP = 41,
	GENEVE_PORT = 6081,
	GENEVE_LENGTH = 2, /* of the options, in units of 4 bytes; version 0 */
	GENEVE_CRITICAL = 0x40, /* some option must be understood */
	GENEVE_CLASS = 0xfff0, /* for experiments (RFC 8926 section 7) */
	GENEVE_WAY = 0x81, /* critical */
	GENEVE_WAY_LENGTH = 1, /* in units of 4 bytes */
	WAY_MARK = 0x50, /* before the way, in the identification */
	OUTER_TTL = 64,
	DO_NOT_FRAGMENT = 0x4000,
	LOWEST_FLOW_PORT = 0xc000, /* of the ports by which networks tell flows apart */
	LONGEST_TOLD = ETHERNET_LENGTH + 1280, /* more than this of a packet no ICMP error quotes */
	TOLD_PER_SECOND = 1000, /* on each CPU */
};

struct outer {
	struct ipv4_header ip;
	__be16 source_port;
	__be16 destination_port;
	__be16 length;
	__be16 checksum;
	__u8 version_and_length;
	__u8 flags;
	__be16 type;
	__be32 network;
	__be16 option_class;
	__u8 option_type;
	__u8 option_length;
	__u8 way;
	__u8 reserved;
	__be16 sender;
};

struct told {
	__u64 since_ns;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct told);
} told SEC(".maps");

static __always_inline __u32 overhead_of(__u8 kind)
{
	return kind == ABI_TUNNEL_GENEVE ? sizeof(struct outer) : sizeof(struct ipv4_header);
}

static __always_inline __be16 header_checksum(const struct ipv4_header *ip)
{
	const __be16 *words = (const void *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < (int)sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline int may_tell(void)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	__u32 only = 0;
	struct told *last = bpf_map_lookup_elem(&told, &only);

	if (!last)
		return 0;
	if (now - last->since_ns >= 1000000000ULL) {
		last->since_ns = now;
		last->count = 0;
	}
	return last->count++ < TOLD_PER_SECOND;
}

/* The agent tells the sender, once a second for so many packets: `longest` is what would have fitted. */
static __noinline int too_big(frame_t *frame, __u32 longest, __u32 bytes)
{
	struct decision decision = { .reason = REASON_DROP_TOO_BIG, .slot = longest };

	if (may_tell())
		hold(frame, &decision, bytes > LONGEST_TOLD ? LONGEST_TOLD : bytes);
	count(&counters, REASON_DROP_TOO_BIG, bytes);
	return VERDICT_DROP;
}

/* `length`: of the inner packet. `way`: as in the source MAC. `service`: the inner packet's DSCP. ECN is not carried out (RFC 6040, compatibility). */
static __always_inline void fill_outer(struct outer *outer, const struct tunnel *tunnel, __u32 length, int family,
				       __u8 way, __u8 service, __u32 slot)
{
	int geneve = tunnel->kind == ABI_TUNNEL_GENEVE;

	outer->ip = (struct ipv4_header){
		.version_and_length = 0x45,
		.service = service & 0xfc,
		.total_length = bpf_htons(length + overhead_of(tunnel->kind)),
		.identification = bpf_htons(geneve ? 0 : WAY_MARK << 8 | way),
		.fragment = bpf_htons(DO_NOT_FRAGMENT),
		.ttl = OUTER_TTL,
		.protocol = geneve ? PROTOCOL_UDP : family == 4 ? PROTOCOL_IPIP : PROTOCOL_IPV6_IN_IP,
		.source = tunnel->source,
		.destination = tunnel->destination,
	};
	outer->ip.checksum = header_checksum(&outer->ip);
	outer->source_port = bpf_htons(LOWEST_FLOW_PORT | (slot & 0x3fff));
	outer->destination_port = bpf_htons(GENEVE_PORT);
	outer->length = bpf_htons(length + sizeof(*outer) - sizeof(outer->ip));
	outer->checksum = 0;
	outer->version_and_length = GENEVE_LENGTH;
	outer->flags = GENEVE_CRITICAL;
	outer->type = bpf_htons(family == 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	outer->network = 0;
	outer->option_class = bpf_htons(GENEVE_CLASS);
	outer->option_type = GENEVE_WAY;
	outer->option_length = GENEVE_WAY_LENGTH;
	outer->way = way;
	outer->reserved = 0;
	outer->sender = bpf_htons(config.self);
}

/* Of a frame's IP header: version and type of service or traffic class. */
static __always_inline int read_service(frame_t *frame, int *family, __u8 *service)
{
	__u8 start[2];

	if (read_bytes(frame, ETHERNET_LENGTH, start, sizeof(start)))
		return 0;
	*family = start[0] >> 4;
	*service = *family == 4 ? start[1] : start[0] << 4 | start[1] >> 4;
	return *family == 4 || *family == 6;
}

/* Answers 0 when it is done. A frame of more than 16 KB gets no room from the kernel. */
static __always_inline long put_outer(frame_t *frame, struct outer *outer, __u8 kind)
{
	if (kind == ABI_TUNNEL_GENEVE)
		return make_room(frame, sizeof(*outer), 1) ||
		       write_bytes(frame, ETHERNET_LENGTH, outer, sizeof(*outer));
	return make_room(frame, sizeof(outer->ip), 0) ||
	       write_bytes(frame, ETHERNET_LENGTH, &outer->ip, sizeof(outer->ip));
}

/* `way`: as in the source MAC, and above it the reason for which it goes there. */
static __noinline int encapsulate(frame_t *frame, __u32 id, __u32 slot, __u32 way, __u32 bytes)
{
	struct tunnel *tunnel = bpf_map_lookup_elem(&tunnels, &id);
	struct link_header link;
	struct outer outer;
	__u8 service;
	__u32 longest;
	int family;

	if (!tunnel || !tunnel->next_mac || !read_service(frame, &family, &service)) {
		count(&counters, REASON_DROP_NO_NEIGHBOUR, bytes);
		return VERDICT_DROP;
	}
	longest = tunnel->mtu - overhead_of(tunnel->kind);
	if (unlikely(longest_packet(frame, family) > longest))
		return too_big(frame, longest, bytes);
	fill_outer(&outer, tunnel, bytes - ETHERNET_LENGTH, family, way, service, slot);
	link = (struct link_header){
		.destination_and_source = tunnel->next_mac | tunnel->own_mac << 48,
		.source_rest = tunnel->own_mac >> 16,
		.type = bpf_htons(ETHERTYPE_IPV4),
	};
	if (put_outer(frame, &outer, tunnel->kind) || write_bytes(frame, 0, &link, sizeof(link))) {
		count(&counters, REASON_DROP_TUNNEL, bytes);
		return VERDICT_DROP;
	}
	if (way >> 8 == REASON_FORWARD_OWNER)
		count(&node_counters, id, bytes);
	else
		count(&counters, way >> 8, bytes);
	return send_by(frame, tunnel->link);
}

/* Of an outer packet that one of our nodes has sent: 1 and where the inner one begins, or 0: its way cannot be read. */
static __always_inline int read_way(const struct outer *outer, __u32 id, int *family, __u8 *way)
{
	__u16 mark = bpf_ntohs(outer->ip.identification);

	if (outer->ip.protocol != PROTOCOL_UDP) {
		*family = outer->ip.protocol == PROTOCOL_IPIP ? 4 : 6;
		*way = mark;
		return mark >> 8 == WAY_MARK && mark & HIGHEST_HOP;
	}
	*family = outer->type == bpf_htons(ETHERTYPE_IPV4) ? 4 : 6;
	*way = outer->way;
	return outer->version_and_length == GENEVE_LENGTH && outer->option_class == bpf_htons(GENEVE_CLASS) &&
	       outer->option_type == GENEVE_WAY && outer->option_length == GENEVE_WAY_LENGTH &&
	       (*family == 4 || outer->type == bpf_htons(ETHERTYPE_IPV6)) && !outer->network &&
	       outer->sender == bpf_htons(id) && outer->way & HIGHEST_HOP;
}

/* What comes out of a tunnel is for a VIP; `at`: where the inner packet begins. */
static __always_inline int is_for_vip(frame_t *frame, __u32 at, int family)
{
	struct address address;
	__u8 version;
	__be32 ipv4;

	if (read_bytes(frame, at, &version, sizeof(version)) || version >> 4 != family)
		return 0;
	if (family == 4) {
		if (read_bytes(frame, at + 16, &ipv4, sizeof(ipv4)))
			return 0;
		map_ipv4(&address, ipv4);
	} else if (read_bytes(frame, at + 24, &address, sizeof(address))) {
		return 0;
	}
	return is_vip(&address);
}

/* It is between two of our nodes, whole, and of a kind that carries packets. Answers the sender's id; 0: it is not. */
static __always_inline __u32 tunnel_sender(frame_t *frame, const struct link_header *link, struct outer *outer)
{
	__u32 *id;

	if (!is_own_mac(link->destination_and_source) || link->type != bpf_htons(ETHERTYPE_IPV4) ||
	    has_hidden_tag(frame) || read_bytes(frame, ETHERNET_LENGTH, &outer->ip, sizeof(outer->ip)))
		return 0;
	if (outer->ip.version_and_length != 0x45 || outer->ip.destination != state.tunnel_address ||
	    outer->ip.fragment & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_OFFSET_BITS))
		return 0;
	if (outer->ip.protocol == PROTOCOL_UDP) {
		if (read_bytes(frame, ETHERNET_LENGTH, outer, sizeof(*outer)) ||
		    outer->destination_port != bpf_htons(GENEVE_PORT))
			return 0;
	} else if (outer->ip.protocol != PROTOCOL_IPIP && outer->ip.protocol != PROTOCOL_IPV6_IN_IP) {
		return 0;
	}
	id = bpf_map_lookup_elem(&tunnel_ends, &outer->ip.source);
	return id ? *id : 0;
}

/* Makes of an encapsulated frame the one that the sender would have sent on the segment. 0: it is none; -1: it is to be dropped. */
static __noinline int decapsulate(frame_t *frame)
{
	struct link_header link;
	struct outer outer = {};
	int family, geneve;
	__u32 id, at;
	__u8 way;

	if (read_bytes(frame, 0, &link, sizeof(link)))
		return 0;
	id = tunnel_sender(frame, &link, &outer);
	if (!id)
		return 0;
	geneve = outer.ip.protocol == PROTOCOL_UDP;
	at = ETHERNET_LENGTH + (geneve ? sizeof(outer) : sizeof(outer.ip));
	if (!read_way(&outer, id, &family, &way) || !is_for_vip(frame, at, family))
		return -1;
	if (geneve ? take_room(frame, sizeof(outer), family) : take_room(frame, sizeof(outer.ip), family))
		return -1;
	link.destination_and_source = config.mac | 0x5006ULL << 48;
	link.source_rest = 0x4e | (__u32)way << 8 | (id >> 8) << 16 | id << 24;
	link.type = bpf_htons(family == 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	return write_bytes(frame, 0, &link, sizeof(link)) ? -1 : 1;
}

#endif
