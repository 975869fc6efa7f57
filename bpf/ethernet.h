/* Numbers and messages of the link layer that more than one program reads: Ethernet, ARP (RFC 826), the link-layer address
 * options of Neighbor Discovery (RFC 4861). */
#ifndef PANOPLY_ETHERNET_H
#define PANOPLY_ETHERNET_H

#include <linux/types.h>

enum {
	ETHERNET_LENGTH = 14,
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_IPV6 = 0x86dd,
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_ICMPV6 = 58,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
	ARP_SENDER_MAC = ETHERNET_LENGTH + 8,
	ARP_SENDER = ETHERNET_LENGTH + 14,
	ARP_TARGET_MAC = ETHERNET_LENGTH + 18,
	ICMPV6_CHECKSUM = ETHERNET_LENGTH + 42, /* behind an IPv6 header without extensions, as the next one */
	NEIGHBOR_OPTION = ETHERNET_LENGTH + 64,
	NEIGHBOR_SOLICITATION = 135,
	NEIGHBOR_ADVERTISEMENT = 136,
};

struct arp_packet {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender[4];
	__u8 target_mac[6];
	__u8 target[4];
};

/* A link-layer address option (RFC 4861 section 4.6.1). */
struct option {
	__u8 type;
	__u8 length; /* in units of 8 bytes */
	__u8 mac[6];
};

#endif
