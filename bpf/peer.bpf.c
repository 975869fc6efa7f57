/*
 * The peering programs of an interface that has the cluster MAC (part C): peer_ingress between card and stack, behind the packet
 * program, and peer_egress between stack and card, behind mask_egress. Both at tc, also where the packet program is XDP: only
 * there the stack can be told that a frame is for this host. The rules are a table in src/core/peering/rules.ts, which
 * test/kernel/peer-vectors.test.ts compares with these programs.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "peer-maps.h"
#include "peer-message.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum { PACKET_HOST = 0 };

struct ethernet {
	__u64 destination;
	__u64 source;
	__be16 type;
};

/* The two addresses of an IP packet, or of an ARP message. */
struct ends {
	struct address source;
	struct address destination;
};

/* Answers 0 for what is too short. */
static __always_inline int read_ethernet(struct __sk_buff *frame, struct ethernet *ethernet)
{
	void *data = (void *)(long)frame->data;

	if (data + ETHERNET_LENGTH > (void *)(long)frame->data_end)
		return 0;
	ethernet->destination = *(__u64 *)data << 16 >> 16;
	ethernet->source = *(__u32 *)(data + 6) | (__u64) * (__u16 *)(data + 10) << 32;
	ethernet->type = *(__be16 *)(data + 12);
	return 1;
}

static __always_inline int read_ends(struct __sk_buff *frame, __be16 type, const struct message *message,
				     struct ends *ends)
{
	__be32 pair[2];

	if (type == bpf_htons(ETHERTYPE_IPV6))
		return !bpf_skb_load_bytes(frame, ETHERNET_LENGTH + 8, ends, sizeof(*ends));
	if (type == bpf_htons(ETHERTYPE_IPV4)) {
		if (bpf_skb_load_bytes(frame, ETHERNET_LENGTH + 12, pair, sizeof(pair)))
			return 0;
		map_ipv4(&ends->source, pair[0]);
		map_ipv4(&ends->destination, pair[1]);
		return 1;
	}
	if (message->kind != MESSAGE_ARP)
		return 0;
	ends->source = message->sender;
	ends->destination = message->target;
	return 1;
}

static __always_inline int is_own(const struct address *address)
{
	return bpf_map_lookup_elem(&own_addresses, address) != 0;
}

static __always_inline int is_dedicated(__u64 mac)
{
	for (int index = 0; index < PEER_DEDICATED; index++)
		if (config.dedicated[index] && mac == config.dedicated[index])
			return 1;
	return 0;
}

/* Whose MAC that is; null: no peer's. */
static __always_inline __u32 *find_peer(__u64 mac)
{
	if ((mac & config.peer_mask) != config.peer_bits)
		return 0;
	return bpf_map_lookup_elem(&peer_macs, &mac);
}

/* Whose source that is, masked or dedicated (02:0h:ll or 02:1h:ll, or of a table); 0: nobody's in this cluster. */
static __always_inline __u32 node_of_source(__u64 source)
{
	__u32 *node;

	if ((source & 0xffffff00e0ff) == ((config.cluster_mac & 0xffffff000000) | 2))
		return (source >> 8 & 0x0f) << 8 | (source >> 16 & 0xff);
	node = find_peer(source);
	return node ? *node : 0;
}

