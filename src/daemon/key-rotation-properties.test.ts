// Whatever rotations, deaths of masters and messages that came to some only meet: whoever is connected to the master knows the
// key that the master sends with, and the master knows theirs. Otherwise each would take the other for dead.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KeyRing } from "#driver/cluster/key-ring.ts";
import { GroupKeys } from "./group-keys.ts";
import { ACTIVATE_AFTER_MS, KeyRotation, RETIRE_AFTER_MS } from "./key-rotation.ts";
import type { Trust } from "./trust.ts";

const NODES = 4;
const EVERYBODY: Trust = { nodes: new Set(["a", "b", "c"]), revoked: new Set() };

/** As a node does it: main thread and heart, with nothing between them. */
interface Node {
  readonly ring: KeyRing;
  readonly keys: GroupKeys;
  readonly rotation: KeyRotation;
}

class Cluster {
  readonly nodes: readonly Node[];
  master = 0;
  /** So many members get what the master hands round. */
  reach = NODES;
  #trusted = EVERYBODY;
  #now = 0;
  #waiting: { readonly at: number; readonly act: () => void }[] = [];

  constructor() {
    this.nodes = Array.from({ length: NODES }, (_, index) => this.#node(index));
    this.#lead(0);
  }

  #node(index: number): Node {
    const [ring, keys] = [new KeyRing(), new GroupKeys()];
    const rotation = new KeyRotation({
      keys,
      isMaster: () => this.master === index,
      trust: () => this.#trusted,
      heart: (command) => {
        if (command.type === "group-key") {
          ring.install(command.keyId, command.key, command.activate);
        }
        if (command.type === "retire-keys") ring.retire();
      },
      sendToAll: () => this.#bringUpToDate(),
      later: (delayMs, act) => {
        const entry = { at: this.#now + delayMs, act };
        this.#waiting.push(entry);
        return () => {
          this.#waiting = this.#waiting.filter((each) => each !== entry);
        };
      },
    });
    return { ring, keys, rotation };
  }

  #of(index: number): Node {
    const node = this.nodes[index];
    assert.ok(node);
    return node;
  }

  get members(): Node[] {
    return this.nodes.filter((_, index) => index !== this.master);
  }

  #bringUpToDate(): void {
    const { newest, before } = this.#of(this.master).keys;
    if (newest === undefined) return;
    for (const { rotation } of this.members.slice(0, this.reach)) rotation.adopt(newest, before);
  }

  /** All connect to it. */
  #lead(index: number): void {
    this.master = index;
    const { rotation, ring } = this.#of(index);
    rotation.becameMaster(ring.active);
    this.#bringUpToDate();
  }

  keepalive(): void {
    const active = this.#of(this.master).ring.active;
    assert.ok(active !== undefined);
    for (const { ring } of this.members) ring.follow(active);
  }

  pass(ms: number): void {
    this.#now += ms;
    const due = this.#waiting.filter(({ at }) => at <= this.#now);
    this.#waiting = this.#waiting.filter(({ at }) => at > this.#now);
    for (const { act } of due) act();
  }

  rotate(): void {
    this.#of(this.master).rotation.rotate();
  }

  /** A node that no member is: its going concerns nobody but the key. */
  removeNode(): void {
    const gone = `${this.#trusted.revoked.size}`;
    this.#trusted = { ...this.#trusted, revoked: new Set([...this.#trusted.revoked, gone]) };
    for (const { rotation } of this.nodes) rotation.trustChanged();
  }

  replaceMaster(steps: number): void {
    this.#lead((this.master + steps) % NODES);
  }

  assertHeard(): void {
    const master = this.#of(this.master).ring;
    for (const { ring } of this.members) {
      assert.equal(verdict(master, ring), "good", "a member knows what the master sends with");
      assert.equal(verdict(ring, master), "good", "the master knows what a member sends with");
    }
  }
}

const BYTES = Uint8Array.of(1, 2, 3);

function verdict(from: KeyRing, to: KeyRing): string {
  const { active } = from;
  const tag = active === undefined ? undefined : from.tag(active, BYTES);
  return active === undefined || tag === undefined ? "no key" : to.check(active, BYTES, tag);
}

type Event = (cluster: Cluster) => void;

const durations = fc.constantFrom(1, RETIRE_AFTER_MS / 2, RETIRE_AFTER_MS, ACTIVATE_AFTER_MS);
const successors = fc.integer({ min: 1, max: NODES - 1 });

/** What makes a master hand keys round. */
const causes: fc.Arbitrary<Event> = fc.oneof(
  fc.constant<Event>((cluster) => cluster.rotate()),
  fc.constant<Event>((cluster) => cluster.removeNode()),
  durations.map<Event>((ms) => (cluster) => cluster.pass(ms)),
);

const happenings: fc.Arbitrary<Event> = fc.oneof(
  causes,
  fc.constant<Event>((cluster) => cluster.keepalive()),
  durations.map<Event>((ms) => (cluster) => {
    cluster.pass(ms);
    cluster.keepalive();
  }),
  successors.map<Event>((steps) => (cluster) => cluster.replaceMaster(steps)),
  fc
    .tuple(causes, fc.nat(NODES - 1), successors)
    .map<Event>(([cause, reach, steps]) => (cluster) => {
      cluster.reach = reach;
      cause(cluster);
      cluster.reach = NODES;
      cluster.replaceMaster(steps);
    }),
);

test("A2: through rotations, removals and deaths of masters, master and members know each other's key", () => {
  fc.assert(
    fc.property(fc.array(happenings, { maxLength: 40 }), (events) => {
      const cluster = new Cluster();
      for (const happen of events) {
        happen(cluster);
        cluster.assertHeard();
      }
    }),
    { numRuns: 500 },
  );
});
