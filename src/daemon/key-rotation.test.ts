// The steps of a rotation, and what makes one, with the clock in the test's hands.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GroupKey } from "#wire/control/message.ts";
import { GroupKeys } from "./group-keys.ts";
import { ACTIVATE_AFTER_MS, KeyRotation, RETIRE_AFTER_MS } from "./key-rotation.ts";
import type { Trust } from "./trust.ts";

const trust = (nodes: readonly string[], revoked: readonly string[] = []): Trust => ({
  nodes: new Set(nodes),
  revoked: new Set(revoked),
});
const key = (keyId: number): GroupKey => ({ keyId, key: new Uint8Array(32).fill(keyId) });

interface Scene {
  readonly rotation: KeyRotation;
  readonly keys: GroupKeys;
  /** "key 7", "key 7 active", "retire", "send 7", "send 7 and 6" since last asked. */
  readonly done: () => string[];
  readonly pass: (ms: number) => void;
  trusted: Trust;
  master: boolean;
}

function scene(): Scene {
  const keys = new GroupKeys();
  let done: string[] = [];
  let now = 0;
  let waiting: { at: number; act: () => void }[] = [];
  const rotation = new KeyRotation({
    keys,
    isMaster: () => self.master,
    trust: () => self.trusted,
    heart: (command) => {
      if (command.type !== "group-key") done.push(command.type);
      else done.push(`key ${command.keyId}${command.activate ? " active" : ""}`);
    },
    sendToAll: () => {
      const before = keys.before === undefined ? "" : ` and ${keys.before.keyId}`;
      done.push(`send ${keys.newest?.keyId}${before}`);
    },
    later: (delayMs, act) => {
      const entry = { at: now + delayMs, act };
      waiting.push(entry);
      return () => {
        waiting = waiting.filter((each) => each !== entry);
      };
    },
  });
  const self: Scene = {
    rotation,
    keys,
    done: () => {
      const seen = done;
      done = [];
      return seen;
    },
    pass: (ms) => {
      now += ms;
      const due = waiting.filter(({ at }) => at <= now);
      waiting = waiting.filter(({ at }) => at > now);
      for (const { act } of due) act();
    },
    trusted: trust(["a", "b", "c"]),
    master: true,
  };
  return self;
}

/** A member of a cluster whose key is 10. */
function member(): Scene {
  const self = scene();
  self.master = false;
  self.rotation.adopt(key(10), undefined);
  self.done();
  return self;
}

test("A2: a rotation gives the new key to all, sends with it, then forgets the ones before", () => {
  const self = member();
  self.master = true;
  self.rotation.rotate();
  assert.deepEqual(self.done(), ["key 11", "send 11 and 10"]);
  self.pass(ACTIVATE_AFTER_MS);
  assert.deepEqual(self.done(), ["key 11 active"]);
  self.pass(RETIRE_AFTER_MS);
  assert.deepEqual(self.done(), ["retire-keys", "send 11"]);
  assert.equal(self.keys.before, undefined);
});

test("A2: two rotations at once: only the newest key is ever activated, and late members get the one in use", () => {
  const self = member();
  self.master = true;
  self.rotation.rotate();
  self.pass(ACTIVATE_AFTER_MS / 2);
  self.rotation.rotate();
  assert.deepEqual(self.done(), ["key 11", "send 11 and 10", "key 12", "send 12 and 10"]);
  self.pass(ACTIVATE_AFTER_MS / 2);
  assert.deepEqual(self.done(), [], "the first rotation's time means nothing to the second key");
  self.pass(ACTIVATE_AFTER_MS / 2);
  assert.deepEqual(self.done(), ["key 12 active"]);
  self.pass(RETIRE_AFTER_MS);
  assert.deepEqual(self.done(), ["retire-keys", "send 12"]);
});

