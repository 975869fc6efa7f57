/*
 * Stage hash: which slot of the group's table a flow belongs to. Keyed, or by exclusive or as published; both, and how the
 * second differs from what is printed, are told in src/core/steering/hash.ts.
 */
#ifndef PANOPLY_HASH_H
#define PANOPLY_HASH_H

#include "hook.h"
#include "packet.h"

static __always_inline __u32 rotate(__u32 x, int bits)
{
	return x << bits | x >> (32 - bits);
}

/* What is mixed, and what comes of it: `c` chooses the slot, all three tell exceptions apart. */
struct words {
	__u32 a;
	__u32 b;
	__u32 c;
};

/* The closing mix of Jenkins' lookup3. */
static __always_inline struct words mix_all(__u32 a, __u32 b, __u32 c)
{
	c = (c ^ b) - rotate(b, 14);
	a = (a ^ c) - rotate(c, 11);
	b = (b ^ a) - rotate(a, 25);
	c = (c ^ b) - rotate(b, 16);
	a = (a ^ c) - rotate(c, 4);
	b = (b ^ a) - rotate(a, 14);
	c = (c ^ b) - rotate(b, 24);
	return (struct words){ a, b, c };
}

static __always_inline __u32 mix(__u32 a, __u32 b, __u32 c)
{
	return mix_all(a, b, c).c;
}

static __always_inline struct words words4(__be32 source, __u32 discriminator)
{
	__u32 k0 = state.hash_key[0], k1 = state.hash_key[1];

	return mix_all(k0 + source, k0 + discriminator, k1);
}

static __always_inline struct words words6(const struct address *source, __u32 discriminator)
{
	__u32 k0 = state.hash_key[0], k1 = state.hash_key[1];
	struct words first = mix_all(k0 + source->word[0], k0 + source->word[1], k1 + discriminator);
	struct words all = mix_all(k0 + source->word[2], k0 + source->word[3], first.c);

	all.a += first.b;
	return all;
}

static __always_inline __u32 hash4(__be32 source, __u32 discriminator)
{
	return words4(source, discriminator).c;
}

static __always_inline __u32 hash6(const struct address *source, __u32 discriminator)
{
	return words6(source, discriminator).c;
}

static __always_inline __u32 hash_address(__u8 family, const struct address *address, __u32 discriminator)
{
	return family == 4 ? hash4(address->word[3], discriminator) : hash6(address, discriminator);
}

static __always_inline __u32 hash_keyed(__u8 flags, const struct flow *flow)
{
	__u32 k0 = state.hash_key[0], k1 = state.hash_key[1], from, to;

	if (!(flags & ABI_SERVICE_ROUTED))
		return hash_address(flow->family, &flow->source,
				    flags & ABI_SERVICE_STICKY ? 0 : flow->discriminator);
	from = hash_address(flow->family, &flow->source, 0);
	to = hash_address(flow->family, &flow->destination, 0);
	if (flags & ABI_SERVICE_SYMMETRIC)
		return mix(k0 + from + to, k0 + (from ^ to), k1);
	return mix(k0 + from, k0 + to, k1);
}

static __always_inline __u32 xor_words(__u8 family, const struct address *address)
{
	if (family == 4)
		return address->word[3];
	return address->word[0] ^ address->word[1] ^ address->word[2] ^ address->word[3];
}

/* The exclusive or of all pieces of that many bits, in the lowest bits. */
static __noinline __u32 collapse(__u32 sum, __u32 bits)
{
	__u32 folded = 0;

	for (int piece = 0; piece < 32 && sum; piece++) {
		folded ^= sum;
		sum >>= bits & 31;
	}
	return folded;
}

static __always_inline __u32 hash_xor(const struct service *service, const struct flow *flow)
{
	__u32 sum = xor_words(flow->family, &flow->source);
	__u32 to = xor_words(flow->family, &flow->destination);

	if (service->flags & ABI_SERVICE_ROUTED) {
		sum ^= to;
	} else if (!(service->flags & ABI_SERVICE_STICKY)) {
		sum ^= flow->discriminator;
		if (flow->protocol != PROTOCOL_TCP && flow->protocol != PROTOCOL_UDP)
			sum ^= to;
	}
	return collapse(sum, service->slot_bits);
}

/* The lowest bits are the slot's number. */
static __noinline __u32 hash_flow(const struct service *service, const struct flow *flow)
{
	if (!service || !flow)
		return 0;
	if (state.hash_kind == ABI_HASH_XOR)
		return hash_xor(service, flow);
	return hash_keyed(service->flags, flow);
}

#endif
