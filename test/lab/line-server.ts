// A backend for the relay: `node line-server.ts PORT` answers each line with itself, in order; one that begins with "slow" after a second
// and a half. What it is asked, it prints.
import net from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

const SLOW_MS = 1500;

async function serve(socket: net.Socket): Promise<void> {
  for await (const line of createInterface({ input: socket })) {
    process.stdout.write(`asked ${line}\n`);
    if (line.startsWith("slow")) await pause(SLOW_MS);
    if (socket.writable) socket.write(`${line}\n`);
  }
  socket.end();
}

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  // a relay that died, or dropped the connection, is nothing to report
  socket.on("error", () => {});
  serve(socket).catch(() => {});
});
server.listen(Number(process.argv[2]));
