// A transfer between two members, checked at its end: `listen PORT` takes one connection after another and answers each with the
// SHA-256 of what came; `send BYTES PORT ADDRESS` sends that many bytes and prints the digest of what it sent and of what came.
import { createHash } from "node:crypto";
import { connect, createServer } from "node:net";
import { once } from "node:events";

const CHUNK = 1 << 20;

function listen(port: number): void {
  createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash("sha256");
    socket.on("data", (bytes) => hash.update(bytes));
    socket.on("end", () => socket.end(hash.digest("hex")));
    socket.on("error", () => socket.destroy());
  }).listen(port, "::");
}

async function send(bytes: number, port: number, host: string): Promise<void> {
  const socket = connect({ host, port });
  const [hash, answer] = [createHash("sha256"), [] as Buffer[]];
  socket.on("data", (part) => answer.push(part));
  const chunk = Buffer.alloc(CHUNK);
  for (let at = 0; at < chunk.length; at += 4) chunk.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  for (let left = bytes; left > 0; left -= CHUNK) {
    chunk.writeUInt32LE(left >>> 0, 0);
    const part = Buffer.from(chunk.subarray(0, Math.min(left, CHUNK)));
    hash.update(part);
    if (!socket.write(part)) await once(socket, "drain");
  }
  socket.end();
  await once(socket, "close");
  console.log(JSON.stringify({ sent: hash.digest("hex"), came: Buffer.concat(answer).toString() }));
}

const [role, ...rest] = process.argv.slice(2);
if (role === "listen") listen(Number(rest[0]));
else await send(Number(rest[0]), Number(rest[1]), rest[2] ?? "");
