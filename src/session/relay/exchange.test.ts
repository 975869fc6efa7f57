// A16: requests and answers between a client and a backend that may be lost at any moment, as may the member between them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Instant, instant } from "#base/time.ts";
import {
  Exchange,
  type ExchangeEffect,
  type ExchangeInput,
  type ExchangeRules,
} from "./exchange.ts";

const RULES: ExchangeRules = {
  ...{ framing: "line", maxFrame: 100, maxInFlight: 8, maxInFlightBytes: 1000 },
  ...{ onLoss: "replay", greeting: 0, connectTimeoutMs: 5000 },
  ...{ answerTimeoutMs: 0, idleTimeoutMs: 0 },
};
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const shown = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** Effects in short: "give a\n", "commit A\n {…} 3", … */
function words(effects: readonly ExchangeEffect[]): string[] {
  return effects.map((effect) => {
    switch (effect.type) {
      case "give":
        return `give ${shown(effect.bytes)}`;
      case "commit":
        return `commit ${shown(effect.output)}|${shown(effect.state)}|${effect.unread}`;
      case "trouble":
        return effect.trouble;
      case "connect":
      case "end-backend":
      case "drop-backend":
      case "end":
        return effect.type;
    }
  });
}

class Talk {
  readonly exchange: Exchange;
  now: Instant = instant(0);

  constructor(rules: Partial<ExchangeRules> = {}, state?: Uint8Array) {
    this.exchange = new Exchange({ ...RULES, ...rules });
    this.began = this.step({ type: "begin", state });
  }

  readonly began: string[];

  step(input: ExchangeInput): string[] {
    return words(this.exchange.step(this.now, input));
  }

  client = (bytes: string): string[] => this.step({ type: "client", bytes: text(bytes) });
  backend = (bytes: string): string[] => this.step({ type: "backend", bytes: text(bytes) });
  wait(ms: number): string[] {
    this.now = instant(this.now + ms);
    return this.step({ type: "tick" });
  }
}

test("A16: whole requests go to the backend; an answer leaves with the state in which its request is answered", () => {
  const talk = new Talk();
  assert.deepEqual(talk.began, ["connect"]);
  assert.deepEqual(talk.client("a\nb"), []);
  assert.deepEqual(talk.step({ type: "backend-up" }), ["give a\n"]);
  assert.deepEqual(talk.client("c\nd\ne"), ["give bc\nd\n"]);
  assert.deepEqual(talk.backend("A\nBC"), ['commit A\n|{"greeting":0,"given":0}|6']);
  assert.deepEqual(talk.backend("\nD\n"), ['commit BC\nD\n|{"greeting":0,"given":0}|1']);
  assert.deepEqual(talk.backend("unasked\n"), ['commit unasked\n|{"greeting":0,"given":0}|1']);
});

test("A16: replay: requests without an answer go to the next backend; half an answer is forgotten", () => {
  const talk = new Talk();
  talk.step({ type: "backend-up" });
  talk.client("a\nb\n");
  talk.backend("A\nB");
  assert.deepEqual(talk.step({ type: "backend-lost" }), ["drop-backend", "connect"]);
  assert.deepEqual(talk.step({ type: "backend-up" }), ["give b\n"]);
  assert.deepEqual(talk.backend("B\n"), ['commit B\n|{"greeting":0,"given":0}|0']);
  assert.deepEqual(talk.step({ type: "backend-lost" }), ["drop-backend"], "called when needed");
  assert.deepEqual(talk.client("c\n"), ["connect"]);
});

