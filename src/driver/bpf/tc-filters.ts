// What libbpf cannot say of an interface's qdisc, by rtnetlink: how many filters clsact has, for it may be removed only when nobody
// uses it; and whether it is clsact at all.
import { check, libc, O_CLOEXEC } from "../libc.ts";
import { AF_NETLINK, SOCK_RAW } from "../sockets.ts";

const RTM_NEWQDISC = 36;
const RTM_GETQDISC = 38;
const RTM_GETTFILTER = 46;
const RTM_NEWTFILTER = 44;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST_DUMP = 0x301;
const NLMSG_HEADER = 16;
const TCMSG_SIZE = 20;
const TCA_KIND = 1;
const TC_H_INGRESS = 0xffff_fff1; // parent of both kinds: ingress and clsact
const CLSACT_INGRESS = 0xffff_fff2;
const CLSACT_EGRESS = 0xffff_fff3;
const REQUEST_SIZE = 36;

function dumpRequest(type: number, ifindex: number, parent: number): Buffer {
  const message = Buffer.alloc(REQUEST_SIZE);
  message.writeUInt32LE(REQUEST_SIZE, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  message.writeInt32LE(ifindex, 20);
  message.writeUInt32LE(parent, 28);
  return message;
}

/** The messages in one datagram, up to the one that says that it was the last. */
function messagesIn(datagram: Buffer): { readonly messages: Buffer[]; readonly done: boolean } {
  const messages: Buffer[] = [];
  for (let at = 0; at + NLMSG_HEADER <= datagram.byteLength;) {
    const length = datagram.readUInt32LE(at);
    const type = datagram.readUInt16LE(at + 4);
    const isLast = type === NLMSG_DONE || type === NLMSG_ERROR || length < NLMSG_HEADER;
    if (isLast) return { messages, done: true };
    messages.push(datagram.subarray(at, at + length));
    at += (length + 3) & ~3;
  }
  return { messages, done: false };
}

/** All messages with which the kernel answers. */
function dump(type: number, ifindex: number, parent: number): Buffer[] {
  const fd = check(libc.socket(AF_NETLINK, SOCK_RAW | O_CLOEXEC, 0), "open a netlink socket");
  try {
    const request = dumpRequest(type, ifindex, parent);
    check(libc.send(fd, request, request.byteLength, 0), "ask about tc");
    const all: Buffer[] = [];
    for (;;) {
      const buffer = Buffer.alloc(65_536);
      const length = check(libc.recv(fd, buffer, buffer.byteLength, 0), "read about tc");
      const { messages, done } = messagesIn(buffer.subarray(0, length));
      all.push(...messages);
      if (done) return all;
    }
  } finally {
    libc.close(fd);
  }
}

const filtersAt = (ifindex: number, parent: number): number =>
  dump(RTM_GETTFILTER, ifindex, parent).filter(
    (message) => message.readUInt16LE(4) === RTM_NEWTFILTER,
  ).length;

/** Filters on clsact ingress and egress of an interface. */
export const filterCount = (ifindex: number): number =>
  filtersAt(ifindex, CLSACT_INGRESS) + filtersAt(ifindex, CLSACT_EGRESS);

/** The kind of the qdisc for packets that come in: clsact, or ingress, which has no place for those that leave; undefined: none. */
export function ingressQdisc(ifindex: number): string | undefined {
  for (const message of dump(RTM_GETQDISC, ifindex, 0)) {
    if (message.readUInt16LE(4) !== RTM_NEWQDISC) continue;
    const isOurs = message.readInt32LE(NLMSG_HEADER + 4) === ifindex;
    if (isOurs && message.readUInt32LE(NLMSG_HEADER + 12) === TC_H_INGRESS) return kindOf(message);
  }
  return undefined;
}

function kindOf(message: Buffer): string | undefined {
  for (let at = NLMSG_HEADER + TCMSG_SIZE; at + 4 <= message.byteLength;) {
    const length = message.readUInt16LE(at);
    if (length < 4) return undefined;
    if (message.readUInt16LE(at + 2) === TCA_KIND) {
      return message.toString("latin1", at + 4, at + length).replace(/\0.*$/s, "");
    }
    at += (length + 3) & ~3;
  }
  return undefined;
}
