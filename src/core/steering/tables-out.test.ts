// B9: members get what differs from the tables that they hold, and everything where that is not known.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TABLES, nodeId } from "#base/ids.ts";
import { applyDelta, decodeTables, peekTables } from "./tables-codec.ts";
import { nextTables } from "./next-tables.ts";
import { desired, version } from "./testing/desired.ts";
import type { Tables } from "./tables.ts";
import { controlDecoder, encodeControl } from "#wire/control/frame.ts";
import { type Sent, TablesOut } from "./tables-out.ts";

const first = nextTables(undefined, desired(1024, [{ id: 1 }, { id: 2 }]), version(1));
const second = nextTables(first, desired(1024, [{ id: 1 }, { id: 2 }, { id: 3 }]), version(2));
const third = nextTables(second, desired(1024, [{ id: 1 }]), version(3));

const tablesOut = (): TablesOut =>
  new TablesOut((bytes) => encodeControl({ type: "tables", bytes }));

/** A member that reads what it is sent as an agent does. */
class Member {
  readonly node: { readonly id: ReturnType<typeof nodeId> };
  readonly forms: string[] = [];
  readonly frames: Uint8Array[] = [];
  held: Tables | undefined;
  outcomes: Sent[] = [];

  constructor(id: number) {
    this.node = { id: nodeId(id) };
  }

  sendFrame(_type: string, frame: Uint8Array): Sent {
    this.frames.push(frame);
    const outcome = this.outcomes.shift() ?? "sent";
    if (outcome !== "sent") return outcome;
    for (const received of controlDecoder().push(frame)) {
      assert.ok(received.ok && received.message.type === "tables");
      this.#read(received.message.bytes);
    }
    return outcome;
  }

  #read(bytes: Uint8Array): void {
    const label = peekTables(bytes);
    assert.ok(label.ok);
    this.forms.push(label.value.form);
    const isDelta = label.value.form === "delta" && this.held !== undefined;
    const read = isDelta && this.held ? applyDelta(this.held, bytes) : decodeTables(bytes);
    if (read.ok) this.held = read.value;
  }
}

test("B9: a member that reads deltas gets the first tables whole and then what changes", () => {
  const [out, member, plain] = [tablesOut(), new Member(2), new Member(3)];
  out.reads(member.node.id, NO_TABLES, first);
  for (const tables of [first, second, third]) {
    assert.equal(out.send(tables, member), true);
    assert.equal(out.send(tables, plain), true);
    assert.deepEqual([member.held, plain.held], [tables, tables]);
  }
  assert.deepEqual(member.forms, ["full", "delta", "delta"]);
  assert.deepEqual(plain.forms, ["full", "full", "full"]);
  assert.deepEqual(out.counts, { full: 4, delta: 2 });
});

test("B9: who holds the newest tables when it comes gets the next ones as a delta", () => {
  const [out, member] = [tablesOut(), new Member(2)];
  member.held = first;
  out.reads(member.node.id, first.version, first);
  out.send(second, member);
  assert.deepEqual([member.forms, member.held], [["delta"], second]);
});

test("B9: who does not hold what was thought, or whose connection ended, gets everything", () => {
  const [out, member] = [tablesOut(), new Member(2)];
  out.reads(member.node.id, first.version, first);
  out.lost(member.node.id);
  out.send(second, member);
  out.gone(member.node.id);
  out.send(third, member);
  assert.deepEqual([member.forms, member.held], [["full", "full"], third]);
});

test("B9: a delta that took the place of tables it builds on goes out whole", () => {
  const [out, member] = [tablesOut(), new Member(2)];
  out.reads(member.node.id, NO_TABLES, first);
  member.outcomes = ["queued", "replaced", "sent"];
  out.send(first, member);
  out.send(second, member);
  assert.deepEqual([member.forms, member.held], [["full"], second]);
});

test("B9: each form is made once for all members that need it", () => {
  const [out, members] = [tablesOut(), [2, 3, 4].map((id) => new Member(id))];
  for (const { node } of members) out.reads(node.id, NO_TABLES, first);
  for (const tables of [first, second]) for (const member of members) out.send(tables, member);
  const [one, ...others] = members;
  for (const other of others) {
    for (const [index, frame] of other.frames.entries()) assert.equal(frame, one?.frames[index]);
  }
});
