/*
 * Stage classify: which flow does a packet belong to? An ICMP error belongs to the flow that it quotes, turned round,
 * so that path MTU discovery reaches the server that sent the packet.
 */
#ifndef PANOPLY_CLASSIFY_H
#define PANOPLY_CLASSIFY_H

#include "discriminator.h"

enum { FIRST_ND = 133, LAST_ND = 137 };

static __always_inline int is_icmp_error(__u8 family, __u8 type)
{
	if (family == 6)
		return type >= 1 && type <= 4;
	return type == 3 || type == 11 || type == 12;
}

/* Neighbor Discovery is about the link that it comes from. */
static __always_inline int is_of_link(__u8 family, __u8 type)
{
	return family == 6 && type >= FIRST_ND && type <= LAST_ND;
}

static __noinline int classify_quote(frame_t *frame, struct desk *desk)
{
	const struct packet *packet = &desk->packet;
	struct packet *quote = &desk->quote;
	struct flow *flow = &desk->flow;
	struct ports ports = {};

	quote->family = packet->family;
	quote->header = packet->transport + 8;
	quote->end = packet->end;
	if (!parse_quote(frame, quote) || !same_address(&quote->source, &packet->destination))
		return 0;
	if (has_ports(quote->protocol) && read_bytes(frame, quote->transport, &ports, sizeof(ports)))
		return 0;
	flow->source = quote->destination;
	flow->destination = quote->source;
	flow->source_port = ports.destination;
	flow->destination_port = ports.source;
	flow->discriminator = quoted_discriminator(frame, quote, ports);
	flow->protocol = quote->protocol;
	flow->quoted = 1;
	return 1;
}

/* Answers 0 for what is no flow. A later fragment does not get here. */
static __always_inline int classify(frame_t *frame, struct desk *desk)
{
	const struct packet *packet = &desk->packet;
	struct flow *flow = &desk->flow;
	struct ports ports = {};
	__u8 flags = 0, type;

	flow->family = packet->family;
	if (packet->protocol == (packet->family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6)) {
		if (read_bytes(frame, packet->transport, &type, sizeof(type)))
			return 0;
		if (is_icmp_error(packet->family, type))
			return classify_quote(frame, desk);
		if (is_of_link(packet->family, type))
			return 0;
	}
	if (has_ports(packet->protocol) && read_bytes(frame, packet->transport, &ports, sizeof(ports)))
		return 0;
	if (packet->protocol == PROTOCOL_TCP &&
	    read_bytes(frame, packet->transport + 13, &flags, sizeof(flags)))
		return 0;
	flow->source = packet->source;
	flow->destination = packet->destination;
	flow->source_port = ports.source;
	flow->destination_port = ports.destination;
	flow->discriminator = discriminator(frame, packet, ports);
	flow->protocol = packet->protocol;
	flow->opening = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	return 1;
}

#endif
