// A web server that makes every lost or changed byte visible: `node checksum-server.ts [bytes [port]]` listens on port 80. GET answers so many
// bytes of a fixed sequence, with their SHA-256 in X-Sha256 (/slow at 60 kB a second); PUT answers the SHA-256 of what it was sent.
import { createHash } from "node:crypto";
import { createServer, type ServerResponse, type IncomingMessage } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

/** Together 60 kB a second. */
const CHUNK = 6000;
const CHUNK_EVERY_MS = 100;

const [, , size = "1500000", port = "80"] = process.argv;

/** SHA-256 of 0, of 1, of 2 …: no part of it is like another. */
function sequence(bytes: number): Buffer {
  const blocks: Buffer[] = [];
  for (let block = 0; block * 32 < bytes; block++) {
    blocks.push(createHash("sha256").update(String(block)).digest());
  }
  return Buffer.concat(blocks).subarray(0, bytes);
}

const body = sequence(Number(size));
const digest = createHash("sha256").update(body).digest("hex");

function answer(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === "PUT") {
    const hash = createHash("sha256");
    request.on("data", (chunk: Buffer) => hash.update(chunk));
    request.on("end", () => response.end(hash.digest("hex")));
    return;
  }
  response.writeHead(200, { "X-Sha256": digest, "Content-Length": body.byteLength });
  if (request.url === "/slow") void trickle(response);
  else response.end(body);
}

/** A client that reads slowly would not do: buffers of the two kernels take more than the body. */
async function trickle(response: ServerResponse): Promise<void> {
  for (let sent = 0; sent < body.byteLength && !response.destroyed; sent += CHUNK) {
    response.write(body.subarray(sent, sent + CHUNK));
    await pause(CHUNK_EVERY_MS);
  }
  response.end();
}

createServer(answer).listen(Number(port));
