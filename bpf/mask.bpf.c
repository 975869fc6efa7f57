/*
 * The egress program of the cluster interface (A13): what a node says in the name of a VIP tells clients and switches
 * about the cluster, not about the node.
 *
 * - The Ethernet source of frames from a VIP is the node's masked address 02:HI:LO:b.c.d, which is nobody's: no switch
 *   may learn behind which port a cluster MAC is, and none that looks learns which node's port it is.
 * - Where a VIP's link-layer address is told (ARP; the options of Neighbor Solicitations and Advertisements), it is the
 *   method's cluster MAC. The kernel answers by itself, and knows only the interface's own address.
 * - With the method "forward" nothing is changed.
 * - Where the node is beyond the segment, and its configuration says so, a server's SYN-ACK announces no longer segments than packets
 *   that fit into the tunnel (MSS clamping, docs/adr/0022). With the method "forward", too.
 * - A frame to the node's own MAC is turned round, so that what was held for this node comes in again (A15).
 *
 * At tc egress, also where the packet program is XDP. It shares that program's maps, so that a change of the method
 * changes both at once. Frames go on to other filters: TC_ACT_UNSPEC.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "ethernet.h"

enum {
	IPV4_SOURCE = ETHERNET_LENGTH + 12,
	IPV6_NEXT = ETHERNET_LENGTH + 6,
	IPV6_SOURCE = ETHERNET_LENGTH + 8,
	ICMPV6 = ETHERNET_LENGTH + 40,
	NEIGHBOR_TARGET = ICMPV6 + 8,
	IPV4_LENGTH = 20,
	IPV6_LENGTH = 40,
	TCP_LENGTH = 20,
	TCP_SYN_ACK = 0x12,
	TCP_MAXIMUM_SEGMENT = 2, /* kind of the option (RFC 9293) */
	SOURCE_LINK_LAYER = 1,
	TARGET_LINK_LAYER = 2,
};

const volatile struct config config = {};

struct state state SEC(".data.state") = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct address);
	__type(value, __u16);
} vips SEC(".maps");

static __always_inline int is_vip(const struct address *address)
{
	return bpf_map_lookup_elem(&vips, address) != 0;
}

static __always_inline int reads_vip4(struct __sk_buff *frame, __u32 offset)
{
	struct address address = { .word = { 0, 0, bpf_htonl(0xffff), 0 } };

	return !bpf_skb_load_bytes(frame, offset, &address.word[3], 4) && is_vip(&address);
}

static __always_inline int reads_vip6(struct __sk_buff *frame, __u32 offset)
{
	struct address address;

	return !bpf_skb_load_bytes(frame, offset, &address, sizeof(address)) && is_vip(&address);
}

/* Both kinds of MAC are numbers as in struct node: what is first on the wire is lowest. */
static __always_inline __u64 masked_mac(void)
{
	__u64 tail = state.cluster_mac[0] & 0xffffff000000;
	__u32 self = config.self;

	return tail | 0x02 | (self >> 8 & 0xff) << 8 | (self & 0xff) << 16;
}

static __always_inline void mask_source(struct __sk_buff *frame)
{
	__u64 mac = masked_mac();

	bpf_skb_store_bytes(frame, 6, &mac, 6, 0);
}

/* In an answer that nobody asked for the target's address is the sender's, too (RFC 5944 section 4.6). */
static __always_inline void tell_arp(struct __sk_buff *frame, __u64 cluster_mac)
{
	__u64 sender = 0, target = 0;

	if (!reads_vip4(frame, ARP_SENDER) || bpf_skb_load_bytes(frame, ARP_SENDER_MAC, &sender, 6) ||
	    bpf_skb_load_bytes(frame, ARP_TARGET_MAC, &target, 6))
		return;
	bpf_skb_store_bytes(frame, ARP_SENDER_MAC, &cluster_mac, 6, 0);
	if (sender == target)
		bpf_skb_store_bytes(frame, ARP_TARGET_MAC, &cluster_mac, 6, 0);
	mask_source(frame);
}

/* The option stands right behind the target address: nobody sends another one before it. */
static __always_inline void tell_option(struct __sk_buff *frame, __u8 type, __u64 cluster_mac)
{
	struct option before, after;
	__s64 difference;

	if (bpf_skb_load_bytes(frame, NEIGHBOR_OPTION, &before, sizeof(before)) || before.type != type ||
	    before.length != 1)
		return;
	after = before;
	__builtin_memcpy(after.mac, &cluster_mac, sizeof(after.mac));
	difference = bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&after, sizeof(after), 0);
	bpf_l4_csum_replace(frame, ICMPV6_CHECKSUM, 0, difference, 0);
	bpf_skb_store_bytes(frame, NEIGHBOR_OPTION, &after, sizeof(after), 0);
}

