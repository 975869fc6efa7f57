/* For tests: a VLAN tag that lies beside the frame, as an interface of a VLAN gives it to the one below; then the program in
 * `next`. Whoever only runs programs over frames has no other way to such a frame. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum { VLAN = 10 };

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

SEC("tc")
int tag(struct __sk_buff *frame)
{
	if (!bpf_skb_vlan_push(frame, bpf_htons(ETH_P_8021Q), VLAN))
		bpf_tail_call(frame, &next, 0);
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
