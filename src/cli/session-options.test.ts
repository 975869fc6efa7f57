// A16: what the commands that serve sessions take as addresses and numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidArgumentError } from "commander";
import { run } from "./program.ts";
import { recordingTerminal } from "./recording-terminal.ts";
import { numberOf, replicasOf, splitEndpoint, wholeOf } from "./session-options.ts";

test("A16: an endpoint is a name or address and a port; IPv6 addresses stand in brackets", () => {
  assert.deepEqual(splitEndpoint("db.example:5432"), { host: "db.example", port: 5432 });
  assert.deepEqual(splitEndpoint("10.0.0.1:80"), { host: "10.0.0.1", port: 80 });
  assert.deepEqual(splitEndpoint("[fd00::1]:80"), { host: "fd00::1", port: 80 });
  for (const wrong of ["", "db", "db:", ":80", "db:0", "db:65536", "[10.0.0.1]:80", "fd00::1:80"]) {
    assert.equal(splitEndpoint(wrong), undefined, wrong);
  }
});

test("A16: numbers outside their range are refused with the range", () => {
  assert.equal(numberOf(0.1, 10)("0.5"), 0.5);
  assert.equal(wholeOf(1, 10)("10"), 10);
  for (const wrong of ["", "x", "-1", "11", "1e1", "0x5"]) {
    assert.throws(() => numberOf(0, 10, "seconds")(wrong), /give seconds, 0 to 10/, wrong);
  }
  assert.throws(() => wholeOf(1, 10)("1.5"), InvalidArgumentError);
});

test("A16: as many members as are given hold a connection, or all; none is refused", () => {
  assert.deepEqual(["all", "1", "12"].map(replicasOf), ["all", 1, 12]);
  for (const wrong of ["", "0", "-1", "1.5", "ALL", "4096"]) {
    assert.throws(() => replicasOf(wrong), /give all, or a whole number, 1 or more/, wrong);
  }
});

const RELAY = "relay --interface eth0 --listen 10.0.0.100:7000";
const REFUSED: readonly (readonly [string, RegExp])[] = [
  [RELAY, /required option '--backend <address>' not specified/],
  [`${RELAY} --backend unix:app.sock`, /give host:port, \[IPv6 address\]:port, or unix:/],
  [`${RELAY} --backend db:1 --framing json`, /Allowed choices are line, u8/],
  [`${RELAY} --backend db:1 --on-loss pray`, /Allowed choices are replay, close/],
  [`${RELAY} --backend db:1 --max-message 2000000`, /give a whole number, 1 to 1048576/],
  [`${RELAY} --backend db:1 --replicas none`, /give all, or a whole number, 1 or more/],
  ["relay --interface eth0 --listen 10.0.0.100 --backend db:1", /give an address and a port/],
];
for (const [line, message] of REFUSED) {
  test(`A16: pan ${line}: refused with status 2`, async () => {
    const terminal = recordingTerminal();
    assert.equal(await run(line.split(" "), terminal), 2);
    assert.match(terminal.written.err, message);
  });
}
