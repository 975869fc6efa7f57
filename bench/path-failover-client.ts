// The client of `npm run bench -- paths`: keeps connections busy with small requests, one after another on each, and prints for each
// connection the longest time between two pieces of an answer. Arguments: address, connections, milliseconds.
import { connect } from "node:net";

const [address = "", count = "16", forMs = "4000"] = process.argv.slice(2);
const request = `GET /whoami HTTP/1.1\r\nHost: ${address}\r\n\r\n`;
const end = performance.now() + Number(forMs);

/** Undefined: the connection broke. */
function busy(): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect(80, address);
    let last = performance.now();
    let longest = 0;
    socket.setNoDelay(true);
    socket.on("connect", () => {
      last = performance.now();
      socket.write(request);
    });
    socket.on("data", () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      if (now < end) return setTimeout(() => socket.write(request), 2);
      socket.end();
      return resolve(longest);
    });
    for (const failure of ["error", "close"]) socket.on(failure, () => resolve(undefined));
  });
}

const longest = await Promise.all(Array.from({ length: Number(count) }, busy));
console.log(JSON.stringify(longest.map((ms) => ms ?? null)));
