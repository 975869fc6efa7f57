// What the simulated segment does to datagrams.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { EventQueue } from "#base/event-queue.ts";
import { Prng } from "#base/prng.ts";
import { Network } from "./network.ts";
import { Packet } from "./packet.ts";

interface Arrival {
  readonly to: number;
  readonly packet: Packet;
}

function segment(): { network: Network; arrivals: () => Arrival[] } {
  const queue = new EventQueue();
  const arrived: Arrival[] = [];
  const network = new Network(3, new Prng(1), queue, (to, packet) => arrived.push({ to, packet }));
  const arrivals = (): Arrival[] => {
    for (let event = queue.take(); event !== undefined; event = queue.take()) event.run();
    return arrived.splice(0);
  };
  return { network, arrivals };
}

const packet = (): Packet => new Packet(ip("10.0.0.1"), Uint8Array.of(1, 2, 3, 4));
const receivers = (arrivals: readonly Arrival[]): number[] =>
  arrivals.map(({ to }) => to).sort((a, b) => a - b);

test("sim: a broadcast reaches the others, a partition keeps it on its side, and healing ends that", () => {
  const { network, arrivals } = segment();
  network.broadcast(0, 1, packet());
  assert.deepEqual(receivers(arrivals()), [2, 3]);
  network.partition([[1, 2], [3]]);
  network.broadcast(0, 1, packet());
  assert.deepEqual(receivers(arrivals()), [2]);
  assert.ok(!network.isWhole && network.connects(1, 2) && !network.connects(1, 3));
  network.heal();
  assert.ok(network.isWhole);
});

test("sim: a link can be cut one way", () => {
  const { network, arrivals } = segment();
  network.cut(1, 2, true);
  network.send(0, 1, 2, packet());
  network.send(0, 2, 1, packet());
  assert.deepEqual(receivers(arrivals()), [1]);
});

test("sim: what is on its way when the link is cut does not arrive", () => {
  const { network, arrivals } = segment();
  network.send(0, 1, 2, packet());
  network.cut(1, 2, true);
  assert.deepEqual(arrivals(), []);
});

test("sim: loss, duplicates and damage come as often as they are meant to, and damage is another datagram", () => {
  const { network, arrivals } = segment();
  Object.assign(network.weather, { loss: 0.3, duplicates: 0.1, corruption: 0.05 });
  const sent = packet();
  for (let count = 0; count < 10_000; count++) network.send(0, 1, 2, sent);
  const got = arrivals();
  assert.ok(Math.abs(got.length - 7700) < 300, `${got.length} of 10 000`);
  const damaged = got.filter((arrival) => arrival.packet.hostile === "corrupted");
  assert.ok(Math.abs(damaged.length - 350) < 100, `${damaged.length} damaged`);
  assert.deepEqual(sent.bytes, Uint8Array.of(1, 2, 3, 4));
});
