// A server of a lab host that speaks datagrams of QUIC's shapes, without its cryptography: `node quic-server.ts NAME ID PORT ADDRESS…`.
// An Initial opens a connection: it is answered by an Initial whose source connection id has the node's id in bytes 1 and 2. Packets of a
// connection are answered with a short header and "NAME KIND"; those of a connection that it does not have, "NAME unknown".
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";

const [name = "", id = "", port = "", ...addresses] = process.argv.slice(2);
const ID_LENGTH = 8;
const TYPES = ["initial", "0-rtt", "handshake", "retry"] as const;
const VERSION = Buffer.from("00000001", "hex");

const connections = new Set<string>();

function newConnectionId(): Buffer {
  const made = randomBytes(ID_LENGTH);
  made.writeUInt16BE(Number(id), 1);
  connections.add(made.toString("hex"));
  return made;
}

const answerTo = (connection: Buffer, kind: string): Buffer =>
  Buffer.from(`@${name} ${connections.has(connection.toString("hex")) ? kind : "unknown"}`);

function answer(datagram: Buffer): Buffer {
  const [flags = 0] = datagram;
  if ((flags & 0x80) === 0) return answerTo(datagram.subarray(1, 1 + ID_LENGTH), "short");
  const kind = TYPES[(flags >> 4) & 3] ?? "";
  const length = datagram[5] ?? 0;
  if (kind !== "initial") return answerTo(datagram.subarray(6, 6 + length), kind);
  const made = newConnectionId();
  // the client's own connection id is empty
  return Buffer.concat([Buffer.of(0xc0), VERSION, Buffer.of(0, ID_LENGTH), made]);
}

for (const address of addresses) {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (datagram, from) => socket.send(answer(datagram), from.port, from.address));
  // a client that has gone is no reason to end
  socket.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "ECONNREFUSED") throw error;
  });
  socket.bind(Number(port), address);
}
