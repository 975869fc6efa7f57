/*
 * The fields of discovery messages that carry link-layer addresses: ARP, Neighbor Solicitations and Advertisements. As in
 * src/core/peering/discovery.ts and answer.ts.
 */
#ifndef PANOPLY_PEER_MESSAGE_H
#define PANOPLY_PEER_MESSAGE_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "ethernet.h"
#include "peer-maps.h"

enum {
	SOLICITED_OVERRIDE = 0x60,
	REDIRECT = 137,
	ICMPV6 = ETHERNET_LENGTH + 40,
	REDIRECT_OPTION = ICMPV6 + 40, /* behind the next hop's address and the destination's */
};

struct ipv6_start {
	__be32 version;
	__be16 payload_length;
	__u8 next;
	__u8 hop_limit;
};

/* An IPv6 packet with a Neighbor Solicitation or Advertisement. */
struct neighbor {
	__be32 version;
	__be16 payload_length;
	__u8 next;
	__u8 hop_limit;
	__be32 source[4];
	__be32 destination[4];
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 flags;
	__be32 target[4];
	struct option option;
};

enum message_kind { MESSAGE_NONE, MESSAGE_ARP, MESSAGE_ND };

struct message {
	struct address sender;
	struct address target; /* who is asked for, or who had asked; of ND: who is asked for or tells */
	__u64 mac; /* the link-layer address that it tells */
	__u64 target_mac; /* ARP only */
	__u8 kind;
	__u8 reply;
};

static __always_inline void map_ipv4(struct address *address, __be32 ipv4)
{
	address->word[0] = 0;
	address->word[1] = 0;
	address->word[2] = bpf_htonl(0xffff);
	address->word[3] = ipv4;
}

/* Whose link-layer address it tells. */
static __always_inline struct address *told(struct message *message)
{
	return message->kind == MESSAGE_ND && message->reply ? &message->target : &message->sender;
}

static __always_inline void read_arp(struct __sk_buff *frame, struct message *message)
{
	struct arp_packet arp;
	__be32 ipv4;

	if (bpf_skb_load_bytes(frame, ETHERNET_LENGTH, &arp, sizeof(arp)) || arp.hardware != bpf_htons(1) ||
	    arp.protocol != bpf_htons(ETHERTYPE_IPV4) || arp.hardware_length != 6 || arp.protocol_length != 4 ||
	    (arp.operation != bpf_htons(ARP_REQUEST) && arp.operation != bpf_htons(ARP_REPLY)))
		return;
	message->kind = MESSAGE_ARP;
	message->reply = arp.operation == bpf_htons(ARP_REPLY);
	__builtin_memcpy(&ipv4, arp.sender, 4);
	map_ipv4(&message->sender, ipv4);
	__builtin_memcpy(&ipv4, arp.target, 4);
	map_ipv4(&message->target, ipv4);
	__builtin_memcpy(&message->mac, arp.sender_mac, 6);
	__builtin_memcpy(&message->target_mac, arp.target_mac, 6);
}

/* The option stands right behind the target address: nobody sends another one before it. */
static __always_inline void read_neighbor(struct __sk_buff *frame, struct message *message)
{
	struct neighbor packet;
	int reply;

	if (bpf_skb_load_bytes(frame, ETHERNET_LENGTH, &packet, sizeof(packet)) || packet.next != PROTOCOL_ICMPV6 ||
	    bpf_ntohs(packet.payload_length) < sizeof(packet) - 40)
		return;
	reply = packet.type == NEIGHBOR_ADVERTISEMENT;
	if ((!reply && packet.type != NEIGHBOR_SOLICITATION) || packet.option.type != 1 + reply ||
	    packet.option.length != 1)
		return;
	message->kind = MESSAGE_ND;
	message->reply = reply;
	__builtin_memcpy(&message->sender, packet.source, 16);
	__builtin_memcpy(&message->target, packet.target, 16);
	__builtin_memcpy(&message->mac, packet.option.mac, 6);
}

static __always_inline void read_message(struct __sk_buff *frame, __be16 type, struct message *message)
{
	if (type == bpf_htons(ETHERTYPE_ARP))
		read_arp(frame, message);
	else if (type == bpf_htons(ETHERTYPE_IPV6))
		read_neighbor(frame, message);
}

