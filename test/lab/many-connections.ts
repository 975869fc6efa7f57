// A TCP client of a lab host: `node many-connections.ts COUNT PORT ADDRESS…`. Opens COUNT connections to servers that greet with
// their name, many at a time and by turns to each address, says a word on each, waits for its echo and closes it. Prints, as
// JSON, how many each server has served, and what went wrong.
import { connect } from "node:net";

const [count = "1", port = "9000", ...addresses] = process.argv.slice(2);
const AT_ONCE = 100;
const LIMIT_MS = 20_000;
const MOST_FAULTS = 20;

const served: Record<string, number> = {};
const faults: string[] = [];
let failed = 0;

function one(index: number): Promise<void> {
  const host = addresses[index % addresses.length] ?? "";
  const word = `word ${index}`;
  return new Promise((resolve) => {
    let text = "";
    let fault = "closed early";
    const socket = connect({ host, port: Number(port), noDelay: true });
    socket.setEncoding("latin1").setTimeout(LIMIT_MS, () => {
      fault = "silent";
      socket.destroy();
    });
    socket.on("data", (more: string) => {
      if (text === "") socket.write(`${word}\n`);
      text += more;
      if (!text.endsWith(`\n${word}\n`)) return;
      fault = "";
      socket.end();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => (fault = error.code ?? error.message));
    socket.on("close", () => {
      const [server = "", echo] = text.split("\n");
      if (fault === "" && echo === word) served[server] = (served[server] ?? 0) + 1;
      else {
        failed += 1;
        if (faults.length < MOST_FAULTS) faults.push(`${host} ${index}: ${fault || text}`);
      }
      resolve();
    });
  });
}

let next = 0;
async function some(): Promise<void> {
  while (next < Number(count)) await one(next++);
}
await Promise.all(Array.from({ length: AT_ONCE }, some));
console.log(JSON.stringify({ served, failed, faults }));
