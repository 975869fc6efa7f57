// What a server says of its troubles: at once, and not without end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Notices } from "./notices.ts";

test("notices: the first of a kind at once, the rest of a while in one line, other kinds at once", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const lines: string[] = [];
  const notices = new Notices((line) => lines.push(line), 1000);
  for (let number = 1; number <= 5; number++) notices.say("lost", `lost ${number}`);
  notices.say("full", "full");
  assert.deepEqual(lines, ["lost 1\n", "full\n"]);
  t.mock.timers.tick(1000);
  assert.deepEqual(lines.slice(2), ["lost 5 (4 times of late)\n"]);
  t.mock.timers.tick(1000);
  notices.say("lost", "lost 6");
  assert.deepEqual(lines.slice(3), ["lost 6\n"]);
});
