// Says its host's name to everybody who connects, then echoes: `node failover-echo-server.ts HOST PORT`.
import { createServer } from "node:net";

const [host = "", port = "9000"] = process.argv.slice(2);
const BACKLOG = 1024;

const server = createServer({ noDelay: true }, (socket) => {
  socket.write(`${host}\n`);
  socket.pipe(socket);
  socket.on("error", () => socket.destroy());
});
server.listen({ port: Number(port), host: "::", backlog: BACKLOG });
