// A UDP client of a lab host whose sessions last: `node udp-sessions.ts COUNT PORT ADDRESS`. Opens COUNT sockets; for each line on its
// standard input every socket asks once, and a JSON list of who answered which one is printed. Ends with its input.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createInterface } from "node:readline";

const [count = "1", port = "", address = ""] = process.argv.slice(2);
const LIMIT_MS = 10_000;
const sockets = Array.from({ length: Number(count) }, () =>
  createSocket(address.includes(":") ? "udp6" : "udp4"),
);

async function ask(socket: Socket): Promise<string> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const answered = once(socket, "message", { signal }) as Promise<[Buffer]>;
  socket.send("hello", Number(port), address);
  const [answer] = await answered;
  return answer.subarray(0, answer.indexOf(" ")).toString();
}

for await (const word of createInterface(process.stdin)) {
  if (word === "ask") console.log(JSON.stringify(await Promise.all(sockets.map(ask))));
}
for (const socket of sockets) socket.close();
