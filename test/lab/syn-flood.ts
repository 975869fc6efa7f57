// A flood of SYNs from a lab host: `node syn-flood.ts COUNT INTERFACE MAC ADDRESS PORT`. Each has a source address and port of its own
// (10.128.0.0/9), so that nothing on the way can be remembered of them. Prints how many the interface took.
import { ip, ipBytes, mac, macBytes } from "#base/address.ts";
import { netdev } from "#driver/bpf/netdev.ts";
import { PacketSocket } from "#driver/host/packet-socket.ts";
import { ethernet, ipv4, SYN, tcp } from "#core/steering/testing/frames.ts";

const [count = "1", device = "eth0", to = "", address = "", port = "80"] = process.argv.slice(2);
const SOURCE = 26;
const SOURCE_PORT = 34;
const CHECKSUM = 24;
const PAUSE_EVERY = 2000;

const packet = ipv4(
  { source: "10.128.0.0", destination: address },
  6,
  tcp({ from: 1, to: Number(port) }, SYN),
);
const frame = ethernet({ to: mac(to), from: "02:aa:00:00:00:fd" }, 0x0800, packet);
const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
assertAddress(ipBytes(ip(address)), macBytes(mac(to)));

function assertAddress(vip: Uint8Array, destination: Uint8Array): void {
  if (vip.byteLength !== 4 || destination.byteLength !== 6) throw new Error("IPv4 is flooded");
}

/** Of the IPv4 header, whose own field counts as 0. */
function checksum(): number {
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += at === CHECKSUM ? 0 : view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const socket = PacketSocket.open(netdev(device).ifindex);
let sent = 0;
for (let index = 0; index < Number(count); index++) {
  view.setUint32(SOURCE, 0x0a80_0000 + (index & 0x7f_ffff));
  view.setUint16(SOURCE_PORT, 1024 + (index % 60_000));
  view.setUint16(CHECKSUM, checksum());
  if (socket.send(frame) === undefined) sent += 1;
  // the machine has other things to do
  if (index % PAUSE_EVERY === 0) await new Promise((resolve) => setImmediate(resolve));
}
socket.close();
console.log(sent);
