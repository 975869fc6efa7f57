/*
 * What differs between the two hooks. The stages see a frame only through these functions, so that one source
 * serves XDP (real interfaces) and tc ingress (veth, and drivers without native XDP).
 */
#ifndef PANOPLY_HOOK_H
#define PANOPLY_HOOK_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A frame's first 14 bytes. */
struct link_header {
	__u64 destination_and_source; /* of the source its first two bytes */
	__u32 source_rest;
	__be16 type;
} __attribute__((packed));

#ifdef HOOK_XDP

typedef struct xdp_md frame_t;
#define VERDICT_PASS XDP_PASS
#define VERDICT_DROP XDP_DROP

static __always_inline __u32 frame_length(frame_t *frame)
{
	if (config.multi_buffer)
		return bpf_xdp_get_buff_len(frame);
	return frame->data_end - frame->data;
}

static __always_inline long read_bytes(frame_t *frame, __u32 offset, void *to, __u32 length)
{
	return bpf_xdp_load_bytes(frame, offset, to, length);
}

/* Index of the interface that it came in on. */
static __always_inline __u32 frame_link(frame_t *frame)
{
	return frame->ingress_ifindex;
}

/* XDP sees a frame as it is on the wire. */
static __always_inline int has_hidden_tag(frame_t *frame)
{
	return 0;
}

static __always_inline void make_readable(frame_t *frame, __u32 length)
{
}

/* A frame to a cluster MAC must look as if it had come to this node's own: the kernel compares, and its TCP takes
 * nothing that is not for this host. */
static __always_inline int pass_to_host(frame_t *frame, void *data)
{
	__u64 mac = config.peering ? state.cluster_mac[0] : config.mac;

	if (!data) {
		data = (void *)(long)frame->data;
		if (data + 14 > (void *)(long)frame->data_end)
			return XDP_DROP;
	}
	*(__u32 *)data = mac;
	*(__u16 *)(data + 4) = mac >> 32;
	return XDP_PASS;
}

static __always_inline long write_bytes(frame_t *frame, __u32 offset, void *from, __u32 length)
{
	return bpf_xdp_store_bytes(frame, offset, from, length);
}

/* So many bytes between the Ethernet header, which is then to be written, and the packet. `length`, here and below, is a constant. */
static __always_inline long make_room(frame_t *frame, int length, int udp)
{
	return bpf_xdp_adjust_head(frame, -length);
}

static __always_inline long take_room(frame_t *frame, int length, int family)
{
	return bpf_xdp_adjust_head(frame, length);
}

/* Of the IP packets that the frame stands for. */
static __always_inline __u32 longest_packet(frame_t *frame, int family)
{
	return frame_length(frame) - 14;
}

static __always_inline int send_by(frame_t *frame, __u32 link)
{
	return link == frame->ingress_ifindex ? XDP_TX : bpf_redirect(link, 0);
}

/* `link`: index of the interface by which it goes; 0: the usual one. */
static __always_inline int send_back(frame_t *frame, void *data, __u64 destination_and_source,
				     __u32 source_rest, __u32 link)
{
	if (!data) {
		data = (void *)(long)frame->data;
		if (data + 14 > (void *)(long)frame->data_end)
			return XDP_DROP;
	}
	*(__u64 *)data = destination_and_source;
	*(__u32 *)(data + 8) = source_rest;
	if (!link)
		link = config.peer_link;
	if (link)
		return bpf_redirect(link, 0);
	return XDP_TX;
}

#else

enum { PACKET_HOST = 0 };
/* Since Linux 6.3; not in every header yet. */
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)
typedef struct __sk_buff frame_t;
/* On to the peering programs, the session program and everybody else's filters. */
#define VERDICT_PASS TC_ACT_UNSPEC
#define VERDICT_DROP TC_ACT_SHOT

static __always_inline __u32 frame_length(frame_t *frame)
{
	return frame->len;
}

static __always_inline long read_bytes(frame_t *frame, __u32 offset, void *to, __u32 length)
{
	return bpf_skb_load_bytes(frame, offset, to, length);
}

static __always_inline __u32 frame_link(frame_t *frame)
{
	return frame->ifindex;
}

static __always_inline int has_hidden_tag(frame_t *frame)
{
	return frame->vlan_present;
}

/* Headers may lie outside the part that can be read directly. */
static __always_inline void make_readable(frame_t *frame, __u32 length)
{
	if (unlikely(frame->data + length > frame->data_end && frame->len >= length))
		bpf_skb_pull_data(frame, length);
}

/* A frame to a cluster MAC is not for this host to the kernel, whose TCP takes nothing else. */
static __always_inline int pass_to_host(frame_t *frame, void *data)
{
	bpf_skb_change_type(frame, PACKET_HOST);
	return VERDICT_PASS;
}

static __always_inline long write_bytes(frame_t *frame, __u32 offset, void *from, __u32 length)
{
	return bpf_skb_store_bytes(frame, offset, from, length, 0);
}

/*
 * So many bytes between the Ethernet header, which is then to be written, and the packet. A frame that stands for many packets keeps
 * their size: each gets an outer header when it is cut. One that was in a tunnel until a moment ago is marked as encapsulated already, and
 * that mark is all it needs.
 */
static __always_inline long make_room(frame_t *frame, int length, int udp)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | (udp ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP : 0);

	if (!bpf_skb_adjust_room(frame, length, BPF_ADJ_ROOM_MAC, flags))
		return 0;
	return bpf_skb_adjust_room(frame, length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

static __always_inline long take_room(frame_t *frame, int length, int family)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | (family == 6 ? ADJ_ROOM_DECAP_L3_IPV6 : 0);

	return bpf_skb_adjust_room(frame, -length, BPF_ADJ_ROOM_MAC, flags);
}

/* Of the IP packets that the frame stands for: one, or many of one size that are cut out of it later (GSO). */
static __always_inline __u32 longest_packet(frame_t *frame, int family)
{
	__u32 header = 40, transport = 8;
	__u8 first, protocol;

	if (likely(!frame->gso_size))
		return frame->len - 14;
	if (read_bytes(frame, 14, &first, 1) || read_bytes(frame, family == 4 ? 23 : 20, &protocol, 1))
		return frame->len;
	if (family == 4)
		header = (first & 15) * 4;
	if (protocol == 6) {
		if (read_bytes(frame, 14 + header + 12, &first, 1))
			return frame->len;
		transport = (first >> 4) * 4;
	}
	return header + transport + frame->gso_size;
}

static __always_inline int send_by(frame_t *frame, __u32 link)
{
	return bpf_redirect(link, 0);
}

/* Not written in place: a program that does so has every shared frame copied, also those it passes. */
static __always_inline int send_back(frame_t *frame, void *data, __u64 destination_and_source,
				     __u32 source_rest, __u32 link)
{
	struct {
		__u64 first;
		__u32 rest;
	} __attribute__((packed)) macs = { destination_and_source, source_rest };

	if (bpf_skb_store_bytes(frame, 0, &macs, sizeof(macs), 0))
		return TC_ACT_SHOT;
	if (!link)
		link = config.peer_link ? config.peer_link : frame->ifindex;
	return bpf_redirect(link, 0);
}

#endif
#endif
