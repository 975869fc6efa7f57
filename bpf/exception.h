/*
 * Stage exception: is the connection pinned to a node that is not its slot's owner (B4, docs/adr/0016)? Only slots with exceptions ask,
 * and only the node that would decide by the slot. A flow is known again by 52 bits of a hash of it, its print, which lies in
 * one of two buckets of a cache line each; the agent sees to it that no two exceptions have the same (src/wire/flow-key.ts).
 */
#ifndef PANOPLY_EXCEPTION_H
#define PANOPLY_EXCEPTION_H

#include "hash.h"
#include "own.h"

enum { PRINT_SHIFT = 12 };

struct print {
	__u32 place; /* 16 bits for the first bucket, 16 for the second */
	__u32 high;
	__u32 low;
};

static __always_inline void mix_print(struct print *print)
{
	mix_all(&print->place, &print->high, &print->low);
}

static __always_inline struct print print4(__be32 source, __be32 vip, __u32 ports, __u8 protocol)
{
	struct print print = { state.hash_key[0] + source, state.hash_key[1] + ports, vip + protocol };

	mix_print(&print);
	return print;
}

static __always_inline struct print print6(const struct address *source, const struct address *vip, __u32 ports,
					   __u8 protocol)
{
	__u32 k0 = state.hash_key[0], k1 = state.hash_key[1];
	struct print print = { k0 + source->word[0], k0 + source->word[1], k1 + source->word[2] };

	mix_print(&print);
	print.place += source->word[3];
	print.high += ports;
	print.low += (vip->word[0] ^ vip->word[1] ^ vip->word[2] ^ vip->word[3]) + protocol;
	mix_print(&print);
	return print;
}

static __always_inline __u64 search_exceptions(__u32 index, __u64 print)
{
	volatile struct exception_bucket *bucket = bpf_map_lookup_elem(&exceptions, &index);
	__u64 found = 0, entry;

	if (!bucket)
		return 0;
#pragma unroll
	for (__u32 i = 0; i < ABI_EXCEPTIONS_PER_BUCKET; i++) {
		entry = bucket->entry[i];
		found |= entry & equal_mask(entry >> PRINT_SHIFT, print);
	}
	return found & ABI_SLOT_OWNER;
}

/* The node that a flow is pinned to; 0: none. */
static __always_inline __u32 find_exception(struct print print)
{
	__u64 wanted = ((__u64)print.high << 32 | print.low) >> PRINT_SHIFT;
	__u64 node = search_exceptions(print.place & config.exception_mask, wanted);

	if (likely(node))
		return node;
	return search_exceptions(print.place >> 16 & config.exception_mask, wanted);
}

static __noinline __u32 pinned_to(const struct flow *flow)
{
	__u32 ports;

	if (!flow)
		return 0;
	ports = flow->source_port | (__u32)flow->destination_port << 16;
	if (flow->family == 4)
		return find_exception(
			print4(flow->source.word[3], flow->destination.word[3], ports, flow->protocol));
	return find_exception(print6(&flow->source, &flow->destination, ports, flow->protocol));
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
