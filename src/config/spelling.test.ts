// Suggestions name what was meant, and nothing where nothing is near.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest, suggestion } from "./spelling.ts";

test("the nearest word is the one with the fewest mistakes, neighbours swapped counting once", () => {
  const words = ["name", "nodes", "address", "interface", "id"];
  assert.equal(nearest("adress", words), "address");
  assert.equal(nearest("nodse", words), "nodes");
  assert.equal(nearest("Interfce", words), "interface");
  assert.equal(nearest("weight", words), undefined);
  assert.equal(nearest("", words), undefined);
  assert.equal(nearest("x", ["m1"]), undefined);
  assert.equal(suggestion("prot", ["port"]), ' Did you mean "port"?');
  assert.equal(suggestion("prot", []), "");
});
