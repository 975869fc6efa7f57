// Keeps dialogues and downloads with the members going, checks every byte that comes, and says what it saw. Runs in the client's
// namespace: `node client.ts SETTINGS` (JSON, see ClientSettings). Prints "open" when every connection has had its first answer; after a
// line on its standard input it prints a Report.
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { monotonicMs } from "../failover-attempts.ts";
import { type ClientSettings, FILES, type Gap, PORTS, type Report } from "./ports.ts";

const TICK_MS = 5;
const MOST_OPENING = 100;
/** Nothing for so long, while something is due: broken. TCP repeats for much longer. */
const SILENCE_MS = 60_000;
const LONGEST_LINE = 900;

const settings = JSON.parse(process.argv[2] ?? "{}") as ClientSettings;
const file = readFileSync(path.join(settings.folder, FILES.verified));

let broken: string[] = [];
let [bytes, lines, ended, refused] = [0, 0, 0, 0];
const everyone = new Set<Peer>();

abstract class Peer {
  readonly kind: Gap["kind"];
  readonly socket: Socket;
  readonly #openedAt = monotonicMs();
  readonly #lastMs = settings.lastMs * (0.5 + Math.random());
  #heardAt = monotonicMs();
  #gap = { from: 0, to: 0 };
  #over = false;
  answered = false;
  #port = 0;

