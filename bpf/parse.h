/*
 * Stage parse: is it an IP packet that we can read? The rules are those of docs/walks/a-packet-arrives.md. Reads
 * through the hook's copy function, so a frame may lie in any number of pieces; the usual shapes never get here
 * (steer.bpf.c has a short way for them).
 */
#ifndef PANOPLY_PARSE_H
#define PANOPLY_PARSE_H

#include "hook.h"
#include "packet.h"

enum {
	EXTENSIONS_READ = 2,
	NEXT_HOP_BY_HOP = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_DESTINATION = 60,
	IPV4_OFFSET_BITS = 0x1fff,
	IPV4_MORE_FRAGMENTS = 0x2000,
};

struct ipv4_header {
	__u8 version_and_length;
	__u8 service;
	__be16 total_length;
	__be16 identification;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
};

struct ipv6_header {
	__be32 version_class_label;
	__be16 payload_length;
	__u8 next;
	__u8 hop_limit;
	struct address source;
	struct address destination;
};

/* What stands before the addresses. */
struct ipv6_start {
	__be32 version_class_label;
	__be16 payload_length;
	__u8 next;
	__u8 hop_limit;
};

struct ipv6_fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset_and_more;
	__be32 identification;
};

static __always_inline int is_extension(__u8 next)
{
	return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_DESTINATION;
}

static __always_inline __u8 fragment_kind(__u32 offset, __u32 more)
{
	if (offset)
		return FRAGMENT_LATER;
	return more ? FRAGMENT_FIRST : FRAGMENT_NONE;
}

/* Both IP headers are read alike whether they are the packet's own or quoted in an ICMP error; only its own
 * length fields count. `packet->header` and `packet->end` are set. Answers 0 when it is malformed. */
static __always_inline int read_ipv4(frame_t *frame, struct packet *packet, int quoted)
{
	struct ipv4_header ip;
	__u32 length;

	if (quoted && packet->header + sizeof(ip) > packet->end)
		return 0;
	if (read_bytes(frame, packet->header, &ip, sizeof(ip)))
		return 0;
	length = (ip.version_and_length & 15) * 4;
	if (ip.version_and_length >> 4 != 4 || length < sizeof(ip))
		return 0;
	if (!quoted) {
		__u32 end = packet->header + bpf_ntohs(ip.total_length);

		if (end < packet->header + length || end > packet->end)
			return 0;
		packet->end = end;
	}
	packet->transport = packet->header + length;
	packet->identification = ip.identification;
	packet->protocol = ip.protocol;
	packet->fragment = fragment_kind(ip.fragment & bpf_htons(IPV4_OFFSET_BITS),
					 ip.fragment & bpf_htons(IPV4_MORE_FRAGMENTS));
	map_ipv4(&packet->source, ip.source);
	map_ipv4(&packet->destination, ip.destination);
	return 1;
}

/* From the end of the fixed header on: `packet->transport` and `packet->protocol` move along. */
static __always_inline int read_extensions(frame_t *frame, struct packet *packet)
{
	struct ipv6_fragment_header fragment;
	__u8 extension[2];

	for (int i = 0; i < EXTENSIONS_READ && is_extension(packet->protocol); i++) {
		if (read_bytes(frame, packet->transport, extension, sizeof(extension)))
			return 0;
		packet->protocol = extension[0];
		packet->transport += (extension[1] + 1) * 8;
		if (packet->transport > packet->end)
			return 0;
	}
	if (packet->protocol == NEXT_FRAGMENT) {
		if (packet->transport + sizeof(fragment) > packet->end)
			return 0;
		if (read_bytes(frame, packet->transport, &fragment, sizeof(fragment)))
			return 0;
		packet->protocol = fragment.next;
		packet->transport += sizeof(fragment);
		packet->identification = fragment.identification;
		packet->fragment = fragment_kind(fragment.offset_and_more & bpf_htons(0xfff8),
						 fragment.offset_and_more & bpf_htons(1));
	}
	if (packet->fragment == FRAGMENT_LATER)
		return 1;
	return !is_extension(packet->protocol) && packet->protocol != NEXT_FRAGMENT;
}

static __always_inline int read_ipv6(frame_t *frame, struct packet *packet, int quoted)
{
	struct ipv6_start ip;

	if (quoted && packet->header + sizeof(struct ipv6_header) > packet->end)
		return 0;
	if (read_bytes(frame, packet->header, &ip, sizeof(ip)))
		return 0;
	if ((ip.version_class_label & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return 0;
	packet->transport = packet->header + sizeof(struct ipv6_header);
	if (!quoted) {
		__u32 end = packet->transport + bpf_ntohs(ip.payload_length);

		if (end > packet->end)
			return 0;
		packet->end = end;
	}
	packet->protocol = ip.next;
	/* the destination stands behind the source, in both */
	if (read_bytes(frame, packet->header + sizeof(ip), &packet->source, 2 * sizeof(struct address)))
		return 0;
	return read_extensions(frame, packet);
}

static __always_inline __u32 transport_length(const struct packet *packet)
{
	switch (packet->protocol) {
	case PROTOCOL_TCP:
		return 20;
	case PROTOCOL_UDP:
		return 8;
	case PROTOCOL_ICMP:
		return packet->family == 4 ? 8 : 0;
	case PROTOCOL_ICMPV6:
		return packet->family == 6 ? 8 : 0;
	}
	return 0;
}

/* `packet` is all zero but for its family and hop. */
static __noinline int parse_ip(frame_t *frame, struct packet *packet)
{
	packet->header = ETHERNET_LENGTH;
	packet->end = frame_length(frame);
	if (packet->family == 4 ? !read_ipv4(frame, packet, 0) : !read_ipv6(frame, packet, 0))
		return 0;
	if (packet->fragment == FRAGMENT_LATER)
		return 1;
	return packet->transport + transport_length(packet) <= packet->end;
}

/* The packet quoted in an ICMP error; `quote` is all zero but for family, header and end. */
static __noinline int parse_quote(frame_t *frame, struct packet *quote)
{
	__u32 needed;

	if (quote->family == 4 ? !read_ipv4(frame, quote, 1) : !read_ipv6(frame, quote, 1))
		return 0;
	needed = quote->protocol == PROTOCOL_TCP || quote->protocol == PROTOCOL_UDP ? 4 : 0;
	return quote->fragment != FRAGMENT_LATER && quote->transport + needed <= quote->end;
}

#endif
