// Counts the filters on an interface's clsact qdisc by rtnetlink, because libbpf can only ask for one it knows. The
// qdisc may be removed only when nobody uses it.
import { check, libc, O_CLOEXEC } from "../libc.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const RTM_GETTFILTER = 46;
const RTM_NEWTFILTER = 44;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST_DUMP = 0x301;
const CLSACT_INGRESS = 0xffff_fff2;
const CLSACT_EGRESS = 0xffff_fff3;
const REQUEST_SIZE = 36;

function dumpRequest(ifindex: number, parent: number): Buffer {
  const message = Buffer.alloc(REQUEST_SIZE);
  message.writeUInt32LE(REQUEST_SIZE, 0);
  message.writeUInt16LE(RTM_GETTFILTER, 4);
  message.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  message.writeInt32LE(ifindex, 20);
  message.writeUInt32LE(parent, 28);
  return message;
}

/** Counts the filters in one datagram; `done` when it was the last. */
function countIn(datagram: Buffer): { readonly filters: number; readonly done: boolean } {
  let filters = 0;
  for (let at = 0; at + 16 <= datagram.byteLength;) {
    const length = datagram.readUInt32LE(at);
    const type = datagram.readUInt16LE(at + 4);
    if (type === NLMSG_DONE || type === NLMSG_ERROR || length < 16) return { filters, done: true };
    if (type === RTM_NEWTFILTER) filters++;
    at += (length + 3) & ~3;
  }
  return { filters, done: false };
}

function countAt(fd: number, ifindex: number, parent: number): number {
  const request = dumpRequest(ifindex, parent);
  check(libc.send(fd, request, request.byteLength, 0), "ask for tc filters");
  const buffer = Buffer.alloc(65_536);
  for (let filters = 0; ;) {
    const length = check(libc.recv(fd, buffer, buffer.byteLength, 0), "read tc filters");
    const counted = countIn(buffer.subarray(0, length));
    filters += counted.filters;
    if (counted.done) return filters;
  }
}

/** Filters on clsact ingress and egress of an interface. */
export function filterCount(ifindex: number): number {
  const fd = check(libc.socket(AF_NETLINK, SOCK_RAW | O_CLOEXEC, 0), "open a netlink socket");
  try {
    return countAt(fd, ifindex, CLSACT_INGRESS) + countAt(fd, ifindex, CLSACT_EGRESS);
  } finally {
    libc.close(fd);
  }
}