static __always_inline void tell_ipv6(struct __sk_buff *frame, __u64 cluster_mac)
{
	int speaks = reads_vip6(frame, IPV6_SOURCE);
	__u8 next, type;

	if (!bpf_skb_load_bytes(frame, IPV6_NEXT, &next, 1) && next == PROTOCOL_ICMPV6 &&
	    !bpf_skb_load_bytes(frame, ICMPV6, &type, 1)) {
		if (type == NEIGHBOR_ADVERTISEMENT && reads_vip6(frame, NEIGHBOR_TARGET)) {
			tell_option(frame, TARGET_LINK_LAYER, cluster_mac);
			speaks = 1;
		} else if (type == NEIGHBOR_SOLICITATION && speaks) {
			tell_option(frame, SOURCE_LINK_LAYER, cluster_mac);
		}
	}
	if (speaks)
		mask_source(frame);
}

struct segment_option {
	__u8 kind;
	__u8 length;
	__be16 size;
};

/* The kernel writes this option before all others. `network`: length of the IP header. */
static __always_inline void clamp_segments(struct __sk_buff *frame, __u32 network, __u32 longest)
{
	__u32 transport = ETHERNET_LENGTH + network;
	__u32 most = longest - network - TCP_LENGTH;
	struct segment_option option;
	__u8 start[2]; /* length of the header, flags */
	__be16 size;

	if (bpf_skb_load_bytes(frame, transport + 12, start, sizeof(start)) ||
	    (start[1] & TCP_SYN_ACK) != TCP_SYN_ACK || start[0] >> 4 < 6 ||
	    bpf_skb_load_bytes(frame, transport + TCP_LENGTH, &option, sizeof(option)) ||
	    option.kind != TCP_MAXIMUM_SEGMENT || option.length != sizeof(option) ||
	    bpf_ntohs(option.size) <= most)
		return;
	size = bpf_htons(most);
	if (!bpf_l4_csum_replace(frame, transport + 16, option.size, size, sizeof(size)))
		bpf_skb_store_bytes(frame, transport + TCP_LENGTH + 2, &size, sizeof(size), 0);
}

/* Of a VIP, in a packet whose IP header has no options. */
static __always_inline void clamp(struct __sk_buff *frame, __be16 type, __u32 longest)
{
	__u8 byte;

	if (type == bpf_htons(ETHERTYPE_IPV4)) {
		if (!bpf_skb_load_bytes(frame, ETHERNET_LENGTH, &byte, 1) && byte == 0x45 &&
		    !bpf_skb_load_bytes(frame, ETHERNET_LENGTH + 9, &byte, 1) && byte == PROTOCOL_TCP &&
		    reads_vip4(frame, IPV4_SOURCE))
			clamp_segments(frame, IPV4_LENGTH, longest);
	} else if (type == bpf_htons(ETHERTYPE_IPV6)) {
		if (!bpf_skb_load_bytes(frame, IPV6_NEXT, &byte, 1) && byte == PROTOCOL_TCP &&
		    reads_vip6(frame, IPV6_SOURCE))
			clamp_segments(frame, IPV6_LENGTH, longest);
	}
}

SEC("tc")
int mask_egress(struct __sk_buff *frame)
{
	__u32 method = *(volatile __u32 *)&state.method, longest = *(volatile __u32 *)&state.longest_packet;
	__u64 destination = 0, cluster_mac;
	__be16 type;

	if (frame->vlan_present || bpf_skb_load_bytes(frame, 0, &destination, 6) ||
	    bpf_skb_load_bytes(frame, 12, &type, sizeof(type)))
		return TC_ACT_UNSPEC;
	if (destination == config.mac)
		return bpf_redirect(frame->ifindex, BPF_F_INGRESS);
	if (longest)
		clamp(frame, type, longest);
	if (method == ABI_METHOD_FORWARD || method > ABI_CLUSTER_MACS)
		return TC_ACT_UNSPEC;
	cluster_mac = state.cluster_mac[method - 1];
	if (!cluster_mac)
		return TC_ACT_UNSPEC;
	if (type == bpf_htons(ETHERTYPE_IPV4)) {
		if (reads_vip4(frame, IPV4_SOURCE))
			mask_source(frame);
	} else if (type == bpf_htons(ETHERTYPE_ARP)) {
		tell_arp(frame, cluster_mac);
	} else if (type == bpf_htons(ETHERTYPE_IPV6)) {
		tell_ipv6(frame, cluster_mac);
	}
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
