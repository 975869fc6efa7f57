/*
 * The short way for the usual packet: TCP or UDP over IPv4 without options or IPv6 without extension headers, whole,
 * for a slot without a chain to ask. Headers are read in place at fixed offsets; one lookup each for service, slot
 * and node. Whatever does not fit goes to steer_any(), which decides the same.
 */
#ifndef PANOPLY_FAST_H
#define PANOPLY_FAST_H

enum { IPV4_TRANSPORT = 34, IPV6_TRANSPORT = 54, IPV4_FRAGMENT_BITS = 0x3fff, TCP_FLAGS = 13 };

/* No node: the frame has to be read in another way. */
#define NOT_IN_PLACE 0xffffffffU

/* Read anew rather than kept: the stack is short. */
static __always_inline __u8 protocol_in_place(void *data, int family)
{
	return *(volatile __u8 *)(data + ETHERNET_LENGTH + (family == 4 ? 9 : 6));
}

/* It is noted by the long way. */
static __always_inline int is_noted(void *data, int family, const struct service *service)
{
	return service->flags & ABI_SERVICE_SESSIONS && is_of_session(protocol_in_place(data, family), service->flags);
}

/* Stages own and emit of a frame that every member has: the owner takes it, if it has heard the cluster. */
static __always_inline int settle_flooded(frame_t *frame, void *data, const struct service *service, __u32 slot,
					  __u16 entry, int family, __u32 bytes)
{
	__u32 owner = entry & ABI_SLOT_OWNER;

	if (likely(owner && owner != config.self))
		return emit_drop(REASON_DROP_PEER, bytes);
	if (unlikely(entry != config.self || is_noted(data, family, service)))
		return steer_any(frame);
	if (unlikely(!is_accepting()))
		return emit_drop(REASON_DROP_UNLEASED, bytes);
	count(&group_counters, service->group, bytes);
	if (unlikely(state.slots_measured))
		count_slot(slot, bytes);
	return emit_taken(frame, data, REASON_PASS_LOCAL, bytes);
}

/* As is the rest of what tells flows apart. */
static __always_inline struct print print_in_place(void *data, int family, struct words words)
{
	__be16 port = *(volatile __be16 *)(data + (family == 4 ? IPV4_TRANSPORT : IPV6_TRANSPORT) + 2);
	volatile struct address *vip6 = data + ETHERNET_LENGTH + 24;
	__u32 vip;

	if (family == 4)
		vip = *(volatile __u32 *)(data + ETHERNET_LENGTH + 16);
	else
		vip = vip6->word[0] ^ vip6->word[1] ^ vip6->word[2] ^ vip6->word[3];
	return print_of(words, vip, port, PROTOCOL_TCP);
}

