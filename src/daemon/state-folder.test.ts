// What an agent remembers on disk, and what becomes of it when somebody else has written there.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { StateFolder } from "./state-folder.ts";

test("A16: who was together last is known to the next start; what is damaged is nobody", (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "panoply-state-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const state = new StateFolder(folder);
  assert.deepEqual(state.together(), [], "the first start");
  for (const nodes of [[1, 2, 4095].map(nodeId), [nodeId(3)], []]) {
    state.saveTogether(nodes);
    assert.deepEqual(new StateFolder(folder).together(), nodes);
  }
  for (const damaged of ["1 2 x", "1 4096", "0", "1,2", "\0"]) {
    writeFileSync(path.join(folder, "together"), damaged);
    assert.deepEqual(state.together(), [], damaged);
  }
});
