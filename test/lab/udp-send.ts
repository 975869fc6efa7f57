// Sends what it reads: `node udp-send.ts PORT ADDRESS`, one datagram in hex per line of standard input.
import { createSocket } from "node:dgram";
import { text } from "node:stream/consumers";

const [port = "", address = ""] = process.argv.slice(2);
const socket = createSocket("udp4");
const lines = (await text(process.stdin)).trim().split("\n");
for (const line of lines) {
  await new Promise<void>((resolve, reject) => {
    socket.send(Buffer.from(line, "hex"), Number(port), address, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}
socket.close();
