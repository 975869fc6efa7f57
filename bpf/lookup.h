/*
 * Stage lookup: table 1 (protocol, VIP, port), otherwise 2 (protocol, VIP), otherwise 3 (VIP). The steps are as many
 * whatever the number of services, nodes, slots and flows (B2, B14), and an IPv4 service is found with one cache line.
 */
#ifndef PANOPLY_LOOKUP_H
#define PANOPLY_LOOKUP_H

#include "hook.h"
#include "packet.h"

/* Multiplicative hashing: the product's highest bits choose the bucket. */
#define FIRST_FACTOR 0x9e3779b97f4a7c15ULL
#define SECOND_FACTOR 0xc2b2ae3d27d4eb4fULL

/* All ones when both are equal, else 0, without a branch: which entry of a bucket it is cannot be predicted. */
static __always_inline __u64 equal_mask(__u64 a, __u64 b)
{
	__u64 difference = a ^ b, negated = -difference;

	barrier_var(negated);
	return ((difference | negated) >> 63) - 1;
}

/* The key is looked at again after the value: the agent may be giving the place of a service that vanished to
 * another one. Answers 0 when the bucket does not have it. */
static __always_inline __u64 search_bucket(__u64 factor, __u64 key)
{
	__u32 index = key * factor >> config.bucket_shift;
	__u64 service, found = 0, at = 0, mask;
	volatile struct service_bucket *bucket;

	bucket = bpf_map_lookup_elem(&service_buckets, &index);
	if (!bucket)
		return 0;
#pragma unroll
	for (__u64 i = 0; i < ABI_SERVICES_PER_BUCKET; i++) {
		mask = equal_mask(bucket->entry[i].key, key);
		found |= mask;
		at |= mask & i;
	}
	if (unlikely(!found))
		return 0;
	at &= ABI_SERVICES_PER_BUCKET - 1;
	barrier_var(at);
	service = bucket->entry[at].service;
	return bucket->entry[at].key == key ? service : 0;
}

static __always_inline int find4(const struct service4_key *parts, struct service *service)
{
	__u64 key, found;
	struct service *apart;

	__builtin_memcpy(&key, parts, sizeof(key));
	found = search_bucket(FIRST_FACTOR, key);
	if (unlikely(!found))
		found = search_bucket(SECOND_FACTOR, key);
	if (likely(found)) {
		__builtin_memcpy(service, &found, sizeof(found));
		return 1;
	}
	if (likely(!state.buckets_overflow))
		return 0;
	apart = bpf_map_lookup_elem(&services4, parts);
	if (!apart)
		return 0;
	*service = *apart;
	return 1;
}

static __always_inline int lookup4(__u8 protocol, __be32 vip, __be16 port, struct service *service)
{
	struct service4_key key = { vip, port, protocol, ABI_TABLE_PORT };

	if (likely(find4(&key, service)))
		return 1;
	key.port = 0;
	key.table = ABI_TABLE_ANY;
	if (state.table_any_used && find4(&key, service))
		return 1;
	key.protocol = 0;
	key.table = ABI_TABLE_VIP;
	return state.table_vip_used && find4(&key, service);
}

static __always_inline int lookup6(__u8 protocol, const struct address *vip, __be16 port,
				   struct service *service)
{
	struct service6_key key = {
		{ vip->word[0], vip->word[1], vip->word[2], vip->word[3] },
		port,
		protocol,
		ABI_TABLE_PORT,
	};
	struct service *found = bpf_map_lookup_elem(&services6, &key);

	key.port = 0;
	if (unlikely(!found) && state.table_any_used) {
		key.table = ABI_TABLE_ANY;
		found = bpf_map_lookup_elem(&services6, &key);
	}
	if (unlikely(!found) && state.table_vip_used) {
		key.protocol = 0;
		key.table = ABI_TABLE_VIP;
		found = bpf_map_lookup_elem(&services6, &key);
	}
	if (unlikely(!found))
		return 0;
	*service = *found;
	return 1;
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
