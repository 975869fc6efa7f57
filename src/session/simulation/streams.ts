// The streams between made-up members: what session/links.ts does, on virtual time. In order, until they end.
import type { NodeId } from "#base/ids.ts";
import type { Prng } from "#base/prng.ts";
import type { FromMember, ToMember } from "#wire/takeover/message.ts";
import type { Member } from "./member.ts";

/** How often an owner tries to find a replica again that it gave up. */
const RETRY_MS = 200;
/** How often it is looked whether a machine is heard again. */
const LOOK_MS = 50;

export interface StreamsWorld {
  readonly prng: Prng;
  readonly nowMs: () => number;
  readonly at: (afterMs: number, run: () => void) => void;
  readonly member: (id: NodeId) => Member | undefined;
  /** Members that others hear. */
  readonly present: () => Member[];
  readonly hear: (one: Member, other: Member) => boolean;
}

interface Stream {
  readonly from: Member;
  readonly to: Member;
  open: boolean;
  begun: boolean;
  /** When the last message arrives. */
  lastAt: number;
  /** What has arrived at a machine that does not hear the other one now. */
  readonly held: { readonly member: Member; readonly run: () => void }[];
}

export class Streams {
  readonly #world: StreamsWorld;
  readonly #streams: Stream[] = [];
  /** How often a replica was given up. */
  dropped = 0;

  constructor(world: StreamsWorld) {
    this.#world = world;
  }

  begin(from: Member, to: Member): void {
    const stream: Stream = { from, to, open: true, begun: false, lastAt: 0, held: [] };
    this.#streams.push(stream);
    this.#world.at(1 + this.#world.prng.below(5), () => {
      if (!stream.open) return;
      stream.begun = true;
      to.turn(() => {
        to.tenure.begun();
        to.currency.began(from.id);
        to.engine.ownerBegan(from.id);
      });
      from.turn(() => from.streamBegan(to.id));
    });
  }

  /** A machine that cannot be heard is waited for, until somebody ends the stream. */
  #carry(stream: Stream | undefined, to: "from" | "to", run: (member: Member) => void): void {
    if (stream === undefined) return;
    const { prng, nowMs, at } = this.#world;
    stream.lastAt = Math.max(stream.lastAt, nowMs() + 0.3 + prng.below(40) / 10);
    at(stream.lastAt - nowMs(), () => {
      stream.held.push({ member: stream[to], run: () => run(stream[to]) });
      if (stream.held.length === 1) this.#pump(stream);
    });
  }

  #pump(stream: Stream): void {
    const { from, to, held } = stream;
    if (!stream.open || !from.alive || !to.alive) return;
    if (!this.#world.hear(from, to)) return this.#world.at(LOOK_MS, () => this.#pump(stream));
    for (const { member, run } of held.splice(0)) member.turn(() => stream.open && run());
  }

  /** Each other member has answered what was asked last. */
  isWhole(id: NodeId): boolean {
    const others = this.#world.present().filter((other) => other.id !== id);
    const currency = this.#world.member(id)?.currency;
    return others.every(({ id: other }) => {
      const areThere = [this.#between(id, other), this.#between(other, id)];
      return areThere.every((one) => one !== undefined) && currency?.hasSaid(other) === true;
    });
  }

  present(from: NodeId, to: NodeId, asked: number): void {
    this.#carry(this.#between(to, from), "from", (owner) => {
      const forMs = owner.counted.present(from);
      this.#carry(this.#between(to, from), "to", (replica) =>
        replica.currency.relied(to, asked, forMs),
      );
    });
  }

  /** Its owner gives it up, and tries to find it again. */
  drop(owner: NodeId, replicas: readonly NodeId[]): void {
    for (const id of replicas) {
      const stream = this.#between(owner, id);
      if (stream === undefined) continue;
      this.dropped += 1;
      this.#end(stream, true);
      this.#again(stream.from, stream.to);
    }
  }

  #again(from: Member, to: Member): void {
    this.#world.at(RETRY_MS, () => {
      const present = this.#world.present();
      const isWanted = present.includes(from) && present.includes(to);
      const isThere = this.#streams.some((one) => one.open && one.from === from && one.to === to);
      if (!isWanted || isThere) return;
      if (this.#world.hear(from, to) && !to.isHanging) this.begin(from, to);
      else this.#again(from, to);
    });
  }

  /** One that has begun: what a process that was frozen has yet to say on a stream that has ended is not said on the next one. */
  #between(from: NodeId, to: NodeId): Stream | undefined {
    const isTheirs = (one: Stream): boolean => one.from.id === from && one.to.id === to;
    return this.#streams.find((one) => one.begun && one.open && isTheirs(one));
  }

  tell(from: NodeId, to: NodeId, message: ToMember): void {
    this.#carry(this.#between(from, to), "to", (member) => member.engine.heard(from, [message]));
  }

  answer(from: NodeId, to: NodeId, message: FromMember): void {
    this.#carry(this.#between(to, from), "from", (member) => member.engine.answered(from, message));
  }

  /** In both directions. */
  end(member: Member, other: Member): void {
    for (const stream of this.#streams) {
      const isTheirs =
        (stream.from === member && stream.to === other) ||
        (stream.from === other && stream.to === member);
      if (stream.open && isTheirs) this.#end(stream, this.#world.hear(member, other));
    }
  }

  #end(stream: Stream, knows: boolean): void {
    stream.open = false;
    const { from, to } = stream;
    from.turn(() => from.streamEnded(to.id, knows));
    to.turn(() => to.currency.ended(from.id, false));
  }
}
