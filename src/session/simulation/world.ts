// Takeovers on virtual time: real engines (session/engine.ts) on made-up machines, clients with real expectations, and everything that can
// go wrong, from one seed. What of the cluster does not matter here is as simple as can be: who owns a slot, who is noticed when.
import { ip } from "#base/address.ts";
import { EventQueue } from "#base/event-queue.ts";
import type { NodeId } from "#base/ids.ts";
import { Prng } from "#base/prng.ts";
import { advance } from "#base/sequence.ts";
import { byPreference, type ReplicaCount } from "#core/takeover/replica-choice.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { keyText } from "../key-text.ts";
import type { Session } from "../session.ts";
import { SimulatedClient } from "./client.ts";
import { Streams } from "./streams.ts";
import { Member, SLOTS, slotOf } from "./member.ts";
import type { Segment } from "./tcp.ts";

export interface WorldSpec {
  readonly seed: number;
  readonly members: number;
  readonly connections: number;
  readonly lines: number;
  /** Share of segments that are lost, and that come twice. */
  readonly loss: number;
  readonly duplicates: number;
  /** The application on each member. */
  readonly serve: (session: Session) => void;
  /** How many members hold each connection; all, unless it is said. */
  readonly replicas?: ReplicaCount;
}

const VIP = ip("10.0.0.100");
const PEER = ip("192.0.2.7");
const TICK_MS = 5;
const DETECTION_MS = 200;
/** For how long a client believes one side of a split. */
const BELIEVED_MS = 150;

const pairOf = (one: Member, other: Member): string =>
  [one.id, other.id].sort((a, b) => a - b).join();

export class World {
  readonly prng: Prng;
  readonly members: Member[] = [];
  readonly clients: SimulatedClient[] = [];
  readonly #spec: WorldSpec;
  readonly #queue = new EventQueue();
  readonly #owners: NodeId[] = [];
  readonly #former: NodeId[][] = [];
  readonly #streams: Streams;
  /** The last generation that spoke on each connection. */
  readonly #spoke = new Map<string, { member: Member; generation: number }>();
  /** Pairs that do not hear each other. */
  readonly #strangers = new Set<string>();
  nowMs = 0;
  problem: string | undefined;