/* What a segment without SYN is pinned to, read in place; 0: nothing. */
static __always_inline __u32 pinned_in_place(void *data, void *end, int family, struct words words)
{
	__u8 *flags = data + (family == 4 ? IPV4_TRANSPORT : IPV6_TRANSPORT) + TCP_FLAGS;

	if (protocol_in_place(data, family) != PROTOCOL_TCP)
		return 0;
	if (unlikely((void *)(flags + 1) > end))
		return NOT_IN_PLACE;
	if ((*flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return 0;
	return find_exception(print_in_place(data, family, words));
}

/* Stages exception, own and emit. */
static __always_inline int settle(frame_t *frame, void *data, void *end, const struct service *service, __u32 hash,
				  struct words words, int family, int flooded, __u32 bytes)
{
	__u32 way = way_of(*(__u32 *)(data + 6));
	__u8 reason = REASON_FORWARD_OWNER;
	__u32 slot, owner, node = 0;
	__u16 entry;

	if (unlikely(service->flags & (ABI_SERVICE_QUIC | ABI_SERVICE_OTHER_PORT) || !read_slot(service, hash, &slot, &entry)))
		return steer_any(frame);
	if (flooded)
		return settle_flooded(frame, data, service, slot, entry, family, bytes);
	if (unlikely(entry & ABI_SLOT_HAS_EXCEPTIONS) && !way) {
		if (is_noted(data, family, service))
			return steer_any(frame);
		node = pinned_in_place(data, end, family, words);
		if (node && ((entry & ABI_SLOT_OWNER) == config.self || node == config.self || node == NOT_IN_PLACE))
			return steer_any(frame);
		if (node)
			reason = REASON_FORWARD_EXCEPTION;
	}
	entry &= ~ABI_SLOT_HAS_EXCEPTIONS;
	owner = unlikely(node) ? node : entry & ABI_SLOT_OWNER;
	if (likely(!way && owner && owner != config.self)) {
		count(&group_counters, service->group, bytes);
		return emit_forward(frame, data, reason, owner, slot, node ? 2 : 1, bytes);
	}
	if (unlikely(entry != config.self || way > 1 || is_noted(data, family, service)))
		return steer_any(frame);
	count(&group_counters, service->group, bytes);
	if (unlikely(state.slots_measured))
		count_slot(slot, bytes);
	return emit_pass(REASON_PASS_LOCAL, bytes);
}

/* What the short way can take: L2TP has its flows further inside, and Geneve may have a frame of a node in it. */
static __always_inline int is_usual(__u8 protocol, __be16 destination_port)
{
	return protocol != PROTOCOL_UDP ||
	       (destination_port != bpf_htons(L2TP_PORT) && destination_port != bpf_htons(GENEVE_PORT));
}

static __always_inline int has_transport(__u8 protocol, __u32 length)
{
	if (protocol == PROTOCOL_TCP)
		return length >= 20;
	return protocol == PROTOCOL_UDP && length >= 8;
}

static __always_inline int steer_ipv4(frame_t *frame, void *data, void *end)
{
	struct ipv4_header *ip = data + ETHERNET_LENGTH;
	struct ports *ports = data + IPV4_TRANSPORT;
	__u32 bytes = frame_length(frame), length, hash;
	struct words words;
	__u64 destination = *(__u64 *)data;
	int flooded = !is_own_mac(destination);
	struct service service;
	__be16 port;

	if (unlikely((void *)(ports + 1) > end || ip->version_and_length != 0x45 ||
		     ip->fragment & bpf_htons(IPV4_FRAGMENT_BITS)))
		return steer_any(frame);
	length = bpf_ntohs(ip->total_length);
	if (unlikely(length > bytes - ETHERNET_LENGTH || length < sizeof(*ip) ||
		     !has_transport(ip->protocol, length - sizeof(*ip)) ||
		     !is_usual(ip->protocol, ports->destination) ||
		     (flooded && !is_cluster_mac(destination))))
		return steer_any(frame);
	words = words4(ip->source, ports->source);
	if (!lookup4(ip->protocol, ip->destination, ports->destination, &service))
		return flooded || way_of(*(__u32 *)(data + 6)) ? steer_any(frame) :
								 emit_pass(REASON_PASS_NO_SERVICE, bytes);
	port = service.flags & ABI_SERVICE_STICKY ? 0 : ports->source;
	hash = words.c;
	if (unlikely(state.hash_kind != ABI_HASH_KEYED))
		hash = collapse(ip->source ^ port, service.slot_bits);
	else if (!port)
		hash = hash4(ip->source, 0);
	return settle(frame, data, end, &service, hash, words, 4, flooded, bytes);
}

static __always_inline int steer_ipv6(frame_t *frame, void *data, void *end)
{
	struct ipv6_header *ip = data + ETHERNET_LENGTH;
	struct ports *ports = data + IPV6_TRANSPORT;
	__u32 bytes = frame_length(frame), length, hash;
	struct words words;
	__u64 destination = *(__u64 *)data;
	int flooded = !is_own_mac(destination);
	struct service service;
	__be16 port;

	if (unlikely((void *)(ports + 1) > end || (*(__u8 *)ip & 0xf0) != 0x60))
		return steer_any(frame);
	length = bpf_ntohs(ip->payload_length);
	if (unlikely(length > bytes - IPV6_TRANSPORT || !has_transport(ip->next, length) ||
		     !is_usual(ip->next, ports->destination) ||
		     (flooded && !is_cluster_mac(destination))))
		return steer_any(frame);
	words = words6(&ip->source, ports->source);
	if (!lookup6(ip->next, &ip->destination, ports->destination, &service))
		return flooded || way_of(*(__u32 *)(data + 6)) ? steer_any(frame) :
								 emit_pass(REASON_PASS_NO_SERVICE, bytes);
	port = service.flags & ABI_SERVICE_STICKY ? 0 : ports->source;
	hash = words.c;
	if (unlikely(state.hash_kind != ABI_HASH_KEYED))
		hash = collapse(xor_words(6, &ip->source) ^ port, service.slot_bits);
	else if (!port)
		hash = hash6(&ip->source, 0);
	return settle(frame, data, end, &service, hash, words, 6, flooded, bytes);
}

static __always_inline int steer(frame_t *frame)
{
	void *data, *end;
	__be16 type;

	make_readable(frame, IPV6_TRANSPORT + sizeof(struct ports));
	data = (void *)(long)frame->data;
	end = (void *)(long)frame->data_end;
	if (unlikely(data + ETHERNET_LENGTH > end || has_hidden_tag(frame)))
		return steer_any(frame);
	type = *(__be16 *)(data + 12);
	if (likely(type == bpf_htons(ETHERTYPE_IPV4)))
		return steer_ipv4(frame, data, end);
	if (type == bpf_htons(ETHERTYPE_IPV6))
		return steer_ipv6(frame, data, end);
	return steer_any(frame);
}

#endif
