// Says lines to the same program with and without protection, in turn, and prints how long each answer took, in milliseconds, as JSON.
// Runs in the client's namespace: `node round-trips.ts ADDRESS COUNT`. Several connections of each kind, so that every member serves some.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { monotonicMs } from "../failover-attempts.ts";
import { PORTS } from "./ports.ts";

export interface RoundTrips {
  readonly protectedMs: readonly number[];
  readonly plainMs: readonly number[];
}

const WARM_UP = 200;
const PAIRS = 12;

const [host = "", count = "0"] = process.argv.slice(2);

async function open(port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, "connect");
  return socket;
}

async function roundTrip(socket: Socket): Promise<number> {
  const before = monotonicMs();
  socket.write("a line as somebody types it\n");
  await once(socket, "data");
  return monotonicMs() - before;
}

const pairs: (readonly [Socket, Socket])[] = [];
for (let pair = 0; pair < PAIRS; pair++) {
  pairs.push([await open(PORTS.lines), await open(PORTS.plainLines)]);
}
const seen = { protectedMs: [] as number[], plainMs: [] as number[] };
for (let round = -WARM_UP; round < Number(count); round += PAIRS) {
  for (const [guarded, plain] of pairs) {
    const [protectedMs, plainMs] = [await roundTrip(guarded), await roundTrip(plain)];
    if (round < 0) continue;
    seen.protectedMs.push(protectedMs);
    seen.plainMs.push(plainMs);
  }
}
console.log(JSON.stringify(seen satisfies RoundTrips));
process.exit(0);
