/*
 * Layout of the maps that the session program (session.bpf.c) shares with whoever serves sessions: the single source.
 * src/driver/bpf/session.gen.ts is generated from the compiled object's type information, never typed.
 */
#ifndef PANOPLY_SESSION_H
#define PANOPLY_SESSION_H

#include <linux/types.h>

#include "abi.h"

enum session_abi {
	SESSION_CLAMP = 1, /* nothing beyond `committed` is acknowledged to the peer */
	SESSION_GUARD = 2, /* no FIN and no RST leaves: a process that dies does not end its connections */
	SESSION_SHIELD = 4, /* the peer's segments are kept from the stack, and told */
	SESSION_MUTE = 8, /* nothing leaves: another member speaks */
	SESSION_EVENT_OPENED = 1, /* a SYN-ACK leaves */
	SESSION_EVENT_HEARD = 2, /* a segment of the peer, of a shielded connection */
	SESSION_TIMESTAMPS = 1, /* agreed options */
	SESSION_SACK = 2,
	SESSION_SCALING = 4,
	SESSION_FIN = 1, /* as in the segment */
	SESSION_SYN = 2,
	SESSION_RST = 4,
	SESSION_MAX_KEPT = 8192, /* longest IP packet that comes with its event */
};

/* IPv4 as ::ffff:a.b.c.d; ports in network order. */
struct session_key {
	struct address local;
	struct address peer;
	__be16 port;
	__be16 peer_port;
	__u32 reserved;
};

/* Map session_listeners: what is protected, from its SYN-ACK on. */
struct session_listener {
	struct address local;
	__be16 port;
	__u16 reserved[3];
};

/* Map session_controls. Made by the program at the SYN-ACK, afterwards written only by userland. */
struct session_control {
	__u32 flags; /* SESSION_CLAMP … */
	__u32 committed; /* the sequence number of the peer that may be acknowledged */
};

/* Map session_wires: written only by the program. */
struct session_wire {
	__u32 last_ack; /* as it left */
	__u32 last_window; /* likewise, not scaled */
	__u32 last_sequence_end; /* likewise */
	__u32 last_timestamp; /* likewise; 0: none */
	__u32 last_echo;
	__u32 reserved;
	__u64 clamped; /* segments whose acknowledgement was lowered */
	__u64 held; /* segments that said nothing else */
	__u64 guarded;
	__u64 shielded;
	__u64 silenced; /* segments that did not leave: another member speaks, or this one's lease has ended */
};

/*
 * Ring buffer session_events. Numbers in host order. Behind one that was heard is the IP packet as it came, if it brought anything
 * (bytes or a FIN) and is not too long: `kept` bytes.
 */
struct session_event {
	struct session_key key;
	__u64 at_ns; /* CLOCK_MONOTONIC */
	__u32 type; /* SESSION_EVENT_… */
	__u32 sequence; /* opened: the first of our bytes; heard: the segment's */
	__u32 acknowledgement; /* opened: the first of the peer's bytes; heard: the segment's */
	__u32 timestamp; /* opened: ours now; heard: the peer's */
	__u32 echo;
	__u32 payload; /* bytes */
	__u16 window; /* not scaled */
	__u16 mss; /* opened: what the peer announced */
	__u8 segment; /* SESSION_FIN … */
	__u8 options; /* opened: SESSION_TIMESTAMPS …; heard: SESSION_TIMESTAMPS when it has them */
	__u8 send_scale; /* opened */
	__u8 receive_scale; /* opened */
	__u32 kept;
	__u32 reserved;
};

/* Set before loading, constant afterwards. */
struct session_config {
	enum session_abi reserved; /* not read; makes the enum part of the object's type information */
	__u32 leased; /* sessions speak only under the lease in the packet program's state (docs/adr/0029) */
	struct session_event reserved_event; /* likewise not read */
};

#endif
