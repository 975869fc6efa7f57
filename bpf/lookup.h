/*
 * Stages lookup and hash: table 1 (protocol, VIP, port), otherwise table 2 (protocol, VIP); then the slot of the flow
 * in that group's table. Both cost the same whatever the number of services, nodes, slots and flows (B2, B14).
 */
#ifndef PANOPLY_LOOKUP_H
#define PANOPLY_LOOKUP_H

#include "hook.h"
#include "packet.h"

static __always_inline struct service *lookup4(__u8 protocol, __be32 vip, __be16 port)
{
	struct service4_key key = { vip, port, protocol, ABI_TABLE_PORT };
	struct service *service = bpf_map_lookup_elem(&services4, &key);

	if (likely(service) || !state.table_any_used)
		return service;
	key.port = 0;
	key.table = ABI_TABLE_ANY;
	return bpf_map_lookup_elem(&services4, &key);
}

static __always_inline struct service *lookup6(__u8 protocol, const struct address *vip, __be16 port)
{
	struct service6_key key = {
		{ vip->word[0], vip->word[1], vip->word[2], vip->word[3] },
		port,
		protocol,
		ABI_TABLE_PORT,
	};
	struct service *service = bpf_map_lookup_elem(&services6, &key);

	if (likely(service) || !state.table_any_used)
		return service;
	key.port = 0;
	key.table = ABI_TABLE_ANY;
	return bpf_map_lookup_elem(&services6, &key);
}

static __always_inline __u32 rotate(__u32 x, int bits)
{
	return x << bits | x >> (32 - bits);
}

/* The closing mix of Jenkins' lookup3. */
static __always_inline __u32 mix(__u32 a, __u32 b, __u32 c)
{
	c = (c ^ b) - rotate(b, 14);
	a = (a ^ c) - rotate(c, 11);
	b = (b ^ a) - rotate(a, 25);
	c = (c ^ b) - rotate(b, 16);
	a = (a ^ c) - rotate(c, 4);
	b = (b ^ a) - rotate(a, 14);
	return (c ^ b) - rotate(b, 24);
}

static __always_inline __u32 hash4(__be32 source, __be16 port)
{
	__u32 k0 = state.hash_key[0], k1 = state.hash_key[1];

	return mix(k0 + source, k0 + port, k1);
}

static __always_inline __u32 hash6(const struct address *source, __be16 port)
{
	__u32 k0 = state.hash_key[0], k1 = state.hash_key[1];

	k1 = mix(k0 + source->word[0], k0 + source->word[1], k1 + port);
	return mix(k0 + source->word[2], k0 + source->word[3], k1);
}

/* The slot's number; its 16 bits in `entry`. Answers 0 when the tables are inconsistent. */
static __always_inline int read_slot(const struct service *service, __u32 hash, __u32 *slot, __u16 *entry)
{
	__u32 index = service->base + (hash & ((1U << service->slot_bits) - 1));
	__u32 word = index / ABI_SLOTS_PER_WORD;
	__u64 *owners = bpf_map_lookup_elem(&slots, &word);

	if (!owners)
		return 0;
	*slot = index;
	*entry = *owners >> index % ABI_SLOTS_PER_WORD * 16;
	return 1;
}

#endif