  constructor(kind: Gap["kind"], port: number) {
    this.kind = kind;
    this.socket = connect({ host: settings.address, port, noDelay: true });
    this.socket.on("connect", () => (this.#port = this.socket.localPort ?? 0));
    this.socket.on("data", (chunk: Buffer) => {
      if (this.#over) return;
      bytes += chunk.byteLength;
      this.answered = true;
      this.#note(this.isDue());
      this.received(chunk);
    });
    this.socket.on("end", () => this.break("ended early"));
    this.socket.on("error", ({ code = "error" }: NodeJS.ErrnoException) => {
      // nobody listens there yet: no connection, so none that broke
      if (code === "ECONNREFUSED" && !this.answered) this.refuse();
      else this.break(code);
    });
    everyone.add(this);
  }

  /** Something is waited for. */
  abstract isDue(): boolean;
  abstract received(chunk: Buffer): void;
  abstract tick(): void;

  get isOld(): boolean {
    return monotonicMs() - this.#openedAt > this.#lastMs;
  }

  #note(wasDue: boolean): void {
    const now = monotonicMs();
    const gap = { from: this.#heardAt, to: now };
    if (wasDue && gap.to - gap.from > this.#gap.to - this.#gap.from) this.#gap = gap;
    this.#heardAt = now;
  }

  /** A wait begins now. */
  waits(): void {
    this.#heardAt = monotonicMs();
  }

  watch(): void {
    if (this.#over) return;
    if (this.isDue() && monotonicMs() - this.#heardAt > SILENCE_MS) this.break("silent");
    else this.tick();
  }

  takeGap(): Gap {
    const isWaiting = this.isDue() && monotonicMs() - this.#heardAt > this.#gap.to - this.#gap.from;
    const gap = isWaiting ? { from: this.#heardAt, to: monotonicMs() } : this.#gap;
    this.#gap = { from: 0, to: 0 };
    return { kind: this.kind, ...gap };
  }

  break(reason: string): void {
    if (this.#over) return;
    const where = `${this.kind} from port ${this.#port}${this.answered ? "" : ", never answered,"}`;
    broken.push(`${where} at ${monotonicMs().toFixed(0)}: ${reason}`);
    this.finish();
  }

  refuse(): void {
    refused += 1;
    this.finish();
  }

  finish(): void {
    this.#over = true;
    everyone.delete(this);
    ended += 1;
    this.socket.destroy();
  }
}

class Dialogue extends Peer {
  readonly #due: string[] = [];
  #said = 0;
  #rest = "";
  #answeredAt = 0;

  constructor() {
    super("dialogue", PORTS.lines);
    this.tick();
  }

  isDue(): boolean {
    return this.#due.length > 0;
  }

  received(chunk: Buffer): void {
    const parts = (this.#rest + chunk.toString("latin1")).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) {
      const due = this.#due.shift();
      if (part !== due) {
        return this.break(`wrong bytes: ${part.slice(0, 40)}, not ${due?.slice(0, 40)}`);
      }
      lines += 1;
    }
    if (this.#due.length > 0) return;
    this.#answeredAt = monotonicMs();
    // says nothing more, and is over when everything has been answered
    if (this.isOld) this.finish();
    else if (settings.thinkMs === 0) this.tick();
  }

  tick(): void {
    if (this.isOld || monotonicMs() - this.#answeredAt < settings.thinkMs) return;
    if (this.#due.length === 0) this.waits();
    while (this.#due.length < settings.window) this.#say();
  }

  #say(): void {
    this.#said += 1;
    const word = Math.random().toString(36).slice(2);
    const text = word.repeat(1 + Math.floor((Math.random() * LONGEST_LINE) / word.length));
    this.#due.push(`${this.#said} ${text}`);
    this.socket.write(`${text}\n`, "latin1");
  }
}

class Download extends Peer {
  #head = "";
  #isBody = false;
  #first = 0;
  #received = 0;
  readonly #began = monotonicMs();
  #total = 0;

  constructor() {
    super("download", PORTS.files);
    this.#ask();
  }

  isDue(): boolean {
    return !this.socket.isPaused();
  }

  /** From somewhere to the end. */
  #ask(): void {
    this.#first = Math.floor(Math.random() * (file.byteLength - 1));
    this.#received = 0;
    this.#isBody = false;
    this.#head = "";
    const range = `Range: bytes=${this.#first}-`;
    this.socket.write(`GET /${FILES.verified} HTTP/1.1\r\nHost: bench\r\n${range}\r\n\r\n`);
  }

  received(chunk: Buffer): void {
    let body = chunk;
    if (!this.#isBody) {
      this.#head += chunk.toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = file.byteLength - this.#first;
      const isRight =
        this.#head.startsWith("HTTP/1.1 206 ") &&
        this.#head.includes(`Content-Length: ${length}\r\n`);
      if (!isRight) return this.break(`wrong head: ${this.#head.slice(0, 60)}`);
      body = Buffer.from(this.#head.slice(end + 4), "latin1");
      this.#isBody = true;
    }
    this.#compare(body);
  }

  #compare(body: Buffer): void {
    const at = this.#first + this.#received;
    if (!body.equals(file.subarray(at, at + body.byteLength))) {
      return this.break(`wrong bytes within ${body.byteLength} from ${at}`);
    }
    this.#received += body.byteLength;
    this.#total += body.byteLength;
    if (at + body.byteLength === file.byteLength) {
      if (this.isOld) return this.finish();
      this.#ask();
    }
    if (this.#isAhead()) this.socket.pause();
  }

  #isAhead(): boolean {
    return this.#total > ((monotonicMs() - this.#began) / 1000 + 0.05) * settings.rate;
  }

  tick(): void {
    if (!this.socket.isPaused() || this.#isAhead()) return;
    this.waits();
    this.socket.resume();
  }
}

/** As many as there are to be. */
function fill(): void {
  let opening = [...everyone].filter(({ answered }) => !answered).length;
  const count = (kind: Gap["kind"]): number =>
    [...everyone].filter((peer) => peer.kind === kind).length;
  for (let n = count("dialogue"); n < settings.dialogues && opening < MOST_OPENING; n++) {
    opening += 1;
    // oxlint-disable-next-line no-new -- it enters itself
    new Dialogue();
  }
  for (let n = count("download"); n < settings.downloads && opening < MOST_OPENING; n++) {
    opening += 1;
    // oxlint-disable-next-line no-new -- it enters itself
    new Download();
  }
}

function report(): Report {
  const gaps = [...everyone].map((peer) => peer.takeGap());
  const seen = { connections: everyone.size, ended, refused, bytes, lines, broken, gaps };
  broken = [];
  [bytes, lines, ended, refused] = [0, 0, 0, 0];
  return seen;
}

let isOpen = false;
setInterval(() => {
  for (const peer of everyone) peer.watch();
  fill();
  const all = settings.dialogues + settings.downloads;
  if (isOpen || everyone.size < all || [...everyone].some(({ answered }) => !answered)) return;
  isOpen = true;
  console.log("open");
}, TICK_MS);
createInterface(process.stdin).on("line", () => console.log(JSON.stringify(report())));
