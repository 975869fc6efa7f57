/* Benchmark generator: see below. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int pass(struct xdp_md *f) { return XDP_PASS; }
char _license[] SEC("license") = "GPL";