test("A16: a request that fails each backend is given up, and so is a backend that cannot be reached", () => {
  const talk = new Talk();
  talk.client("poison\n");
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(talk.step({ type: "backend-up" }), ["give poison\n"]);
    assert.deepEqual(talk.step({ type: "backend-lost" }), ["drop-backend", "connect"]);
  }
  talk.step({ type: "backend-up" });
  assert.deepEqual(talk.step({ type: "backend-lost" }), [
    ...["replayed-too-often", "drop-backend", "end"],
  ]);
  const silent = new Talk({ greeting: 1, answerTimeoutMs: 1000 });
  for (let round = 0; round < 3; round++) {
    silent.step({ type: "backend-up" });
    assert.deepEqual(silent.wait(1000), ["drop-backend", "connect"]);
  }
  silent.step({ type: "backend-up" });
  assert.deepEqual(silent.wait(1000), ["replayed-too-often", "drop-backend", "end"]);
  const away = new Talk();
  away.client("a\n");
  assert.deepEqual(away.step({ type: "backend-lost" }), ["drop-backend"]);
  assert.deepEqual(away.wait(100), ["connect"]);
  assert.deepEqual(away.wait(4900), ["backend-unreachable", "drop-backend", "end"]);
  assert.equal(away.exchange.deadline, undefined);
});

test("A16: close: a request is given when the others know of it, never twice, and its loss ends the client's connection", () => {
  const talk = new Talk({ onLoss: "close" });
  talk.step({ type: "backend-up" });
  assert.deepEqual(talk.client("a\nb\n"), ['commit |{"greeting":0,"given":2}|4']);
  assert.deepEqual(talk.step({ type: "held", given: 2 }), ["give a\nb\n"]);
  assert.ok(talk.exchange.mustStay, "a planned move waits");
  assert.deepEqual(talk.backend("A\n"), ['commit A\n|{"greeting":0,"given":1}|2']);
  assert.deepEqual(talk.step({ type: "backend-lost" }), ["request-lost", "drop-backend", "end"]);

  const idle = new Talk({ onLoss: "close" });
  idle.step({ type: "backend-up" });
  idle.client("a\n");
  idle.step({ type: "held", given: 1 });
  idle.backend("A\n");
  assert.ok(!idle.exchange.mustStay);

  const state = (given: number): Uint8Array => text(`{"greeting":0,"given":${given}}`);
  const after = new Talk({ onLoss: "close" }, state(1));
  assert.deepEqual(after.began, ["request-lost", "drop-backend", "end"]);
  assert.deepEqual(new Talk({ onLoss: "close" }, state(0)).began, ["connect"]);
});

test("A16: the client gets one greeting, whoever says it", () => {
  const talk = new Talk({ greeting: 2 });
  talk.step({ type: "backend-up" });
  talk.client("a\n");
  assert.deepEqual(talk.backend("hello\n"), ['commit hello\n|{"greeting":1,"given":0}|2']);
  talk.step({ type: "backend-lost" });
  talk.step({ type: "backend-up" });
  assert.deepEqual(talk.backend("hello again\nready\nA\n"), [
    'commit ready\nA\n|{"greeting":0,"given":0}|0',
  ]);
  const later = new Talk({ greeting: 2 }, text('{"greeting":0,"given":0}'));
  later.step({ type: "backend-up" });
  later.client("b\n");
  assert.deepEqual(later.backend("hello\nready\nB\n"), ['commit B\n|{"greeting":0,"given":0}|0']);
});

test("A16: the client's end goes on to the backend behind the last request, and the backend's ends the session", () => {
  const talk = new Talk();
  talk.step({ type: "backend-up" });
  talk.client("a\nlast");
  assert.deepEqual(talk.step({ type: "client-ended" }), ["give last", "end-backend"]);
  assert.deepEqual(talk.backend("A\nbye"), ['commit A\n|{"greeting":0,"given":0}|4']);
  assert.deepEqual(talk.step({ type: "backend-ended" }), [
    'commit bye|{"greeting":0,"given":0}|4',
    ...["drop-backend", "end"],
  ]);
  const mute = new Talk();
  mute.step({ type: "backend-up" });
  assert.deepEqual(mute.step({ type: "client-ended" }), ["end-backend"]);
  assert.deepEqual(mute.wait(10_000), ["drop-backend", "end"]);
  assert.deepEqual(new Talk().step({ type: "client-ended" }), ["drop-backend", "end"]);
});

test("A16: a backend that ends with a request in flight is lost; one that ends without has said so", () => {
  const talk = new Talk();
  talk.step({ type: "backend-up" });
  talk.client("a\n");
  assert.deepEqual(talk.step({ type: "backend-ended" }), ["drop-backend", "connect"]);
  talk.step({ type: "backend-up" });
  talk.backend("A\n");
  assert.deepEqual(talk.step({ type: "backend-ended" }), ["drop-backend", "end"]);
});