  constructor(spec: WorldSpec) {
    this.#spec = spec;
    this.prng = new Prng(spec.seed);
    this.#streams = new Streams({
      prng: this.prng,
      nowMs: () => this.nowMs,
      at: (ms, run) => this.at(ms, run),
      member: (id) => this.member(id),
      present: () => this.present,
      hear: (one, other) => this.#hear(one, other),
    });
    for (let number = 1; number <= spec.members; number++) this.#add(number);
    for (let slot = 0; slot < SLOTS; slot++) {
      const owner = this.prng.pick(this.members);
      this.#owners.push(owner.id);
      this.#former.push([]);
      for (const { workSets } of this.members) workSets.set("g", String(slot), undefined);
      owner.workSets.set("g", String(slot), owner.id);
    }
    this.#every(TICK_MS, () => this.#tick());
    for (let index = 0; index < spec.connections; index++) this.#connect(index);
  }

  #add(number: number): Member {
    const member = new Member(number, {
      nowMs: () => this.nowMs,
      every: (ms, turn) => this.#every(ms, turn),
      later: (ms, turn) => this.#later(ms, turn),
      isWhole: (id) => this.#streams.isWhole(id),
      serve: this.#spec.serve,
      replicas: this.#spec.replicas ?? "all",
      leaves: (from, key, segment) => this.#toClient(from, key, segment),
      tell: (from, to, message) => this.#streams.tell(from, to, message),
      answer: (from, to, message) => this.#streams.answer(from, to, message),
      present: (from, to, asked) => this.#streams.present(from, to, asked),
      dropped: (owner, replicas) => this.#streams.drop(owner, replicas),
    });
    for (const other of this.members) {
      if (!other.alive) continue;
      this.#streams.begin(member, other);
      this.#streams.begin(other, member);
    }
    this.members.push(member);
    return member;
  }

  at(afterMs: number, run: () => void): void {
    this.#queue.add(this.nowMs + afterMs, run);
  }

  #later(ms: number, turn: () => void): () => void {
    let isWanted = true;
    this.at(ms, () => isWanted && turn());
    return () => (isWanted = false);
  }

  #every(ms: number, turn: () => void): () => void {
    let goesOn = true;
    const again = (): void => {
      if (!goesOn) return;
      turn();
      this.at(ms, again);
    };
    this.at(ms, again);
    return () => (goesOn = false);
  }

  /** Runs until every client is done, or something is wrong, or the time is over. Streams of Node take their turns in between. */
  async run(limitMs: number): Promise<void> {
    for (;;) {
      this.problem ??= this.clients.find(({ problem }) => problem !== undefined)?.problem;
      this.problem ??= this.members.find(({ trouble }) => trouble !== undefined)?.trouble?.message;
      if (this.problem !== undefined || this.clients.every(({ isDone }) => isDone)) return;
      const next = this.#queue.take();
      if (next === undefined || next.atMs > limitMs) {
        const waiting = this.clients.filter(({ isDone }) => !isDone);
        this.problem = `${waiting.length} connections stand still: ${waiting.map(({ key }) => key.peerPort).join(" ")}`;
        return;
      }
      this.nowMs = next.atMs;
      next.run();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  #tick(): void {
    for (const { alive, kernel } of this.members) if (alive) kernel.tick();
    for (const client of this.clients) client.tcp.tick(this.nowMs);
  }

  member(id: NodeId): Member | undefined {
    return this.members.findLast((member) => member.id === id);
  }

  /** Members that others hear. */
  get present(): Member[] {
    return this.members.filter(
      ({ alive, linked, apart, isFrozen }) => alive && linked && !apart && !isFrozen,
    );
  }

  /** Who serves this client's connection, and who is to hold it, the first first. */
  placesOf({ key }: SimulatedClient): { readonly server: Member; readonly holders: Member[] } {
    const there = this.present;
    const server = there.find(({ engine }) => engine.generationOf(key) !== undefined);
    if (server === undefined) throw new Error(`nobody serves ${key.peerPort}`);
    const others = there.filter((member) => member !== server);
    const order = byPreference(
      key,
      others.map(({ id }) => id),
    );
    return { server, holders: order.flatMap((id) => this.member(id) ?? []) };
  }

  // Clients and their segments.

  #connect(index: number): void {
    const key: ConnectionKey = { vip: VIP, port: 80, peer: PEER, peerPort: 1000 + index };
    // every second connection goes over the wrap of its numbers, in both directions
    const close =
      index % 2 === 0 ? { own: 0xffff_ff00, theirs: 0xffff_8000 } : { own: 0, theirs: 0 };
    const own = (this.prng.uint32() | close.own) >>> 0;
    const theirs = (this.prng.uint32() | close.theirs) >>> 0;
    const client = new SimulatedClient(
      key,
      { prng: this.prng, lines: this.#spec.lines },
      {
        sendNext: own,
        receiveNext: theirs,
        send: (segment) => this.#toCluster(key, segment),
      },
    );
    this.clients.push(client);
    this.at(this.prng.below(50), () => {
      const server = this.member(this.#owners[slotOf(key)] ?? this.members[0]!.id);
      server?.accept(
        {
          ...{ type: "opened", key, atNs: 0n, sendNext: theirs, receiveNext: own },
          ...{ timestamp: 0, window: 1000, mss: 1460, timestamps: false, sack: false },
          ...{ scaling: false, sendScale: 0, receiveScale: 0 },
        },
        (accept) => this.at(this.prng.below(20), accept),
      );
      this.#speakOn(client);
    });
  }

  #speakOn(client: SimulatedClient): void {
    client.speak(this.nowMs);
    this.at(20 + this.prng.below(300), () => this.#speakOn(client));
  }

  #times(): number {
    if (this.prng.chance(this.#spec.loss)) return 0;
    return this.prng.chance(this.#spec.duplicates) ? 2 : 1;
  }

  #toClient(from: NodeId, key: ConnectionKey, segment: Segment): void {
    const member = this.member(from);
    const client = this.clients.find((one) => keyText(one.key) === keyText(key));
    if (member?.alive !== true || !member.linked || client === undefined) return;
    if (client.lacks(segment)) this.#checkSpeaker(member, key, segment);
    for (let left = this.#times(); left > 0; left--) {
      this.at(0.2 + this.prng.below(30) / 10, () => client.receive(this.nowMs, segment));
    }
  }

  /** While a member hears no other, each side says that the VIP is there: the client believes whoever said so last. */
  get #namedApart(): Member | undefined {
    const apart = this.members.find((member) => member.alive && member.apart);
    return Math.floor(this.nowMs / BELIEVED_MS) % 2 === 0 ? apart : undefined;
  }

  /** New bytes of one connection come from one member, and never again from one that was replaced. */
  #checkSpeaker(member: Member, key: ConnectionKey, { bytes, fin, reset }: Segment): void {
    const generation = member.engine.generationOf(key);
    if (generation === undefined || (bytes.byteLength === 0 && !fin && !reset)) return;
    const last = this.#spoke.get(keyText(key));
    if (last !== undefined && last.member !== member && generation <= last.generation) {
      this.problem ??= `members ${last.member.id} and ${member.id} speak for ${key.peerPort}`;
    }
    this.#spoke.set(keyText(key), { member, generation });
  }

  /** To the slot's owner, then to whoever had the slot before: who knows the connection takes the segment, or else the owner's stack says no. */
  #toCluster(key: ConnectionKey, segment: Segment): void {
    for (let left = this.#times(); left > 0; left--) {
      this.at(0.2 + this.prng.below(30) / 10, () => {
        const slot = slotOf(key);
        const owner = this.#namedApart ?? this.member(this.#owners[slot] ?? this.members[0]!.id);
        const asked = [owner, ...(this.#former[slot] ?? []).map((id) => this.member(id))];
        const isApart = owner?.apart === true;
        const reached = asked.filter(
          (one) => one?.alive === true && one.linked && one.apart === isApart,
        );
        const knowing = reached.find((one) => one?.kernel.knows(key));
        // A former owner that is only believed dead swallows it; so does a machine without a link.
        const taker = knowing ?? (owner?.alive === true && owner.linked ? owner : undefined);
        if (taker === undefined || taker.kernel.ingress(key, segment) || segment.reset) return;
        const sequence = segment.acknowledgement;
        const acknowledgement = advance(segment.sequence, segment.bytes.byteLength);
        const refusal = { sequence, acknowledgement, bytes: new Uint8Array() };
        taker.kernel.egress(key, { ...refusal, fin: false, reset: true });
      });
    }
  }

  #hear(one: Member, other: Member): boolean {
    const areApart = one.apart || other.apart || this.#strangers.has(pairOf(one, other));
    return one.linked && other.linked && !areApart;
  }

  /** How often a replica was given up. */
  get dropped(): number {
    return this.#streams.dropped;
  }

  // What happens to members.

  /** Its process stands still for so long; its agent does not. */
  hang(member: Member): void {
    member.hang();
  }

  /** Two members that do not hear each other, and that everybody else hears, their master among them. */
  quarrel(one: Member, other: Member): void {
    this.#strangers.add(pairOf(one, other));
  }

  makeUp(): void {
    this.#strangers.clear();
  }

  kill(member: Member): void {
    member.alive = false;
    this.#noticed(member);
  }

  /** A member that dies, and the others have it so for a while that each is not most of those that were together: none may speak (ADR 29). */
  killAndDivide(victim: Member, forMs: number): void {
    this.kill(victim);
    const others = this.present;
    this.at(DETECTION_MS / 2, () => {
      for (const member of others) member.unheardSince = -Infinity;
    });
    this.at(DETECTION_MS + forMs, () => {
      for (const member of others) {
        member.unheardSince = Infinity;
        member.kernel.tenure += 1;
      }
    });
  }

  freeze(member: Member): void {
    member.freeze();
    this.#noticed(member);
  }

  cut(member: Member): void {
    member.linked = false;
    member.unheardSince = this.nowMs;
    this.#noticed(member);
    this.at(DETECTION_MS, () => this.#believesItselfAlone(member));
  }

  /** It hears no other member, and they do not hear it; the client hears both sides. Alone it is not the most, so it has no lease. */
  split(member: Member): void {
    member.apart = true;
    member.unheardSince = this.nowMs;
    this.#noticed(member);
    this.at(DETECTION_MS, () => {
      if (member.alive && member.apart) this.#isAlone(member);
    });
  }

  /** The other side of a split, where no client is: everybody else is gone, and everything is its own. It has a lease again. */
  #believesItselfAlone(member: Member): void {
    if (!member.alive || member.linked) return;
    member.unheardSince = Infinity;
    this.#isAlone(member);
  }

  #isAlone(member: Member): void {
    for (const { id, alive } of this.members) if (alive && id !== member.id) member.left(id);
    for (let slot = 0; slot < SLOTS; slot++) member.gained(slot);
  }

  /** It hears that it was not. */
  #giveBack(member: Member): void {
    for (const { id, alive } of this.members) if (alive && id !== member.id) member.joined(id);
    for (let slot = 0; slot < SLOTS; slot++) {
      const owner = this.#owners[slot];
      if (owner !== member.id) member.lost(slot, owner);
    }
  }

  /** The others find out, each in its time; then its slots are somebody else's. */
  #noticed(victim: Member): void {
    this.at(DETECTION_MS, () => {
      const others = this.present.filter((member) => member !== victim);
      for (const other of others) {
        this.#streams.end(victim, other);
        this.at(this.prng.below(20), () => other.turn(() => other.left(victim.id)));
      }
      if (others.length === 0) return;
      for (let slot = 0; slot < SLOTS; slot++) {
        if (this.#owners[slot] === victim.id) this.#assign(slot, this.prng.pick(others));
      }
    });
  }

  #assign(slot: number, to: Member): void {
    const before = this.#owners[slot];
    if (before === to.id) return;
    this.#owners[slot] = to.id;
    const former = (this.#former[slot] ?? []).filter((id) => id !== before && id !== to.id);
    this.#former[slot] = before === undefined ? former : [before, ...former];
    // in any order: words of agents and of other members come by different ways
    this.at(this.prng.below(60), () => to.turn(() => to.gained(slot)));
    const loser = before === undefined ? undefined : this.member(before);
    this.at(20 + this.prng.below(20), () => loser?.turn(() => loser.lost(slot, to.id)));
  }

  /** Planned. */
  move(slot: number): void {
    const to = this.prng.pick(this.present);
    this.#assign(slot, to);
    // what was being set up goes later
    this.at(1000, () => {
      for (const member of this.present) member.turn(() => member.handOver());
    });
  }

  /** It is a member again, with the session server that it had, or with a new one where it was dead. */
  return(member: Member): void {
    if (member.isHanging) return member.thaw();
    const back = member.alive ? member : this.#add(member.id);
    if (!back.linked || back.apart) back.turn(() => this.#giveBack(back));
    back.linked = true;
    back.apart = false;
    back.kernel.tenure += 1;
    const others = this.present.filter((other) => other !== back);
    for (const other of others) {
      other.turn(() => other.joined(back.id));
      if (!member.alive) continue;
      this.#streams.end(back, other);
      this.#streams.begin(back, other);
      this.#streams.begin(other, back);
    }
    back.unheardSince = Infinity;
    if (back.isFrozen) back.thaw();
  }
}
