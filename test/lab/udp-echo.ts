// A UDP server of a lab host: `node udp-echo.ts NAME PORT ADDRESS…`. Answers each datagram with its name and the datagram; one that
// begins with "twice" is answered a second time later, when nobody may be listening any more.
import { createSocket } from "node:dgram";

const [name = "", port = "", ...addresses] = process.argv.slice(2);
const SECOND_ANSWER_MS = 300;

for (const address of addresses) {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (datagram, from) => {
    const answer = Buffer.concat([Buffer.from(`${name} `), datagram]);
    const send = (): void => socket.send(answer, from.port, from.address);
    send();
    if (datagram.subarray(0, 5).toString() === "twice") setTimeout(send, SECOND_ANSWER_MS);
  });
  // a connection refused by a client that has gone is no reason to end
  socket.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "ECONNREFUSED") throw error;
  });
  socket.bind(Number(port), address);
}