test("A16: limits: messages, requests in flight, answers that do not come, clients that say nothing", () => {
  const long = "x".repeat(101);
  assert.deepEqual(new Talk().client(long), ["request-too-long", "drop-backend", "end"]);
  const talk = new Talk({ answerTimeoutMs: 1000, idleTimeoutMs: 60_000 });
  talk.step({ type: "backend-up" });
  assert.deepEqual(talk.backend(long), ["answer-too-long", "drop-backend", "end"]);

  const full = new Talk({ answerTimeoutMs: 1000, idleTimeoutMs: 60_000 });
  full.step({ type: "backend-up" });
  assert.ok(full.exchange.wantsRequests);
  full.client("1\n2\n3\n4\n5\n6\n7\n8\n9\n");
  assert.ok(!full.exchange.wantsRequests);
  assert.equal(full.exchange.deadline, 1000);
  assert.deepEqual(full.wait(1000), ["drop-backend", "connect"]);
  full.step({ type: "backend-up" });
  full.backend("1\n2\n3\n4\n5\n6\n7\n8\n9\n");
  assert.equal(full.exchange.deadline, 61_000);
  assert.deepEqual(full.wait(60_000), ["idle", "drop-backend", "end"]);
});

/** What a client sends and a backend answers, cut anywhere, with members and backends that die in between. */
const stroke = fc.record({
  kind: fc.constantFrom("type", "type", "answer", "answer", "lose", "take"),
  size: fc.integer({ min: 1, max: 9 }),
});

test("A16: whatever dies, the client gets each answer once, in order, whole", () => {
  const requests = Array.from({ length: 12 }, (_, index) => `request ${index}\n`).join("");
  fc.assert(
    fc.property(fc.array(stroke, { maxLength: 200 }), (strokes) => {
      const rules = { ...RULES, maxInFlight: 100 };
      let exchange = new Exchange(rules);
      let [typed, taken, got] = [0, 0, ""];
      let state: Uint8Array | undefined;
      /** What the backend has heard and not answered. */
      let asked = "";
      const perform = (effects: readonly ExchangeEffect[]): void => {
        for (const effect of effects) {
          if (effect.type === "give") asked += shown(effect.bytes);
          if (effect.type === "commit") {
            got += shown(effect.output);
            state = effect.state;
            taken = typed - effect.unread;
          }
          if (effect.type === "connect") {
            asked = "";
            perform(exchange.step(instant(0), { type: "backend-up" }));
          }
        }
      };
      perform(exchange.step(instant(0), { type: "begin", state }));
      for (const { kind, size } of strokes) {
        if (kind === "type") {
          const bytes = text(requests.slice(typed, typed + size));
          typed += bytes.byteLength;
          if (bytes.byteLength > 0) perform(exchange.step(instant(0), { type: "client", bytes }));
        }
        if (kind === "answer") {
          const bytes = text(asked.slice(0, size).toUpperCase());
          asked = asked.slice(size);
          if (bytes.byteLength > 0) perform(exchange.step(instant(0), { type: "backend", bytes }));
        }
        if (kind === "lose") {
          const [first] = asked;
          if (first === undefined) continue;
          exchange.step(instant(0), { type: "backend-lost" });
          // a backend that answers in time is not replayed too often
          perform([{ type: "connect" }]);
          const answer = text(asked.slice(0, asked.indexOf("\n") + 1).toUpperCase());
          asked = asked.slice(answer.byteLength);
          perform(exchange.step(instant(0), { type: "backend", bytes: answer }));
        }
        if (kind === "take") {
          exchange = new Exchange(rules);
          perform(exchange.step(instant(0), { type: "begin", state }));
          const bytes = text(requests.slice(taken, typed));
          if (bytes.byteLength > 0) perform(exchange.step(instant(0), { type: "client", bytes }));
        }
      }
      assert.equal(got, requests.toUpperCase().slice(0, got.length));
      assert.ok(got === "" || got.endsWith("\n"));
    }),
    { numRuns: 500 },
  );
});
