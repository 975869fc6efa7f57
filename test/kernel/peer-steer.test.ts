// The packet program on an interface that has the cluster MAC (docs/adr/0013): what is for one of the node's own addresses is for
// the node, also without a lease and whoever sent it; what is for another member's is not. Program and model agree.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, ipBytes, mac, macBytes } from "#base/address.ts";
import { FragmentMemory } from "#core/steering/fragments.ts";
import { indexTables } from "#core/steering/indexed-tables.ts";
import { steer } from "#core/steering/pipeline.ts";
import { ethernet, ipv4, ipv6, udp } from "#core/steering/testing/frames.ts";
import {
  CLIENT4,
  CLIENT6,
  owned,
  OWN4,
  ROUTER_MAC,
  SELF,
  SHARED,
  VIP4,
} from "#core/steering/testing/vector.ts";
import { hex } from "#wire/testing/hex.ts";
import { SteerProgram } from "./steer-program.ts";

const OWN6 = "fd77::1";
const OTHER4 = "10.0.0.2";

/** As key of the program's map. */
function key(text: string): Uint8Array {
  const bytes = ipBytes(ip(text));
  if (bytes.byteLength === 16) return bytes;
  return Uint8Array.of(...new Uint8Array(10), 0xff, 0xff, ...bytes);
}

const UDP = 17;
const PORTS = { from: 40_000, to: 7777 };
const udp4 = (to: string, destination: string): Uint8Array =>
  ethernet(
    { to, from: ROUTER_MAC },
    0x0800,
    ipv4({ source: CLIENT4, destination }, UDP, udp(PORTS)),
  );
const udp6 = (to: string, destination: string): Uint8Array =>
  ethernet(
    { to, from: ROUTER_MAC },
    0x86dd,
    ipv6({ source: CLIENT6, destination }, UDP, udp(PORTS)),
  );

for (const hook of ["xdp", "tc"] as const) {
  test(`C8: with ${hook}, a frame to the cluster MAC for an own address passes, for another's not`, () => {
    const tables = owned(1);
    const own = [OWN4, OWN6].map((text) => hex(ipBytes(ip(text))));
    const program = new SteerProgram(hook, SELF.id, mac(SELF.mac), { peering: true });
    try {
      program.own([OWN4, OWN6].map(key));
      program.prepare(tables, { leased: false, accepting: false });
      const frames = [
        [udp4(SHARED.unicast, OWN4), "pass-no-service"],
        [udp6(SHARED.unicast, OWN6), "pass-no-service"],
        [udp4(SHARED.unicast, OTHER4), "drop-not-ours"],
        [udp4(SELF.mac, OWN4), "pass-no-service"],
        [udp4("02:00:00:00:00:77", OWN4), "pass-other-mac"],
        [udp4(SHARED.unicast, VIP4), undefined],
      ] as const;
      for (const [frame, reason] of frames) {
        const outcome = program.run(frame);
        const verdict = steer(frame.slice(), {
          tables: indexTables(tables),
          self: SELF.id,
          mac: macBytes(mac(SELF.mac)),
          leased: false,
          accepting: false,
          isOwn: (address) => own.includes(hex(address)),
          knows: () => false,
          noteSession: () => {},
          fragments: new FragmentMemory(16),
          canHold: () => true,
        });
        assert.equal(outcome.reason, verdict.reason, hex(frame));
        assert.equal(outcome.action, verdict.action, hex(frame));
        if (reason !== undefined) assert.equal(outcome.reason, reason, hex(frame));
      }
    } finally {
      program.close();
    }
  });
}
