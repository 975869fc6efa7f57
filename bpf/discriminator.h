/*
 * What tells the flows of one client apart: 32 bits from behind the IP header, as they lie in memory. The list, and why an
 * ICMP error's quotation has less to say, are in src/core/steering/discriminator.ts.
 */
#ifndef PANOPLY_DISCRIMINATOR_H
#define PANOPLY_DISCRIMINATOR_H

#include "parse.h"

enum {
	PROTOCOL_GRE = 47,
	PROTOCOL_ESP = 50,
	PROTOCOL_AH = 51,
	L2TP_PORT = 1701,
	AH_SPI = 4,
	GRE_HAS_CHECKSUM = 0xc0,
	GRE_HAS_KEY = 0x20,
	GRE_VERSION = 0x07,
	PPTP_CALL_ID = 6,
	L2TP_HEADER = 8, /* behind UDP's */
	L2TP_HAS_LENGTH = 0x40,
	L2TP_VERSION = 0x0f,
};

struct ports {
	__be16 source;
	__be16 destination;
};

static __always_inline int has_ports(__u8 protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP;
}

/* `length` bytes at an offset from the transport header; 0 where they lie behind the packet's end. */
static __always_inline __u32 read_behind(frame_t *frame, const struct packet *packet, __u32 offset, __u32 length)
{
	__u32 value = 0;

	if (packet->transport + offset + length > packet->end ||
	    read_bytes(frame, packet->transport + offset, &value, length))
		return 0;
	return value;
}

static __always_inline __u32 gre_discriminator(frame_t *frame, const struct packet *packet, int quoted)
{
	__u8 header[4];

	if (packet->transport + sizeof(header) > packet->end ||
	    read_bytes(frame, packet->transport, header, sizeof(header)))
		return 0;
	switch (header[1] & GRE_VERSION) {
	case 0:
		if (!(header[0] & GRE_HAS_KEY))
			return 0;
		return read_behind(frame, packet, header[0] & GRE_HAS_CHECKSUM ? 8 : 4, 4);
	case 1:
		return quoted ? 0 : read_behind(frame, packet, PPTP_CALL_ID, 2);
	}
	return 0;
}

static __always_inline __u32 udp_discriminator(frame_t *frame, const struct packet *packet, struct ports ports)
{
	__u32 at = packet->transport + L2TP_HEADER, ids;
	__u8 header[2];

	if (ports.destination != bpf_htons(L2TP_PORT) || at + sizeof(header) > packet->end ||
	    read_bytes(frame, at, header, sizeof(header)))
		return ports.source;
	ids = header[0] & L2TP_HAS_LENGTH ? 4 : 2;
	if ((header[1] & L2TP_VERSION) != 2 || at + ids + 4 > packet->end)
		return ports.source;
	return read_behind(frame, packet, L2TP_HEADER + ids, 4);
}

static __always_inline __u32 discriminator(frame_t *frame, const struct packet *packet, struct ports ports)
{
	switch (packet->protocol) {
	case PROTOCOL_TCP:
		return ports.source;
	case PROTOCOL_UDP:
		return udp_discriminator(frame, packet, ports);
	case PROTOCOL_ESP:
		return read_behind(frame, packet, 0, 4);
	case PROTOCOL_AH:
		return read_behind(frame, packet, AH_SPI, 4);
	case PROTOCOL_GRE:
		return gre_discriminator(frame, packet, 0);
	}
	return 0;
}

/* Of the flow that an ICMP error quotes: the packet is what the server sent. */
static __always_inline __u32 quoted_discriminator(frame_t *frame, const struct packet *quote, struct ports ports)
{
	if (quote->protocol == PROTOCOL_GRE)
		return gre_discriminator(frame, quote, 1);
	if (quote->protocol == PROTOCOL_UDP && ports.source == bpf_htons(L2TP_PORT))
		return 0;
	return ports.destination;
}

#endif