static __always_inline void tell_option(struct __sk_buff *frame, __u32 at, struct option *before, __u64 mac)
{
	struct option after = *before;
	__s64 difference;

	__builtin_memcpy(after.mac, &mac, 6);
	difference = bpf_csum_diff((__be32 *)before, sizeof(*before), (__be32 *)&after, sizeof(after), 0);
	bpf_l4_csum_replace(frame, ICMPV6_CHECKSUM, 0, difference, 0);
	bpf_skb_store_bytes(frame, at, &after, sizeof(after), 0);
}

static __always_inline void tell(struct __sk_buff *frame, const struct message *message, __u64 mac)
{
	struct option before = { .type = 1 + message->reply, .length = 1 };

	if (message->kind == MESSAGE_ARP) {
		bpf_skb_store_bytes(frame, ARP_SENDER_MAC, &mac, 6, 0);
		return;
	}
	__builtin_memcpy(before.mac, &message->mac, 6);
	tell_option(frame, NEIGHBOR_OPTION, &before, mac);
}

/* Whether an IPv6 packet is a redirect that tells the next hop's link-layer address; then `option` has it. */
static __always_inline int read_redirect(struct __sk_buff *frame, struct option *option)
{
	struct ipv6_start start;
	__u8 type;

	return !bpf_skb_load_bytes(frame, ETHERNET_LENGTH, &start, sizeof(start)) && start.next == PROTOCOL_ICMPV6 &&
	       !bpf_skb_load_bytes(frame, ICMPV6, &type, 1) && type == REDIRECT &&
	       bpf_ntohs(start.payload_length) >= REDIRECT_OPTION + sizeof(*option) - ICMPV6 &&
	       !bpf_skb_load_bytes(frame, REDIRECT_OPTION, option, sizeof(*option)) && option->type == 2 &&
	       option->length == 1;
}

static __always_inline void store_macs(struct __sk_buff *frame, __u64 destination, __u64 source)
{
	__u8 macs[12];

	__builtin_memcpy(macs, &destination, 6);
	__builtin_memcpy(macs + 6, &source, 6);
	bpf_skb_store_bytes(frame, 0, macs, sizeof(macs), 0);
}

/* Turns a request into its answer, of the same length. `mac`: where what was asked for is; `asker`: who asked. */
static __always_inline void answer_arp(struct __sk_buff *frame, const struct message *message, __u64 mac,
				       __u64 asker)
{
	struct arp_packet arp = {
		.hardware = bpf_htons(1),
		.protocol = bpf_htons(ETHERTYPE_IPV4),
		.hardware_length = 6,
		.protocol_length = 4,
		.operation = bpf_htons(ARP_REPLY),
	};

	__builtin_memcpy(arp.sender_mac, &mac, 6);
	__builtin_memcpy(arp.sender, &message->target.word[3], 4);
	__builtin_memcpy(arp.target_mac, &asker, 6);
	__builtin_memcpy(arp.target, &message->sender.word[3], 4);
	bpf_skb_store_bytes(frame, ETHERNET_LENGTH, &arp, sizeof(arp), 0);
}

static __always_inline void answer_neighbor(struct __sk_buff *frame, const struct message *message, __u64 mac)
{
	struct neighbor packet;
	__be32 pseudo[2] = { bpf_htonl(32), bpf_htonl(PROTOCOL_ICMPV6) };
	__s64 sum;

	if (bpf_skb_load_bytes(frame, ETHERNET_LENGTH, &packet, sizeof(packet)))
		return;
	packet.payload_length = bpf_htons(32);
	__builtin_memcpy(packet.source, &message->target, 16);
	__builtin_memcpy(packet.destination, &message->sender, 16);
	packet.type = NEIGHBOR_ADVERTISEMENT;
	packet.code = 0;
	packet.checksum = 0;
	packet.flags = bpf_htonl((__u32)SOLICITED_OVERRIDE << 24);
	packet.option.type = 2;
	__builtin_memcpy(packet.option.mac, &mac, 6);
	sum = bpf_csum_diff(0, 0, (__be32 *)packet.source, sizeof(packet) - 8, 0);
	sum = bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), sum);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	packet.checksum = ~sum;
	bpf_skb_store_bytes(frame, ETHERNET_LENGTH, &packet, sizeof(packet), 0);
}

static __always_inline void turn_into_answer(struct __sk_buff *frame, const struct message *message, __u64 mac,
					     __u64 asker)
{
	if (message->kind == MESSAGE_ARP)
		answer_arp(frame, message, mac, asker);
	else
		answer_neighbor(frame, message, mac);
}

#endif