static __always_inline int is_link_local(const struct address *address)
{
	return (address->word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* The dedicated MAC of the peer that has an address; nobody lists link-local ones, so the Ethernet source tells whose. 0: no peer. */
static __always_inline __u64 peer_at(const struct address *address, __u64 source, __u32 *node)
{
	struct peer *peer = bpf_map_lookup_elem(&peers, address);
	__u64 *mac;

	if (peer) {
		*node = peer->node;
		return peer->mac;
	}
	if (!is_link_local(address))
		return 0;
	*node = node_of_source(source);
	mac = bpf_map_lookup_elem(&peer_nodes, node);
	return mac ? *mac : 0;
}

/* A peer that has not asked for this node may have asked before the agent started: its stack asks again. */
static __always_inline int is_unasked(const struct address *address, __u64 source)
{
	__u32 node = 0, *asked;

	if (!peer_at(address, source, &node))
		return 0;
	asked = bpf_map_lookup_elem(&peer_asked, &node);
	return asked && !*asked;
}

static __always_inline void remember_asked(__u32 node)
{
	__u32 yes = 1;

	bpf_map_update_elem(&peer_asked, &node, &yes, 0);
}

/* Row 610, row 640. Answers the reason, or PEER_REASON_PASS_OTHER. */
static __always_inline __u32 learn(struct __sk_buff *frame, struct message *message, __u64 source)
{
	__u64 shared = config.cluster_mac, mac;
	__u32 node = 0;

	if (message->kind == MESSAGE_ARP && message->reply && is_dedicated(message->target_mac))
		bpf_skb_store_bytes(frame, ARP_TARGET_MAC, &shared, 6, 0);
	if (message->mac != config.cluster_mac)
		return PEER_REASON_PASS_OTHER;
	mac = peer_at(told(message), source, &node);
	if (!mac)
		return PEER_REASON_PASS_OTHER;
	if (!message->reply && is_own(&message->target)) {
		remember_asked(node);
		if (config.choices & PEER_NO_LEARNING) {
			turn_into_answer(frame, message, shared, mac);
			store_macs(frame, mac, shared);
			return PEER_REASON_ANSWER_REQUEST;
		}
	}
	tell(frame, message, mac);
	return message->reply ? PEER_REASON_LEARN_REPLY : PEER_REASON_LEARN_REQUEST;
}

static __always_inline int drop(struct __sk_buff *frame, __u32 reason)
{
	count_reason(frame, reason);
	return TC_ACT_SHOT;
}

static __noinline int note_leak(struct __sk_buff *frame, __u64 source, __u32 index)
{
	struct message message = {};
	struct ends ends = {};
	struct peer_leak *leak;
	__be16 type = 0;

	if (bpf_skb_load_bytes(frame, 12, &type, sizeof(type)))
		return 0;
	read_message(frame, type, &message);
	leak = bpf_map_lookup_elem(&peer_leaks, &index);
	if (!leak)
		return 0;
	if (!read_ends(frame, type, &message, &ends))
		__builtin_memset(&ends.source, 0, sizeof(ends.source));
	leak->packets++;
	leak->seen_ns = bpf_ktime_get_coarse_ns();
	leak->mac = source;
	leak->address = ends.source;
	return 0;
}

/* Who sends to a dedicated MAC and is no member has learned it, and only a node itself has its MACs as sources. */
static __always_inline void look_at_source(struct __sk_buff *frame, __u64 source, int ours, int discovery)
{
	if (source == config.cluster_mac)
		return;
	if (discovery && (source == config.outsider_source || is_dedicated(source)))
		note_leak(frame, source, PEER_LEAK_OWN_SOURCE);
	else if (ours && !node_of_source(source))
		note_leak(frame, source, PEER_LEAK_OUTSIDER);
}

/* The frame is ours, or a discovery message, or it came to the shared MAC. */
static __noinline int arrive(struct __sk_buff *frame, struct ethernet *ethernet, int ours)
{
	struct message message = {};
	struct ends ends = {};
	__u64 mac = config.cluster_mac;
	__u32 reason = PEER_REASON_PASS_OTHER;
	int known = 0;

	if (!ethernet)
		return TC_ACT_UNSPEC;
	read_message(frame, ethernet->type, &message);
	look_at_source(frame, ethernet->source, ours, message.kind);
	if (config.shared || config.choices & (PEER_BY_SOURCE | PEER_SOURCE_CHECK))
		known = read_ends(frame, ethernet->type, &message, &ends);
	if (config.shared && ethernet->destination == config.shared && !(known && is_own(&ends.destination)))
		return drop(frame, PEER_REASON_DROP_NOT_OURS);
	if (config.choices & PEER_BY_SOURCE && !ours && known && ethernet->type != bpf_htons(ETHERTYPE_ARP) &&
	    ethernet->destination != config.cluster_mac)
		ours = is_own(&ends.destination) && bpf_map_lookup_elem(&peers, &ends.source);
	if (config.choices & PEER_SOURCE_CHECK && ours && !message.kind && known && is_unasked(&ends.source, ethernet->source))
		return drop(frame, PEER_REASON_DROP_UNASKED);
	if (ours) {
		bpf_skb_store_bytes(frame, 0, &mac, 6, 0);
		bpf_skb_change_type(frame, PACKET_HOST);
		count_in(frame, node_of_source(ethernet->source));
		reason = PEER_REASON_TAKE_PEER;
	}
	if (message.kind) {
		__u32 learned = learn(frame, &message, ethernet->source);

		reason = learned ? learned : reason;
	}
	if (reason)
		count_reason(frame, reason);
	if (reason == PEER_REASON_ANSWER_REQUEST)
		return bpf_redirect(frame->ifindex, 0);
	return TC_ACT_UNSPEC;
}

/* Whether an IPv6 packet may be a solicitation or advertisement; also where its header cannot be read in place. */
static __always_inline int may_be_neighbor(struct __sk_buff *frame)
{
	void *data = (void *)(long)frame->data;

	if (data + ETHERNET_LENGTH + 40 > (void *)(long)frame->data_end)
		return 1;
	return *(__u8 *)(data + ETHERNET_LENGTH + 6) == PROTOCOL_ICMPV6;
}

static __always_inline int may_be_message(struct __sk_buff *frame, __be16 type)
{
	return type == bpf_htons(ETHERTYPE_ARP) ||
	       (type == bpf_htons(ETHERTYPE_IPV6) && may_be_neighbor(frame));
}

SEC("tc")
int peer_ingress(struct __sk_buff *frame)
{
	struct ethernet ethernet;
	int ours;

	if (unlikely(!read_ethernet(frame, &ethernet) || frame->vlan_present))
		return TC_ACT_UNSPEC;
	/* what a local responder answers is from the cluster MAC to the cluster MAC (C13) */
	if (unlikely(ethernet.source == config.cluster_mac) && ethernet.destination != config.cluster_mac)
		note_leak(frame, ethernet.source, PEER_LEAK_CLUSTER_SOURCE);
	ours = is_dedicated(ethernet.destination);
	if (!ours && !(config.choices & PEER_BY_SOURCE) && likely(!may_be_message(frame, ethernet.type)))
		return TC_ACT_UNSPEC;
	return arrive(frame, &ethernet, ours);
}

/* C13: answered here, for a member that lives, as long as an agent says who does. */
static __always_inline int answer_here(struct __sk_buff *frame, struct message *message)
{
	struct peer *peer;

	if (!message->kind || message->reply || message->mac != config.cluster_mac)
		return 0;
	if (!message->sender.word[3] && !message->sender.word[0] && !message->sender.word[1] &&
	    (!message->sender.word[2] || message->kind == MESSAGE_ARP))
		return 0;
	peer = bpf_map_lookup_elem(&peers, &message->target);
	if (!peer || !(peer->flags & PEER_LIVE) || bpf_ktime_get_coarse_ns() >= config.live_until_ns)
		return 0;
	turn_into_answer(frame, message, peer->mac, config.cluster_mac);
	store_macs(frame, config.cluster_mac, config.cluster_mac);
	return 1;
}

/* Row 630. */
static __always_inline int tell_reply(struct __sk_buff *frame, struct message *message)
{
	__u64 shared = config.cluster_mac, *mac;

	if (!message->kind || !message->reply || message->mac != shared)
		return 0;
	mac = bpf_map_lookup_elem(&own_addresses, told(message));
	if (!mac)
		return 0;
	tell(frame, message, *mac);
	if (message->kind == MESSAGE_ARP)
		bpf_skb_store_bytes(frame, ARP_TARGET_MAC, &shared, 6, 0);
	return 1;
}

static __always_inline void set_source(struct __sk_buff *frame, __u64 present, __u64 mac)
{
	if (present != mac)
		bpf_skb_store_bytes(frame, 6, &mac, 6, 0);
}

/* Of several nodes that have one MAC, the address tells which is meant. */
static __always_inline void count_sent(struct __sk_buff *frame, __u32 node, __be16 type,
				       const struct message *message)
{
	struct ends ends;
	struct peer *peer;

	if (!node && config.shared && read_ends(frame, type, message, &ends)) {
		peer = bpf_map_lookup_elem(&peers, &ends.destination);
		node = peer ? peer->node : 0;
	}
	count_out(frame, node);
}

/* A router says that the next hop is a peer: outsiders have peers at the cluster MAC (C8). */
static __always_inline void hide_next_hop(struct __sk_buff *frame)
{
	struct option option;
	__u64 mac = 0;

	if (!read_redirect(frame, &option))
		return;
	__builtin_memcpy(&mac, option.mac, 6);
	if (find_peer(mac))
		tell_option(frame, REDIRECT_OPTION, &option, config.cluster_mac);
}

/* A discovery message, or a frame to a peer. */
static __noinline int depart(struct __sk_buff *frame, struct ethernet *ethernet)
{
	struct message message = {};
	__u32 reason = PEER_REASON_MASK_SOURCE, *node;

	if (!ethernet)
		return TC_ACT_UNSPEC;
	read_message(frame, ethernet->type, &message);
	if (config.choices & PEER_LOCAL_RESPONDER && answer_here(frame, &message)) {
		count_reason(frame, PEER_REASON_ANSWER_LOCAL);
		return bpf_redirect(frame->ifindex, BPF_F_INGRESS);
	}
	node = find_peer(ethernet->destination);
	if (node) {
		count_sent(frame, *node, ethernet->type, &message);
		reason = PEER_REASON_SEND_PEER;
		if (!(config.choices & PEER_INITIATOR) && tell_reply(frame, &message))
			reason = PEER_REASON_TELL_REPLY;
	} else if (ethernet->type == bpf_htons(ETHERTYPE_IPV6)) {
		hide_next_hop(frame);
	}
	set_source(frame, ethernet->source, node ? config.peer_source : config.outsider_source);
	count_reason(frame, reason);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int peer_egress(struct __sk_buff *frame)
{
	struct ethernet ethernet;

	if (unlikely(!read_ethernet(frame, &ethernet)) ||
	    (ethernet.source != config.cluster_mac && ethernet.source != config.outsider_source &&
	     ethernet.source != config.dedicated[0]))
		return TC_ACT_UNSPEC;
	if (likely(!frame->vlan_present) && /* an interface of a VLAN has the cluster MAC from this one, and is no member's */
	    (unlikely(may_be_message(frame, ethernet.type)) ||
	     (ethernet.destination & config.peer_mask) == config.peer_bits))
		return depart(frame, &ethernet);
	set_source(frame, ethernet.source, config.outsider_source);
	count_reason(frame, PEER_REASON_MASK_SOURCE);
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
