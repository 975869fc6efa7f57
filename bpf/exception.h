/*
 * Stage exception: is the connection pinned to a node that is not its slot's owner (B4, docs/adr/0016)? Only slots with exceptions ask,
 * and only the node that would decide by the slot. A flow is known again by 51 bits of a hash of it, its print, which lies in
 * one of two buckets of half a cache line each; the agent sees to it that no two exceptions have the same (src/wire/flow-key.ts).
 */
#ifndef PANOPLY_EXCEPTION_H
#define PANOPLY_EXCEPTION_H

#include "hash.h"
#include "own.h"

#define PRINT_FACTOR 0x9e3779b1U

struct print {
	__u32 place; /* 16 bits for the first bucket, 16 for the second */
	__u32 high;
	__u32 low;
};

/* Of the words that source address and source port have come to for the slot. */
static __always_inline struct print print_of(struct words words, __u32 vip, __be16 port, __u8 protocol)
{
	__u32 service = (port | (__u32)protocol << 16) * PRINT_FACTOR + vip;

	return (struct print){
		/* what differs from VIP to VIP comes into the lowest bits of both halves */
		.place = words.b + (service ^ service >> 16),
		.high = words.a + service,
		.low = words.c,
	};
}

/* `wanted`: an entry without a node. What differs from it by a node only is the entry, and the difference is the node: found without a
 * branch, for which entry it is cannot be predicted. Neither number has its highest bit. */
static __always_inline __u32 search_exceptions(struct exceptions *all, __u32 index, __u64 wanted)
{
	volatile struct exception_bucket *bucket = &all->bucket[index & (ABI_EXCEPTION_BUCKETS - 1)];
	__u64 found = 0, difference;
	__s64 sign;

#pragma unroll
	for (__u32 i = 0; i < ABI_EXCEPTIONS_PER_BUCKET; i++) {
		difference = bucket->entry[i] ^ wanted;
		sign = difference - (ABI_SLOT_OWNER + 1);
		barrier_var(sign);
		found |= difference & sign >> 63;
	}
	return found;
}

/* The node that a flow is pinned to; 0: none. */
static __always_inline __u32 find_exception(struct print print)
{
	__u64 wanted = ((__u64)print.high << 32 | print.low) >> 1 & ~(__u64)ABI_SLOT_OWNER;
	__u64 part = *(volatile __u64 *)&state.exceptions;
	__u32 first = part >> 32, mask = part, zero = 0, node;
	struct exceptions *all = bpf_map_lookup_elem(&exceptions, &zero);

	if (unlikely(!all))
		return 0;
	node = search_exceptions(all, first + (print.place & mask), wanted);
	if (likely(node))
		return node;
	return search_exceptions(all, first + (print.place >> 16 & mask), wanted);
}

static __always_inline __u32 fold_vip(const struct address *vip)
{
	return vip->word[0] ^ vip->word[1] ^ vip->word[2] ^ vip->word[3];
}

static __noinline __u32 pinned_to(const struct flow *flow)
{
	const struct address *vip;
	struct words words;
	int four;

	if (!flow)
		return 0;
	four = flow->family == 4;
	vip = &flow->destination;
	words = four ? words4(flow->source.word[3], flow->source_port) : words6(&flow->source, flow->source_port);
	return find_exception(
		print_of(words, four ? vip->word[3] : fold_vip(vip), flow->destination_port, flow->protocol));
}

/* Answers 0 where the slot decides. */
static __always_inline int except(frame_t *frame, struct packet *packet, struct flow *flow, __u8 flags, __u32 slot,
				  __u16 entry, struct decision *decision)
{
	__u16 owner = entry & ABI_SLOT_OWNER;
	int is_own = packet->flooded || owner == config.self;
	__u32 node;

	if (!(entry & ABI_SLOT_HAS_EXCEPTIONS) || packet->way || !is_segment(flow, flags) ||
	    (packet->flooded && !takes_flooded(slot, entry)))
		return 0;
	node = pinned_to(flow);
	if (!node)
		return 0;
	if ((node == config.self || is_own) && knows(frame, packet, flow)) {
		*decision = decide(REASON_PASS_EXCEPTION);
		return node == config.self;
	}
	if (node == config.self)
		return 0;
	*decision = (struct decision){ .reason = REASON_FORWARD_EXCEPTION,
				       .node = node,
				       .way = 2 | (is_own ? asked_bit(config.self) : 0) };
	return 1;
}

#endif