test("A2: a rotation between the first sending with a key and its retirement leaves everybody the key in use", () => {
  const self = member();
  self.master = true;
  self.rotation.rotate();
  self.pass(ACTIVATE_AFTER_MS);
  assert.deepEqual(self.done(), ["key 11", "send 11 and 10", "key 11 active"]);
  self.pass(RETIRE_AFTER_MS / 2);
  self.rotation.rotate();
  assert.deepEqual(self.done(), ["key 12", "send 12 and 11"]);
  self.pass(ACTIVATE_AFTER_MS);
  self.pass(RETIRE_AFTER_MS);
  assert.deepEqual(self.done(), ["key 12 active", "retire-keys", "send 12"]);
});

test("A2: when a node is removed or a certificate revoked, the master replaces the key at once", () => {
  for (const less of [trust(["a", "b"]), trust(["a", "b", "c"], ["77"])]) {
    const self = member();
    self.master = true;
    self.trusted = trust(["a", "b", "c", "d"]);
    self.rotation.trustChanged();
    assert.deepEqual(self.done(), [], "one more is no reason");
    self.trusted = less;
    self.rotation.trustChanged();
    assert.deepEqual(self.done(), ["key 11", "send 11 and 10"]);
    self.rotation.trustChanged();
    assert.deepEqual(self.done(), [], "not again for the same loss");
  }
});

test("A2: a node that was added after the key was made and is removed again knew the key", () => {
  const self = member();
  self.master = true;
  self.trusted = trust(["a", "b", "c", "d"]);
  self.rotation.trustChanged();
  self.trusted = trust(["a", "b", "c"]);
  self.rotation.trustChanged();
  assert.deepEqual(self.done(), ["key 11", "send 11 and 10"]);
});

test("A2: a new master replaces a key that somebody knows who is out, if the former master could not", () => {
  const self = member();
  self.trusted = trust(["a", "b"]);
  self.rotation.trustChanged();
  assert.deepEqual(self.done(), [], "that is the master's business");
  self.rotation.becameMaster(10); // the view that says so follows
  self.master = true;
  assert.deepEqual(self.done(), ["key 11", "send 11 and 10"]);
});

test("A2: a new master keeps a good key, and completes what the former one began", () => {
  const settled = member();
  settled.master = true;
  settled.rotation.becameMaster(10);
  settled.pass(ACTIVATE_AFTER_MS);
  assert.deepEqual(settled.done(), []);

  const begun = member();
  begun.rotation.adopt(key(11), key(10));
  assert.deepEqual(begun.done(), ["key 10 active", "key 11"]);
  begun.master = true;
  begun.rotation.becameMaster(10);
  assert.deepEqual(begun.done(), ["key 10 active", "key 11"]);
  begun.pass(ACTIVATE_AFTER_MS);
  begun.pass(RETIRE_AFTER_MS);
  assert.deepEqual(begun.done(), ["key 11 active", "retire-keys", "send 11"]);
});

test("A2: a new master goes on sending with the key that the former one sent with, also when it replaces it", () => {
  const self = member();
  self.rotation.adopt(key(11), key(10));
  self.trusted = trust(["a", "b"]);
  self.done();
  self.rotation.becameMaster(11); // the former master sent with it already
  self.master = true;
  assert.deepEqual(self.done(), ["key 10", "key 11 active", "key 12", "send 12 and 11"]);
});

test("A2: the first master makes a key and uses it at once; a member drops what its master dropped", () => {
  const first = scene();
  first.rotation.becameMaster(undefined);
  const id = first.keys.newest?.keyId;
  assert.deepEqual(first.done(), [`key ${id} active`]);
  const follower = member();
  follower.rotation.adopt(key(11), key(10));
  follower.done();
  follower.rotation.adopt(key(11), undefined);
  assert.deepEqual(follower.done(), ["key 11 active", "retire-keys"]);
});

test("A2: who is not master any more, or has stopped, completes nothing", () => {
  const self = member();
  self.master = true;
  self.rotation.rotate();
  self.done();
  self.master = false;
  self.pass(ACTIVATE_AFTER_MS);
  assert.deepEqual(self.done(), []);
  self.master = true;
  self.rotation.rotate();
  self.done();
  self.rotation.close();
  self.pass(ACTIVATE_AFTER_MS);
  assert.deepEqual(self.done(), []);
});
