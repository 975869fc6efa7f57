/*
 * Stage lookup: table 1 (protocol, VIP, port), otherwise 2 (protocol, VIP), otherwise 3 (VIP). The steps are as many
 * whatever the number of services, nodes, slots and flows (B2, B14). A service is found with one cache line, by IPv6
 * with two: its key there is made of a folded address, and the whole one lies beside.
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

/* 32 bits of an IPv6 address. Which ones does not matter, for the whole of it is compared afterwards; as different as
 * possible for the addresses of one network. */
static __always_inline __u32 fold_address(const struct address *address)
{
	const __u64 *half = (const __u64 *)address;
	__u64 mixed = (half[0] ^ half[0] >> 32) * FIRST_FACTOR ^ half[1];

	return (mixed ^ mixed >> 32) * SECOND_FACTOR >> 32;
}

static __always_inline int has_address(__u32 index, __u64 at, const struct address *address)
{
	struct bucket_vips *addresses = bpf_map_lookup_elem(&bucket_vips, &index);
	const __u64 *wanted = (const __u64 *)address;
	volatile __u64 *there;

	if (!addresses)
		return 0;
	there = (__u64 *)&addresses->entry[at];
	return there[0] == wanted[0] && there[1] == wanted[1];
}

/* The key is looked at again after the value: the agent may be giving the place of a service that vanished to
 * another one. `address` of an IPv6 service. Answers 0 when the bucket does not have it. */
static __always_inline __u64 search_bucket(__u64 factor, __u64 key, const struct address *address)
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
	if (address && unlikely(!has_address(index, at, address)))
		return 0;
	return bucket->entry[at].key == key ? service : 0;
}

static __always_inline int find(const struct service4_key *parts, const struct address *address,
				struct service *service)
{
	__u64 key, found;

	__builtin_memcpy(&key, parts, sizeof(key));
	found = search_bucket(FIRST_FACTOR, key, address);
	if (unlikely(!found))
		found = search_bucket(SECOND_FACTOR, key, address);
	if (unlikely(!found))
		return 0;
	__builtin_memcpy(service, &found, sizeof(found));
	return 1;
}

static __always_inline int find4(const struct service4_key *key, struct service *service)
{
	struct service *apart;

	if (likely(find(key, 0, service)))
		return 1;
	if (likely(!state.services4_used))
		return 0;
	apart = bpf_map_lookup_elem(&services4, key);
	if (!apart)
		return 0;
	*service = *apart;
	return 1;
}

/* Apart from the usual way, so that the stack has room. */
static __noinline int find6_apart(const struct service4_key *key, const struct address *vip,
				  struct service *service)
{
	struct service6_key whole = {};
	struct service *apart;

	if (!key || !vip || !service)
		return 0;
	for (int i = 0; i < 4; i++)
		whole.vip[i] = vip->word[i];
	whole.port = key->port;
	whole.protocol = key->protocol;
	whole.table = key->table & ~ABI_TABLE_IPV6;
	apart = bpf_map_lookup_elem(&services6, &whole);
	if (!apart)
		return 0;
	*service = *apart;
	return 1;
}

static __always_inline int find6(const struct service4_key *key, const struct address *vip,
				 struct service *service)
{
	if (likely(find(key, vip, service)))
		return 1;
	return unlikely(state.services6_used) && find6_apart(key, vip, service);
}

/* `vip6` is null for IPv4. */
static __always_inline int find_any(const struct service4_key *key, const struct address *vip6,
				    struct service *service)
{
	return vip6 ? find6(key, vip6, service) : find4(key, service);
}

static __always_inline int lookup_tables(struct service4_key key, const struct address *vip6,
					 struct service *service)
{
	__u8 family = vip6 ? ABI_TABLE_IPV6 : 0;

	key.table = ABI_TABLE_PORT | family;
	if (likely(find_any(&key, vip6, service)))
		return 1;
	key.port = 0;
	key.table = ABI_TABLE_ANY | family;
	if (state.table_any_used && find_any(&key, vip6, service))
		return 1;
	key.protocol = 0;
	key.table = ABI_TABLE_VIP | family;
	return state.table_vip_used && find_any(&key, vip6, service);
}

static __always_inline int lookup4(__u8 protocol, __be32 vip, __be16 port, struct service *service)
{
	return lookup_tables((struct service4_key){ vip, port, protocol, 0 }, 0, service);
}

static __always_inline int lookup6(__u8 protocol, const struct address *vip, __be16 port,
				   struct service *service)
{
	return lookup_tables((struct service4_key){ fold_address(vip), port, protocol, 0 }, vip, service);
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
