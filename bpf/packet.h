/* What the stages hand to each other. */
#ifndef PANOPLY_PACKET_H
#define PANOPLY_PACKET_H

#include "ethernet.h"
#include "maps.h"

enum {
	TCP_FIN_SYN_RST_ACK = 0x17,
	TCP_SYN = 0x02,
	TCP_ACK = 0x10,
	HIGHEST_HOP = 7,
	ASKED_SHIFT = 3, /* above the hop: who has been asked */
	ASKED_BITS = 5,
};

enum fragment_kind { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

/* The IP packet in a frame, as stage parse leaves it. Offsets from the first byte of the frame. */
struct packet {
	struct address source;
	struct address destination;
	__u32 header; /* offset of the IP header */
	__u32 transport; /* offset of what follows the IP headers */
	__u32 end; /* offset behind the last byte of the packet */
	__u32 identification; /* of a fragmented datagram */
	__u8 family; /* 4 or 6 */
	__u8 protocol;
	__u8 fragment; /* enum fragment_kind */
	__u8 way; /* 0: from outside; else hop and who has been asked, as in the source MAC */
	__u16 sender; /* who forwarded it; of a frame with a hop */
	__u8 flooded; /* came to a cluster MAC: every member has it */
};

/* A flow as its server sees it: the source is the client, the destination the VIP. Network order. */
struct flow {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 discriminator; /* what tells the client's flows apart */
	__u8 family;
	__u8 protocol;
	__u8 opening; /* a SYN without ACK */
	__u8 quoted; /* taken from an ICMP error: there is no segment to check a cookie with */
};

/* What the stages of one frame work on, off the stack, which has 512 bytes for all of them together. One for each CPU: no frame
 * interrupts another there. */
struct desk {
	struct packet packet;
	struct packet quote; /* in an ICMP error */
	struct flow flow;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct desk);
} desks SEC(".maps");

static __always_inline struct desk *clear_desk(void)
{
	__u32 only = 0;
	struct desk *desk = bpf_map_lookup_elem(&desks, &only);

	if (desk)
		__builtin_memset(desk, 0, sizeof(*desk));
	return desk;
}

static __always_inline void map_ipv4(struct address *address, __be32 ipv4)
{
	address->word[0] = 0;
	address->word[1] = 0;
	address->word[2] = bpf_htonl(0xffff);
	address->word[3] = ipv4;
}

static __always_inline int same_address(const struct address *a, const struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

static __always_inline struct decision decide(__u8 reason)
{
	return (struct decision){ .reason = reason };
}

/* A frame that one of our nodes forwarded has the source MAC 06:50:4e:HH:II:II. Given its first four bytes; answers HH: the hop,
 * 1 … HIGHEST_HOP, and above it a bit for each node that has been asked about the connection in vain. 0: from outside. */
static __always_inline __u32 way_of(__u32 source_mac)
{
	__u32 way = source_mac >> 24;

	return (source_mac & 0xffffff) == 0x4e5006 && way & HIGHEST_HOP ? way : 0;
}

static __always_inline __u8 asked_bit(__u32 node)
{
	return 1 << ASKED_SHIFT << node % ASKED_BITS;
}

#endif
