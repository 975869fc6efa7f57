// Long downloads by stock curls: connections that must outlive the deaths of other members.
import type { ChildProcess } from "node:child_process";
import type { Lab } from "./lab.ts";
import { STANDARD } from "./standard.ts";

const SIZE_BYTES = 1024 * 1024;
const RATE = "60k";
/** A download without a byte for this long is over. */
const SILENCE_SECONDS = "3";

interface Download {
  /** Name of the serving host, once its answer has begun. */
  server: string;
  /** Bytes received at its end; undefined while it runs. */
  readonly result: Promise<number>;
}

export class Downloads {
  readonly #all: readonly Download[];

  private constructor(all: readonly Download[]) {
    this.#all = all;
  }

  static start(lab: Lab, count: number): Downloads {
    return new Downloads(Array.from({ length: count }, () => download(lab)));
  }

  async allStarted(): Promise<void> {
    while (this.#all.some(({ server }) => server === "")) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits for all; `broken` counts those that ended early though their server is not among the dead. */
  async finished(dead: ReadonlySet<string>): Promise<{ broken: number; onTheDead: number }> {
    const sizes = await Promise.all(this.#all.map(({ result }) => result));
    const early = this.#all.filter((_, index) => sizes[index] !== SIZE_BYTES);
    return {
      broken: early.filter(({ server }) => !dead.has(server)).length,
      onTheDead: this.#all.filter(({ server }) => dead.has(server)).length,
    };
  }
}

function download(lab: Lab): Download {
  const argv = [
    ...["curl", "--silent", "--no-buffer", "--include", "--limit-rate", RATE],
    ...["--speed-limit", "1", "--speed-time", SILENCE_SECONDS, `http://${STANDARD.vip4}/1m`],
  ];
  const child = lab.spawn(STANDARD.client, argv, { stdio: ["ignore", "pipe", "ignore"] });
  const started: Download = {
    server: "",
    result: receive(child, (name) => (started.server = name)),
  };
  return started;
}

/** Counts the bytes of the body; the header names the server. */
function receive(child: ChildProcess, named: (server: string) => void): Promise<number> {
  let header = "";
  let inBody = false;
  let size = 0;
  child.stdout?.on("data", (bytes: Buffer) => {
    if (inBody) {
      size += bytes.length;
      return;
    }
    header += bytes.toString("latin1");
    const end = header.indexOf("\r\n\r\n");
    if (end === -1) return;
    inBody = true;
    size = header.length - end - 4;
    named(/^X-Served-By: (\S+)/im.exec(header)?.[1] ?? "unnamed");
  });
  return new Promise((resolve) => child.once("close", () => resolve(size)));
}
