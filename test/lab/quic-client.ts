// The client of quic-server.ts, on a lab host: `node quic-client.ts COUNT PORT ADDRESS`. Opens so many connections with the Initial of RFC
// 9001, A.2, each from a port of its own, and goes on with a Handshake packet. Then, for each line "ask" on standard input, it asks on every
// connection with a short header from another port, as a client does whose address has changed; for "open" it opens as many more. Prints for
// every line, and once before the first, the answers as JSON.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { RFC9001_INITIAL } from "#core/steering/testing/quic.ts";

const [count = "1", port = "", address = ""] = process.argv.slice(2);
const LIMIT_MS = 10_000;
const INITIAL_LENGTH = 1200;
const initial = Buffer.alloc(INITIAL_LENGTH);
initial.set(RFC9001_INITIAL);

async function exchange(...datagrams: ((last: Buffer) => Buffer)[]): Promise<Buffer[]> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const answers: Buffer[] = [];
  try {
    for (const make of datagrams) {
      socket.send(make(answers.at(-1) ?? Buffer.alloc(0)), Number(port), address);
      const signal = AbortSignal.timeout(LIMIT_MS);
      const [answer] = (await once(socket, "message", { signal })) as [Buffer];
      answers.push(answer);
    }
    return answers;
  } finally {
    socket.close();
  }
}

/** The source connection id of a server's Initial. */
const chosenBy = (answer: Buffer): Buffer => answer.subarray(7, 7 + (answer[6] ?? 0));

const handshake = (id: Buffer): Buffer =>
  Buffer.concat([Buffer.from("e000000001", "hex"), Buffer.of(id.length), id, Buffer.alloc(40)]);

const connections: Buffer[] = [];
const text = (answer: Buffer | undefined): string => answer?.subarray(1).toString() ?? "";

interface Opened {
  readonly id: Buffer;
  readonly answer: string;
}

async function open(): Promise<Opened> {
  const [first, second] = await exchange(
    () => initial,
    (answer) => handshake(chosenBy(answer)),
  );
  return { id: chosenBy(first ?? Buffer.alloc(0)), answer: text(second) };
}

async function ask(id: Buffer): Promise<string> {
  const [answer] = await exchange(() =>
    Buffer.concat([Buffer.of(0x41), id, Buffer.from("ping of a client")]),
  );
  return text(answer);
}

async function openAll(): Promise<string[]> {
  const opened = await Promise.all(Array.from({ length: Number(count) }, open));
  connections.push(...opened.map(({ id }) => id));
  return opened.map(({ answer }) => answer);
}

console.log(JSON.stringify(await openAll()));
for await (const line of createInterface(process.stdin)) {
  const answers = line === "open" ? await openAll() : await Promise.all(connections.map(ask));
  console.log(JSON.stringify(answers));
}
