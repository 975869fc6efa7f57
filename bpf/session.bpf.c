/*
 * TCP sessions that outlive their member (A16): what leaves and what reaches this machine's stack on protected connections.
 *
 * Egress, stages in order:
 *   lease  a machine that cannot be sure to be among most of the members says nothing from protected listeners, no SYN-ACK and
 *          no reset either: others may have taken its connections over (ADR 29). Nor does one that has been away, until its
 *          server has heard which ones they are
 *   open   a SYN-ACK from a protected listener begins a session, before the application has even accepted it
 *   speak  a connection of which this machine is not, or no more, the one that speaks says nothing
 *   guard  FIN and RST stay here while nobody has said that the connection ends: a process that dies ends nothing
 *   clamp  the peer's bytes are acknowledged only as far as the replicas hold them (output commit); a segment that would
 *          say nothing else stays here
 * Ingress:
 *   shield a connection that is, or may come to be, on its way to this machine: its segments are told and go no further,
 *          since the stack knows nothing of it and would answer with a reset. What they bring is told with them, so that it
 *          can be given to the stack when the connection is here
 *
 * At tc, on the interface of the clients' traffic. Everything else goes on to other filters: TC_ACT_UNSPEC.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "ethernet.h"
#include "session.h"

enum {
	IPV6_LENGTH = 40,
	TCP_LENGTH = 20,
	TCP_ACKNOWLEDGEMENT = 8,
	TCP_CHECKSUM = 16,
	FLAG_FIN = 1,
	FLAG_SYN = 2,
	FLAG_RST = 4,
	FLAG_ACK = 16,
	SESSIONS = 65536,
	EVENTS_SIZE = 4 << 20,
	NS_PER_MS = 1000000,
};

/* The part of the kernel's structures that is read; offsets are found when the program is loaded. */
struct request_sock {
	__u16 mss;
} __attribute__((preserve_access_index));

struct inet_request_sock {
	struct request_sock req;
	__u16 snd_wscale : 4, rcv_wscale : 4, tstamp_ok : 1, sack_ok : 1, wscale_ok : 1;
} __attribute__((preserve_access_index));

struct tcp_request_sock {
	struct inet_request_sock req;
	__u32 rcv_isn;
	__u32 snt_isn;
	__u32 ts_off;
} __attribute__((preserve_access_index));

const volatile struct session_config config = {};

/* The packet program's, where there is one. */
struct state state SEC(".data.state") = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct session_listener);
	__type(value, __u32);
} session_listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SESSIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct session_key);
	__type(value, struct session_control);
} session_controls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SESSIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct session_key);
	__type(value, struct session_wire);
} session_wires SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_SIZE);
} session_events SEC(".maps");

/* One entry: the tenure (bpf/abi.h) whose sessions may speak. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} session_tenure SEC(".maps");

/* An event with what follows it, in the making: one for each processor. */
struct told_segment {
	struct session_event event;
	__u8 packet[SESSION_MAX_KEPT];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct told_segment);
} session_told SEC(".maps");

struct segment {
	struct session_key key;
	__u32 tcp; /* where its header begins */
	__u32 header; /* its length */
	__u32 sequence;
	__u32 acknowledgement;
	__u32 payload;
	__u32 timestamp;
	__u32 echo;
	__u16 window;
	__u8 flags;
	__u8 has_timestamps;
};

struct tcp_header {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgement;
	__u8 length; /* in the upper half, in units of 4 bytes */
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
	__be32 option[3];
};

