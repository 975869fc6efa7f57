// A client of a lab host that keeps its connections: `node kept-connections.ts COUNT ADDRESS`. Opens COUNT connections to the web server
// behind the address, asks each who it is, and prints the names as one JSON line. For each line on standard input it asks again on the
// same connections and prints, as JSON, how many of each name answered as before ("ok") or have ended ("ended", with the error).
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

const [count = "1", address = ""] = process.argv.slice(2);
const LIMIT_MS = 20_000;
const REQUEST = `GET /whoami HTTP/1.1\r\nHost: lab\r\n\r\n`;

interface Kept {
  readonly socket: Socket;
  name: string;
  error: string | undefined;
}

/** The name that the server answers; undefined when the connection has ended or does. */
function ask(kept: Kept): Promise<string | undefined> {
  if (kept.error !== undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    let text = "";
    const done = (name: string | undefined): void => {
      clearTimeout(timer);
      kept.socket.off("data", more).off("close", ended);
      resolve(name);
    };
    const ended = (): void => done(undefined);
    const more = (chunk: Buffer): void => {
      text += chunk.toString();
      const [, name] = /\r\n\r\n(.+)\n$/.exec(text) ?? [];
      if (name !== undefined) done(name);
    };
    const timer = setTimeout(() => {
      kept.error = "silent";
      done(undefined);
    }, LIMIT_MS);
    kept.socket.on("data", more).on("close", ended).write(REQUEST);
  });
}

function open(): Promise<Kept> {
  const socket = connect({ host: address, port: 80 });
  const kept: Kept = { socket, name: "", error: undefined };
  socket.on("error", ({ code, message }: NodeJS.ErrnoException) => (kept.error = code ?? message));
  socket.on("close", () => (kept.error ??= "closed"));
  return new Promise((resolve, reject) => {
    socket.once("close", () => reject(new Error(kept.error)));
    socket.once("connect", () => resolve(kept));
  });
}

const all = await Promise.all(Array.from({ length: Number(count) }, open));
for (const kept of all) kept.name = (await ask(kept)) ?? "nobody";
console.log(JSON.stringify(all.map(({ name }) => name)));
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "end") break;
  const found: Record<string, number> = {};
  for (const kept of all) {
    const answered = await ask(kept);
    const result = answered === kept.name ? "ok" : `ended ${kept.error ?? "otherwise"}`;
    found[`${kept.name} ${result}`] = (found[`${kept.name} ${result}`] ?? 0) + 1;
  }
  console.log(JSON.stringify(found));
}
process.exit(0);
