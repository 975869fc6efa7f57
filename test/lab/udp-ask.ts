// A UDP client of a lab host: `node udp-ask.ts COUNT TEXT BYTES PORT ADDRESS`. Sends datagrams, each from a port of its own, and
// prints who answered how many as JSON. An answer from another address than the asked one, or a changed one, is an error.
import { createSocket } from "node:dgram";
import { once } from "node:events";

const [count = "1", text = "", bytes = "0", port = "", address = ""] = process.argv.slice(2);
const LIMIT_MS = 10_000;
const datagram = Buffer.alloc(Math.max(Number(bytes), text.length), "x");
datagram.write(text);

async function ask(): Promise<string> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  try {
    socket.send(datagram, Number(port), address);
    const signal = AbortSignal.timeout(LIMIT_MS);
    const [answer, from] = (await once(socket, "message", { signal })) as [
      Buffer,
      { address: string },
    ];
    if (from.address !== address) throw new Error(`the answer came from ${from.address}`);
    const name = answer.subarray(0, answer.indexOf(" ")).toString();
    if (!answer.subarray(name.length + 1).equals(datagram)) throw new Error("not our datagram");
    return name;
  } finally {
    socket.close();
  }
}

const names = await Promise.all(Array.from({ length: Number(count) }, ask));
const counts: Record<string, number> = {};
for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
console.log(JSON.stringify(counts));
