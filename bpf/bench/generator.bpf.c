/*
 * Benchmark only: makes the packets for measuring an XDP program with BPF_PROG_TEST_RUN, and the small programs that
 * it is compared with. A test run hands the same buffer to every iteration; so every iteration begins by writing the
 * headers anew, for another flow (and another service), and then tail-calls the program under test. What that costs
 * is measured with `pass` as the target and subtracted.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum { TEMPLATE_LENGTH = 128, HIGHEST_OFFSET = 120, SERVICES_PER_VIP = 128, FIRST_PORT = 1024 };

struct plan {
	__u32 flows; /* drawn at random; 1: always the same */
	__u32 services; /* likewise: SERVICES_PER_VIP ports on each of consecutive VIPs */
	__u32 random; /* state of the generator, not 0 */
	__u32 length; /* of the frame: a multiple of 8, at most TEMPLATE_LENGTH */
	__u32 source_offset; /* of the last four bytes of the client's address */
	__u32 source_port_offset;
	__u32 vip_offset; /* of the last four bytes of the VIP */
	__u32 vip_port_offset;
	__u32 ifindex; /* of `redirect` */
	__u32 first_service_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plan);
} plans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[TEMPLATE_LENGTH / 8]);
} templates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps");

struct service_key {
	__be32 vip;
	__be16 port;
	__be16 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct service_key);
	__type(value, __u32);
} reference_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u32);
} reference_slots SEC(".maps");

static __always_inline __u32 draw(struct plan *plan, __u32 limit)
{
	__u32 x = plan->random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	plan->random = x;
	return (__u64)x * limit >> 32;
}

static __always_inline int add32(void *data, void *end, __u32 offset, __u32 value)
{
	if (offset > HIGHEST_OFFSET || data + offset + 4 > end)
		return 0;
	*(__u32 *)(data + offset) = bpf_htonl(bpf_ntohl(*(__u32 *)(data + offset)) + value);
	return 1;
}

static __always_inline int put16(void *data, void *end, __u32 offset, __u16 value)
{
	if (offset > HIGHEST_OFFSET || data + offset + 2 > end)
		return 0;
	*(__u16 *)(data + offset) = bpf_htons(value);
	return 1;
}

static __always_inline int write_flow(struct plan *plan, void *data, void *end)
{
	__u32 flow = plan->flows > 1 ? draw(plan, plan->flows) : 0;

	return add32(data, end, plan->source_offset, flow >> 14) &&
	       put16(data, end, plan->source_port_offset, FIRST_PORT + (flow & 0x3fff));
}

static __always_inline int write_service(struct plan *plan, void *data, void *end)
{
	__u32 service;

	if (plan->services <= 1)
		return 1;
	service = draw(plan, plan->services);
	return add32(data, end, plan->vip_offset, service / SERVICES_PER_VIP) &&
	       put16(data, end, plan->vip_port_offset, plan->first_service_port + service % SERVICES_PER_VIP);
}

SEC("xdp")
int generate(struct xdp_md *frame)
{
	__u32 zero = 0;
	__u64 *template = bpf_map_lookup_elem(&templates, &zero);
	struct plan *plan = bpf_map_lookup_elem(&plans, &zero);
	__u32 length = frame->data_end - frame->data;
	__u64 *data;
	void *end;

	/* the program under test put something before the last packet, or took it off */
	if (!template || !plan || (length != plan->length && bpf_xdp_adjust_head(frame, length - plan->length)))
		return XDP_ABORTED;
	data = (void *)(long)frame->data;
	end = (void *)(long)frame->data_end;
	for (int i = 0; i < TEMPLATE_LENGTH / 8; i++) {
		if ((void *)(data + i + 1) > end)
			break;
		data[i] = template[i];
	}
	if (!write_flow(plan, data, end) || !write_service(plan, data, end))
		return XDP_ABORTED;
	bpf_tail_call(frame, &targets, 0);
	return XDP_ABORTED;
}

/* The floor: what the kernel's test loop itself costs. */
SEC("xdp")
int pass(struct xdp_md *frame)
{
	return XDP_PASS;
}

SEC("xdp")
int drop(struct xdp_md *frame)
{
	return XDP_DROP;
}

/* The smallest forwarder: swaps the MAC addresses. */
SEC("xdp")
int swap(struct xdp_md *frame)
{
	void *end = (void *)(long)frame->data_end;
	__u16 *data = (void *)(long)frame->data;

	if ((void *)(data + 7) > end)
		return XDP_DROP;
	for (int i = 0; i < 3; i++) {
		__u16 kept = data[i];

		data[i] = data[i + 3];
		data[i + 3] = kept;
	}
	return XDP_TX;
}

/* The smallest load balancer that deserves the name: one hash lookup, one array lookup, no hash of its own. */
SEC("xdp")
int two_lookups(struct xdp_md *frame)
{
	void *end = (void *)(long)frame->data_end;
	void *data = (void *)(long)frame->data;
	__u32 *service, *owner, slot;
	struct service_key key;

	if (data + 38 > end || *(__be16 *)(data + 12) != bpf_htons(0x0800) || *(__u8 *)(data + 14) != 0x45)
		return XDP_PASS;
	key = (struct service_key){ *(__be32 *)(data + 30), *(__be16 *)(data + 36), *(__u8 *)(data + 23) };
	service = bpf_map_lookup_elem(&reference_services, &key);
	if (!service)
		return XDP_PASS;
	slot = *(__u16 *)(data + 34);
	owner = bpf_map_lookup_elem(&reference_slots, &slot);
	return owner && *owner ? XDP_TX : XDP_DROP;
}

/* Last step of the live generator: out of an interface. */
SEC("xdp")
int redirect(struct xdp_md *frame)
{
	__u32 zero = 0;
	struct plan *plan = bpf_map_lookup_elem(&plans, &zero);

	return plan ? (int)bpf_redirect(plan->ifindex, 0) : XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";
