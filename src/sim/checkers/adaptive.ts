// A17: an own calculation of the loss estimate and of n, from what each master has really received, against what it publishes; and
// keepalives come as often as was published.
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { Received } from "#core/membership/protocol.ts";
import type { Message } from "#wire/cluster/message.ts";
import type { Heart, MembershipEvent } from "../heart.ts";
import type { Observer } from "../probes.ts";
import type { Packet } from "../packet.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** The estimate before anything is known, and the hole that counts for no more than this: our additions to A17. */
const FIRST_LOSS = 0.1;
const LONGEST_HOLE = 128;
const POLICY = 1 / 3600;
/** A heart that is not held up is this late at most, by rounding. */
const LATE_MS = 1;

/** The smallest n in 2 … 20 with n · Pⁿ < 1/3600. */
function needed(loss: number): number {
  let n = 2;
  while (n < 20 && n * Math.pow(loss, n) >= POLICY) n += 1;
  return n;
}

interface Stream {
  readonly boot: bigint;
  last: number;
  loss: number;
  needs: number;
  wants: number;
}

interface Ledger {
  readonly streams: Map<number, Stream>;
  /** Of candidates' supporters: which start of a node a new master counts as member. */
  readonly accepted: Map<number, bigint>;
  offer: number;
  sentAt: number;
  intervalMs: number;
}

function count(stream: Stream, sequence: number, wants: number): void {
  stream.wants = wants;
  if (sequence <= stream.last) return;
  const hole = Math.min(sequence - stream.last - 1, LONGEST_HOLE);
  stream.last = sequence;
  const loss = Math.min(1, (stream.loss * 127) / 128 + hole / 128);
  if (loss === stream.loss) return;
  stream.loss = loss;
  stream.needs = needed(loss);
}

export class Adaptive implements Observer {
  readonly #world: World;
  readonly #ledgers = new WeakMap<Heart, Ledger>();

  constructor(world: World) {
    this.#world = world;
  }

  #ledger(heart: Heart): Ledger {
    let ledger = this.#ledgers.get(heart);
    if (ledger === undefined) {
      ledger = {
        streams: new Map(),
        accepted: new Map(),
        offer: 0,
        sentAt: Number.NaN,
        intervalMs: 0,
      };
      this.#ledgers.set(heart, ledger);
    }
    return ledger;
  }

  received(heart: Heart, _packet: Packet, received: Received, isTaken: boolean): void {
    const { message, sender, boot } = received;
    if (!isTaken) return;
    if (message.type === "offer-accepted") this.#ledger(heart).accepted.set(sender, boot);
    if (message.type !== "member-keepalive" || heart.machine.view.role !== "master") return;
    const { members } = heart.machine.view;
    if (!members.some(({ id }) => id === sender)) return;
    const { streams, accepted } = this.#ledger(heart);
    const stream = streams.get(sender);
    if (stream === undefined) {
      const expected = accepted.get(sender);
      if (expected !== undefined && expected !== boot) return;
      const needs = needed(FIRST_LOSS);
      const wants = message.perInterval;
      streams.set(sender, { boot, last: message.sequence, loss: FIRST_LOSS, needs, wants });
    } else if (stream.boot === boot) count(stream, message.sequence, message.perInterval);
  }

  decided(heart: Heart, event: MembershipEvent): void {
    const { streams, accepted } = this.#ledger(heart);
    if (event.type === "became-master") {
      streams.clear();
      this.#ledger(heart).sentAt = Number.NaN;
    }
    if (event.type === "member-joined") accepted.delete(event.member.id);
    if (event.type === "member-departed") {
      streams.delete(event.id);
      accepted.delete(event.id);
    }
    if (event.type === "lost-mastership") accepted.clear();
    if (event.type === "view-changed" && event.view.role === "master") {
      // whoever agreed once and was not counted joins like anybody else, with whatever start it has then
      const counted = new Set(event.view.members.map(({ id }) => id));
      for (const id of accepted.keys()) if (!counted.has(id as NodeId)) accepted.delete(id);
    }
  }

  sent(heart: Heart, to: IpAddress | "everyone", message: Message): void {
    if (message.type === "member-keepalive") {
      const { perInterval } = message;
      if (perInterval < 2 || perInterval > 20) {
        throw new Violation("adaptive", `node ${heart.id} asks for n = ${perInterval}`);
      }
    }
    if (message.type === "offer") this.#offered(heart, message.request);
    if (message.type !== "master-keepalive" || to !== "everyone") return;
    this.#asNeeded(heart, message);
    this.#inTime(heart, message);
  }

  /** Who agreed to an earlier offer has not agreed to this one. */
  #offered(heart: Heart, request: number): void {
    const ledger = this.#ledger(heart);
    if (ledger.offer !== request) ledger.accepted.clear();
    ledger.offer = request;
  }

  #asNeeded(heart: Heart, message: Extract<Message, { type: "master-keepalive" }>): void {
    const { streams } = this.#ledger(heart);
    let expected = 2;
    const { members, memberCount } = message;
    const listed = members.length === memberCount ? members : heart.machine.view.members;
    for (const { id } of listed) {
      if (id === heart.id) continue;
      const stream = streams.get(id);
      const first = needed(FIRST_LOSS);
      expected = Math.max(expected, stream?.needs ?? first, stream?.wants ?? first);
    }
    if (message.perInterval === expected) return;
    const text = `node ${heart.id} publishes n = ${message.perInterval}; by what it has received it should be ${expected}`;
    throw new Violation("adaptive", text);
  }

  #inTime(heart: Heart, message: Extract<Message, { type: "master-keepalive" }>): void {
    const ledger = this.#ledger(heart);
    const now = heart.localNow;
    const gap = now - ledger.sentAt;
    const wasFree = this.#world.nowMs - heart.lastHeldMs > 2 * gap;
    if (gap > ledger.intervalMs + LATE_MS && wasFree) {
      const text = `node ${heart.id} was silent for ${gap.toFixed(1)} ms; its interval is ${ledger.intervalMs.toFixed(1)} ms`;
      throw new Violation("adaptive", text);
    }
    ledger.sentAt = now;
    ledger.intervalMs = message.detectionMs / message.perInterval;
  }
}
