/* The lab's packet loss (src/lab/loss.ts): drops frames at random, each by itself. Attached to both
 * directions of a switch port. The share is written into the object file in place of the marker,
 * so that tc(8) can load it without a map that somebody would have to pin. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

/* Frames whose random number is below this are dropped: share * 2^32. */
const volatile __u32 loss_threshold = 0x5a17c0de;

SEC("tc")
int loss(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_get_prandom_u32() < loss_threshold ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
