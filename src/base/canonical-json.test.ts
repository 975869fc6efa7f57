// Equal values have equal text, whatever order their keys were set in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson } from "./canonical-json.ts";

test("A4: keys are sorted at every depth, undefined ones are left out, order of lists is kept", () => {
  const text = '{"a":[2,1,{"x":null,"y":true}],"b":"\\"é\\n"}';
  assert.equal(
    canonicalJson({ b: '"é\n', gone: undefined, a: [2, 1, { y: true, x: null }] }),
    text,
  );
  assert.equal(canonicalJson(JSON.parse(text)), text);
});
