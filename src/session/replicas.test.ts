// A16: what may be said of how many other members hold a session.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isReplicaCount } from "./replicas.ts";
import { createSessionServer } from "./server.ts";

test("A16: all, or a whole number from 1: anything else is refused before anything is touched", async () => {
  for (const right of ["all", 1, 2, 4095]) assert.ok(isReplicaCount(right), String(right));
  for (const wrong of [0, -1, 1.5, 4096, Number.NaN, "1", "none", undefined]) {
    assert.ok(!isReplicaCount(wrong), String(wrong));
  }
  const options = { interface: "nothing", bundle: "/nothing", replicas: 0 };
  await assert.rejects(
    createSessionServer(options, () => {}),
    /0 replicas are none. Give "all", or a whole number/,
  );
});
