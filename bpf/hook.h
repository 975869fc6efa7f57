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
