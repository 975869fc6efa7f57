// The main thread's end of the heart (docs/adr/0002): starts the thread, passes commands in and events out.
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from "node:worker_threads";
import { PanError } from "#base/error-codes.ts";
import { upToDate } from "#core/node/backlog.ts";
import { check, libc } from "#driver/libc.ts";
import type {
  HeartCommand,
  HeartEvent,
  HeartOrder,
  HeartSettings,
  HeartStart,
} from "./heart-protocol.ts";

const EFD_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
/** Far more than wait after a second of silence; what is left comes as the next message. */
const MOST_AT_ONCE = 1000;
const ONE = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);

export class Heart {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #wakeFd: number;
  readonly #ended: Promise<void>;
  #running = true;

  private constructor(settings: HeartSettings) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#wakeFd = check(libc.eventfd(0, EFD_NONBLOCK_CLOEXEC), "make an eventfd");
    const start: HeartStart = { settings, port: port2, wakeFd: this.#wakeFd };
    this.#worker = new Worker(new URL("./heart-worker.ts", import.meta.url), {
      workerData: start,
      transferList: [port2],
      name: "heart",
    });
    this.#ended = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#running = false;
        libc.close(this.#wakeFd);
        resolve();
      });
    });
  }

  /**
   * Starts the thread; resolves when its socket is open. Rejects with a PanError: PAN_INTERFACE_MISSING,
   * PAN_AGENT_RUNNING, PAN_SYSCALL. A later failure comes as the event `failed`.
   */
  static async start(
    settings: HeartSettings,
    onEvent: (event: HeartEvent) => void,
  ): Promise<Heart> {
    const heart = new Heart(settings);
    await new Promise<void>((resolve, reject) => {
      let started = false;
      const failed = (event: Extract<HeartEvent, { type: "failed" }>): void => {
        if (started) onEvent(event);
        else reject(new PanError(event.code, event.message));
      };
      const take = (event: HeartEvent): void => {
        if (event.type === "failed") return failed(event);
        onEvent(event);
        if (event.type !== "started") return;
        started = true;
        resolve();
      };
      heart.#port.on("message", (event: HeartEvent) => {
        for (const each of upToDate([event, ...heart.#waiting()])) take(each);
      });
      heart.#worker.once("error", (error) => {
        failed({
          type: "failed",
          code: "PAN_SYSCALL",
          message: `The heart stopped: ${error.message}`,
        });
      });
    });
    return heart;
  }

  /** What else has arrived, while this thread was busy. */
  #waiting(): HeartEvent[] {
    const events: HeartEvent[] = [];
    while (events.length < MOST_AT_ONCE) {
      const next: { message: HeartEvent } | undefined = receiveMessageOnPort(this.#port);
      if (next === undefined) break;
      events.push(next.message);
    }
    return events;
  }

  command(command: HeartCommand): void {
    this.#order(command);
  }

  #order(order: HeartOrder): void {
    if (!this.#running) return;
    this.#port.postMessage(order, []);
    libc.write(this.#wakeFd, ONE, ONE.byteLength);
  }

  /** Ends the thread without a goodbye (send `leave` first for one). */
  async stop(): Promise<void> {
    this.#order({ type: "stop" });
    await this.#ended;
    this.#port.close();
  }
}
