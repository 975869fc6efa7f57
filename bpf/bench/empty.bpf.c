/* A tc program that does nothing: what the cost of others is compared with. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int empty(struct __sk_buff *frame)
{
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
