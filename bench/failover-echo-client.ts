// Keeps many TCP connections to the echo servers busy and says which of them broke. Runs in the client's namespace:
// `node failover-echo-client.ts ADDRESS PORT COUNT EVERY`. Each connection says something every EVERY milliseconds. Prints "open" when COUNT connections have been greeted. After the line
// "more" on its standard input it opens another one every 20 ms (those are set up while the cluster is being changed).
// After the line "finish" it waits for the last echoes, prints the Findings as JSON, and ends.
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { Broken, Findings } from "./failover-connections.ts";

const TICK_MS = 200;
const OPEN_EVERY_MS = 20;
const MOST = 2000;
/** Handshakes under way: more would only fill the servers' queues. */
const MOST_OPENING = 250;
/** Silence for this long is a broken connection: TCP would have repeated a lost segment several times. */
const SILENCE_MS = 5000;

const [address = "", port = "9000", count = "200", everyMs = String(TICK_MS)] =
  process.argv.slice(2);
const broken: Broken[] = [];
const connections: Connection[] = [];
let ending = false;

class Connection {
  readonly #socket: Socket;
  readonly #openedAt = performance.now();
  #server: string | undefined;
  #received = "";
  #sent = 0;
  #echoed = 0;
  #heardAt = performance.now();
  #over = false;

  constructor() {
    this.#socket = connect({ host: address, port: Number(port), noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => this.#receive(text));
    this.#socket.on("end", () => this.#break("closed by the server"));
    this.#socket.on("error", (error: NodeJS.ErrnoException) => this.#break(error.code ?? "error"));
  }

  /** Connected, or broken before it was. */
  get settled(): boolean {
    return this.#over || this.#server !== undefined;
  }

  get server(): string {
    return this.#server ?? "none";
  }

  /** For its greeting or for an echo. */
  get waits(): boolean {
    return !this.#over && (this.#server === undefined || this.#echoed < this.#sent);
  }

  /** A number that grows, so that an echo out of order or from another connection is noticed. */
  say(): void {
    if (this.#over) return;
    if (this.waits) {
      if (performance.now() - this.#heardAt > SILENCE_MS) this.#break("silent");
      return;
    }
    this.#heardAt = performance.now();
    this.#sent += 1;
    this.#socket.write(`${this.#sent}\n`);
  }

  end(): void {
    this.#over = true;
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#heardAt = performance.now();
    const lines = (this.#received + text).split("\n");
    this.#received = lines.pop() ?? "";
    for (const line of lines) {
      if (this.#server === undefined) {
        this.#server = line;
        continue;
      }
      this.#echoed += 1;
      if (line !== String(this.#echoed)) return this.#break("wrong echo");
    }
  }

  #break(reason: string): void {
    if (this.#over) return;
    this.end();
    const afterMs = Math.round(performance.now() - this.#openedAt);
    broken.push({ server: this.server, reason, afterMs });
  }
}

/** Every connection has its turn once in so many ticks. */
const TURNS = Math.max(1, Math.round(Number(everyMs) / TICK_MS));
let turn = 0;

function sayToSome(): void {
  for (let index = turn; index < connections.length; index += TURNS) connections[index]?.say();
  turn = (turn + 1) % TURNS;
}

function report(): void {
  const silent = connections.filter(({ waits }) => waits);
  const servers: Record<string, number> = {};
  for (const { server } of connections) servers[server] = (servers[server] ?? 0) + 1;
  const unanswered = silent.map(({ server }) => ({ server, reason: "silent", afterMs: 0 }));
  const findings: Findings = {
    opened: connections.length,
    broken: [...broken, ...unanswered],
    servers,
  };
  process.stdout.write(`${JSON.stringify(findings)}\n`);
  for (const connection of connections) connection.end();
  process.exit(0);
}

function finish(): void {
  ending = true;
  const giveUp = performance.now() + SILENCE_MS;
  setInterval(() => {
    const over = connections.every(({ waits }) => !waits);
    if (over || performance.now() > giveUp) report();
  }, TICK_MS / 4);
}

const opening = setInterval(() => {
  let under = connections.reduce((sum, { settled }) => sum + (settled ? 0 : 1), 0);
  for (; under < MOST_OPENING && connections.length < Number(count); under++) {
    connections.push(new Connection());
  }
  if (under > 0) return;
  clearInterval(opening);
  process.stdout.write("open\n");
}, OPEN_EVERY_MS);
setInterval(() => {
  if (!ending) sayToSome();
}, TICK_MS);

createInterface(process.stdin).on("line", (line) => {
  if (line === "finish") return finish();
  setInterval(() => {
    if (!ending && connections.length < MOST) connections.push(new Connection());
  }, OPEN_EVERY_MS);
});
