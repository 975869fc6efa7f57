// A session over a real connection of loopback, for tests: its client is an ordinary socket, and what the engine does for it is played by
// the core's own owner with one replica, which acknowledges when it is told to, or at once.
import { once } from "node:events";
import net from "node:net";
import { after } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { Owner, type OwnerEffect } from "#core/takeover/owner.ts";
import { openedAs } from "#core/takeover/testing/samples.ts";
import type { OwnerMessage } from "#wire/takeover/message.ts";
import { now, REAL_CLOCK } from "../clock.ts";
import { PeerWatch } from "../peer-watch.ts";
import { hostOf, serving } from "../serving.ts";
import { FRESH, Session, type SessionStart } from "../session.ts";

const REPLICA = nodeId(2);
const KEY = { vip: ip("127.0.0.1"), port: 1, peer: ip("127.0.0.1"), peerPort: 2 };
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const closing: (() => void)[] = [];
after(() => {
  for (const close of closing) close();
});

/** What the client reads until its connection ends, or until it has so much. */
export async function read(client: net.Socket, length = Number.POSITIVE_INFINITY): Promise<string> {
  let all = "";
  for (;;) {
    if (all.length >= length) return all;
    const chunk = client.read() as Buffer | null;
    if (chunk !== null) all += chunk.toString();
    else if (client.readableEnded) return all;
    else await Promise.race([once(client, "readable"), once(client, "end")]);
  }
}

export class Scene {
  readonly client: net.Socket;
  /** The server's side. */
  readonly socket: net.Socket;
  readonly session: Session;
  readonly told: OwnerMessage[] = [];
  unguarded = false;
  /** Whether the replica acknowledges everything at once. */
  prompt = false;
  readonly closed: Promise<void>;
  readonly #owner = new Owner();
  readonly #peers = new PeerWatch(REAL_CLOCK);
  #answered = 1;

  private constructor(client: net.Socket, socket: net.Socket, start: SessionStart) {
    this.client = client;
    this.socket = socket;
    this.#owner.step({ type: "replica-joined", replica: REPLICA });
    const opened = openedAs(1);
    this.#perform(this.#owner.step({ type: "happened", message: opened }));
    let isClosed = (): void => {};
    this.closed = new Promise((resolve) => (isClosed = resolve));
    const host = hostOf(serving(opened, 0), {
      now,
      happened: (message) => this.#perform(this.#owner.step({ type: "happened", message })),
      unguard: () => (this.unguarded = true),
      watch: (asker) => this.#peers.add(asker),
      closed: isClosed,
    });
    this.session = new Session(KEY, socket, host, start);
    closing.push(() => {
      this.#peers.close();
      client.destroy();
      socket.destroy();
    });
  }

  static async begin(start: SessionStart = FRESH): Promise<Scene> {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const [socket] = (await once(server, "connection")) as [net.Socket];
    server.close();
    return new Scene(client, socket, start);
  }

  #perform(effects: readonly OwnerEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "send") {
        this.told.push(effect.message);
        if (this.prompt) setImmediate(() => this.acknowledge());
      }
      if (effect.type === "commit") this.session?.committed(effect.states, effect.outputEnded);
      if (effect.type === "exposed" && effect.reason === "limit") this.session.exposed();
    }
  }

  /** The replica holds all that it was told. */
  acknowledge(): void {
    const messages = this.told.length;
    if (messages === this.#answered) return;
    this.#answered = messages;
    const message = { type: "acknowledged", messages } as const;
    this.#perform(this.#owner.step({ type: "answered", replica: REPLICA, message }));
  }

  async toldOf(type: OwnerMessage["type"]): Promise<OwnerMessage> {
    for (;;) {
      const message = this.told.findLast((each) => each.type === type);
      if (message !== undefined) return message;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