static __always_inline int is_later(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

static __always_inline void map_ipv4(struct address *to, __be32 address)
{
	to->word[0] = 0;
	to->word[1] = 0;
	to->word[2] = bpf_htonl(0xffff);
	to->word[3] = address;
}

/* Answers the length of what follows the IP header, 0 when it is not TCP that can be read here. */
static __always_inline __u32 read_ip(struct __sk_buff *skb, struct address *from, struct address *to,
				     __u32 *tcp)
{
	if (skb->protocol == bpf_htons(ETHERTYPE_IPV4)) {
		struct {
			__u8 version_and_length, service;
			__be16 total_length, identification, fragment;
			__u8 ttl, protocol;
			__be16 checksum;
			__be32 source, destination;
		} ip;

		if (bpf_skb_load_bytes(skb, ETHERNET_LENGTH, &ip, sizeof(ip)))
			return 0;
		if (ip.protocol != PROTOCOL_TCP || ip.fragment & bpf_htons(0x3fff))
			return 0;
		map_ipv4(from, ip.source);
		map_ipv4(to, ip.destination);
		*tcp = ETHERNET_LENGTH + (ip.version_and_length & 15) * 4;
		/* A length of 0: a segment that segmentation offload made longer than the field can say. */
		return ip.total_length ? ETHERNET_LENGTH + bpf_ntohs(ip.total_length) - *tcp :
					 skb->len - *tcp;
	}
	if (skb->protocol == bpf_htons(ETHERTYPE_IPV6)) {
		struct {
			__be32 version;
			__be16 length;
			__u8 next, hops;
			struct {
				__be32 word[4];
			} source, destination;
		} ip;

		if (bpf_skb_load_bytes(skb, ETHERNET_LENGTH, &ip, sizeof(ip)))
			return 0;
		if (ip.next != PROTOCOL_TCP)
			return 0;
		__builtin_memcpy(from, &ip.source, sizeof(*from));
		__builtin_memcpy(to, &ip.destination, sizeof(*to));
		*tcp = ETHERNET_LENGTH + IPV6_LENGTH;
		return ip.length ? bpf_ntohs(ip.length) : skb->len - *tcp;
	}
	return 0;
}

static __always_inline int read_segment(struct __sk_buff *skb, struct segment *segment, int egress)
{
	struct tcp_header tcp = {};
	struct session_key *key = &segment->key;
	__u32 length, header;

	length = egress ? read_ip(skb, &key->local, &key->peer, &segment->tcp) :
			  read_ip(skb, &key->peer, &key->local, &segment->tcp);
	if (length < TCP_LENGTH)
		return 0;
	/* Most segments have options, and these are read in one go. */
	if (length < sizeof(tcp) || bpf_skb_load_bytes(skb, segment->tcp, &tcp, sizeof(tcp)))
		if (bpf_skb_load_bytes(skb, segment->tcp, &tcp, TCP_LENGTH))
			return 0;
	header = (tcp.length >> 4) * 4;
	if (header < TCP_LENGTH || header > length)
		return 0;
	key->port = egress ? tcp.source : tcp.destination;
	key->peer_port = egress ? tcp.destination : tcp.source;
	segment->sequence = bpf_ntohl(tcp.sequence);
	segment->acknowledgement = bpf_ntohl(tcp.acknowledgement);
	segment->header = header;
	segment->payload = length - header;
	segment->window = bpf_ntohs(tcp.window);
	segment->flags = tcp.flags;
	/* RFC 7323 appendix A: two NOPs before the option, which every stack sends so. */
	if (header >= sizeof(tcp) && tcp.option[0] == bpf_htonl(0x0101080a)) {
		segment->has_timestamps = 1;
		segment->timestamp = bpf_ntohl(tcp.option[1]);
		segment->echo = bpf_ntohl(tcp.option[2]);
	}
	return 1;
}

static __always_inline void tell_opened(struct segment *segment, struct tcp_request_sock *request)
{
	struct session_event *event = bpf_ringbuf_reserve(&session_events, sizeof(*event), 0);

	if (!event)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->key = segment->key;
	event->type = SESSION_EVENT_OPENED;
	event->at_ns = bpf_ktime_get_ns();
	event->sequence = segment->sequence + 1;
	event->acknowledgement = segment->acknowledgement;
	event->timestamp = (__u32)(event->at_ns / NS_PER_MS) + request->ts_off;
	event->window = segment->window;
	event->mss = request->req.req.mss;
	event->send_scale = BPF_CORE_READ_BITFIELD_PROBED(request, req.snd_wscale);
	event->receive_scale = BPF_CORE_READ_BITFIELD_PROBED(request, req.rcv_wscale);
	if (BPF_CORE_READ_BITFIELD_PROBED(request, req.tstamp_ok))
		event->options |= SESSION_TIMESTAMPS;
	if (BPF_CORE_READ_BITFIELD_PROBED(request, req.sack_ok))
		event->options |= SESSION_SACK;
	if (BPF_CORE_READ_BITFIELD_PROBED(request, req.wscale_ok))
		event->options |= SESSION_SCALING;
	bpf_ringbuf_submit(event, 0);
}

/* Stage open. A repeated SYN-ACK begins nothing anew. */
static __always_inline void open(struct __sk_buff *skb, struct segment *segment)
{
	struct session_listener listener = { .local = segment->key.local, .port = segment->key.port };
	struct session_control control = { .committed = segment->acknowledgement };
	struct session_wire wire = { .last_ack = segment->acknowledgement };
	struct tcp_request_sock *request;
	__u32 *flags = bpf_map_lookup_elem(&session_listeners, &listener);

	if (!flags || !skb->sk)
		return;
	request = bpf_skc_to_tcp_request_sock(skb->sk);
	if (!request)
		return;
	control.flags = *flags;
	if (bpf_map_update_elem(&session_wires, &segment->key, &wire, BPF_NOEXIST))
		return;
	if (bpf_map_update_elem(&session_controls, &segment->key, &control, BPF_NOEXIST)) {
		bpf_map_delete_elem(&session_wires, &segment->key);
		return;
	}
	tell_opened(segment, request);
}

/* Stage clamp. Answers whether the segment stays here. */
static __always_inline int clamp(struct __sk_buff *skb, struct segment *segment,
				 struct session_wire *wire, __u32 committed)
{
	__be32 old = bpf_htonl(segment->acknowledgement), new = bpf_htonl(committed);

	if (!is_later(segment->acknowledgement, committed)) {
		wire->last_ack = segment->acknowledgement;
		return 0;
	}
	if (!segment->payload && !(segment->flags & FLAG_FIN) && committed == wire->last_ack) {
		wire->held++;
		return 1;
	}
	/* Right for complete checksums, and changes nothing where the interface will make it. */
	bpf_l4_csum_replace(skb, segment->tcp + TCP_CHECKSUM, old, new, sizeof(new));
	bpf_skb_store_bytes(skb, segment->tcp + TCP_ACKNOWLEDGEMENT, &new, sizeof(new), 0);
	wire->clamped++;
	wire->last_ack = committed;
	return 0;
}

/* Stage lease. */
static __always_inline int has_lease(void)
{
	__u32 zero = 0, *tenure;

	if (!config.leased)
		return 1;
	tenure = bpf_map_lookup_elem(&session_tenure, &zero);
	return tenure && *tenure == *(volatile __u32 *)&state.tenure &&
	       bpf_ktime_get_ns() < *(volatile __u64 *)&state.speak_until_ns;
}

static __always_inline int is_protected(struct segment *segment)
{
	struct session_listener listener = { .local = segment->key.local, .port = segment->key.port };

	return bpf_map_lookup_elem(&session_listeners, &listener) != 0;
}

SEC("tc")
int session_egress(struct __sk_buff *skb)
{
	struct segment segment = {};
	struct session_control *control;
	struct session_wire *wire;

	if (!read_segment(skb, &segment, 1))
		return TC_ACT_UNSPEC;
	if (!has_lease() && is_protected(&segment)) {
		wire = bpf_map_lookup_elem(&session_wires, &segment.key);
		if (wire)
			wire->silenced++;
		return TC_ACT_STOLEN;
	}
	if ((segment.flags & (FLAG_SYN | FLAG_ACK)) == (FLAG_SYN | FLAG_ACK)) {
		open(skb, &segment);
		return TC_ACT_UNSPEC;
	}
	control = bpf_map_lookup_elem(&session_controls, &segment.key);
	if (!control)
		return TC_ACT_UNSPEC;
	wire = bpf_map_lookup_elem(&session_wires, &segment.key);
	if (!wire)
		return TC_ACT_UNSPEC;
	if (control->flags & SESSION_MUTE) {
		wire->silenced++;
		return TC_ACT_STOLEN;
	}
	if (control->flags & SESSION_GUARD && segment.flags & (FLAG_FIN | FLAG_RST)) {
		wire->guarded++;
		return TC_ACT_STOLEN;
	}
	if (control->flags & SESSION_CLAMP && segment.flags & FLAG_ACK &&
	    clamp(skb, &segment, wire, control->committed))
		return TC_ACT_STOLEN;
	wire->last_window = segment.window;
	wire->last_sequence_end = segment.sequence + segment.payload;
	wire->last_timestamp = segment.timestamp;
	wire->last_echo = segment.echo;
	return TC_ACT_UNSPEC;
}

/* The packet behind the event, or nothing. Answers its length. */
static __always_inline __u32 keep(struct __sk_buff *skb, struct segment *segment, __u8 *packet)
{
	__u32 length = segment->tcp + segment->header + segment->payload - ETHERNET_LENGTH;

	if (!segment->payload && !(segment->flags & FLAG_FIN))
		return 0;
	if (!length || length > SESSION_MAX_KEPT)
		return 0;
	if (bpf_skb_load_bytes(skb, ETHERNET_LENGTH, packet, length))
		return 0;
	return length;
}

static __always_inline void tell_heard(struct __sk_buff *skb, struct segment *segment)
{
	__u32 zero = 0, kept;
	struct told_segment *told = bpf_map_lookup_elem(&session_told, &zero);
	struct session_event *event;

	if (!told)
		return;
	event = &told->event;
	__builtin_memset(event, 0, sizeof(*event));
	event->key = segment->key;
	event->type = SESSION_EVENT_HEARD;
	event->at_ns = bpf_ktime_get_ns();
	event->sequence = segment->sequence;
	event->acknowledgement = segment->acknowledgement;
	event->timestamp = segment->timestamp;
	event->echo = segment->echo;
	event->payload = segment->payload;
	event->window = segment->window;
	event->segment = segment->flags & (FLAG_FIN | FLAG_SYN | FLAG_RST);
	event->options = segment->has_timestamps ? SESSION_TIMESTAMPS : 0;
	kept = keep(skb, segment, told->packet);
	event->kept = kept;
	bpf_ringbuf_output(&session_events, told, sizeof(*event) + kept, 0);
}

SEC("tc")
int session_ingress(struct __sk_buff *skb)
{
	struct segment segment = {};
	struct session_control *control;
	struct session_wire *wire;

	if (!read_segment(skb, &segment, 0))
		return TC_ACT_UNSPEC;
	control = bpf_map_lookup_elem(&session_controls, &segment.key);
	if (!control || !(control->flags & SESSION_SHIELD))
		return TC_ACT_UNSPEC;
	wire = bpf_map_lookup_elem(&session_wires, &segment.key);
	if (wire)
		wire->shielded++;
	/* A SYN is another connection of the same name: the old one is over for the peer. */
	tell_heard(skb, &segment);
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
