/*
 * Fragments after the first carry no ports, so they take the decision that their first fragment left. Bounded: the
 * least recently used datagram makes room.
 */
#ifndef PANOPLY_FRAGMENT_H
#define PANOPLY_FRAGMENT_H

#include "announce.h"

static __always_inline void fragment_key(const struct packet *packet, struct fragment_key *key)
{
	key->source = packet->source;
	key->destination = packet->destination;
	key->identification = packet->identification;
	/* what came to a cluster MAC is kept apart: a node can drop its own copy and be sent another by the owner */
	key->protocol = packet->protocol | packet->flooded << 8;
}

static __noinline void remember_fragment(struct packet *packet, struct decision *decision)
{
	struct fragment_key key;

	if (!is_vip(&packet->destination))
		return;
	fragment_key(packet, &key);
	bpf_map_update_elem(&fragments, &key, decision, BPF_ANY);
}

/* A remembered forward is not taken twice by one frame: two nodes that remember each other would play ping-pong. */
static __always_inline struct decision recall_fragment(struct packet *packet)
{
	struct decision *remembered;
	struct fragment_key key;

	if (!is_vip(&packet->destination))
		return decide(REASON_PASS_NO_FLOW);
	fragment_key(packet, &key);
	remembered = bpf_map_lookup_elem(&fragments, &key);
	if (remembered && (!remembered->node || (packet->way & HIGHEST_HOP) < (remembered->way & HIGHEST_HOP)))
		return *remembered;
	if (packet->flooded)
		return decide(REASON_PASS_EARLY_FRAGMENT);
	return decide(packet->way ? REASON_PASS_PEER_FRAGMENT : REASON_HOLD_EARLY_FRAGMENT);
}

#endif
