// Topology files: what is accepted, and that every refusal names file, line and remedy.
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { PanError } from "#base/error-codes.ts";
import { standardTopology } from "./standard.ts";
import { macOf, portOf } from "./topology.ts";
import { checkTopology, parseTopology, readTopology } from "./topology-file.ts";

const HEAD = "switches:\n  - name: sw\nhosts:\n";

function refusalOf(text: string): string {
  try {
    parseTopology(text, "lab.yaml");
  } catch (error) {
    assert.ok(error instanceof PanError);
    assert.equal(error.code, "PAN_LAB_TOPOLOGY");
    return error.message;
  }
  throw new assert.AssertionError({ message: "the topology was accepted" });
}

const REFUSALS: readonly [string, string, string][] = [
  ["broken YAML", `${HEAD}  - name: [`, "lab.yaml:4: not YAML"],
  [
    "an unknown key",
    `${HEAD}  - name: m1\n    linkz: []\n`,
    'lab.yaml:5: unknown key "linkz"; remove it or correct its spelling',
  ],
  ["a missing key", `${HEAD}  - links: []\n`, 'lab.yaml:4: missing ["name"]; add it'],
  [
    "a name that cannot be an interface's",
    `${HEAD}  - name: a-host-with-a-long-name\n`,
    'lab.yaml:4: "a-host-with-a-long-name" is not valid; use 1 to 11 lower-case letters',
  ],
  [
    "an unknown switch",
    `${HEAD}  - name: m1\n    links:\n      - switch: sv\n`,
    'lab.yaml:6: there is no switch "sv"; use one of sw',
  ],
  [
    "an address without prefix length",
    `${HEAD}  - name: m1\n    links:\n      - switch: sw\n        addresses: [10.0.0.1]\n`,
    'lab.yaml:7: "10.0.0.1" is not valid; use 10.0.0.1/24 or fd00::1/64',
  ],
  [
    "an address that is none",
    `${HEAD}  - name: m1\n    links:\n      - switch: sw\n        addresses: [10.0.0.256/24]\n`,
    'lab.yaml:7: "10.0.0.256" is no IP address; write 10.0.0.1/24 or fd00::1/64',
  ],
  [
    "an address twice on one switch",
    `${HEAD}  - name: m1\n    links: [{switch: sw, addresses: [10.0.0.1/24]}]\n  - name: m2\n    links: [{switch: sw, addresses: [10.0.0.1/24]}]\n`,
    "lab.yaml:7: 10.0.0.1/24 is m1's already; give another",
  ],
  [
    "a multicast MAC address",
    `${HEAD}  - name: m1\n    links: [{switch: sw, mac: "03:00:00:00:00:01"}]\n`,
    'lab.yaml:5: "03:00:00:00:00:01" is not valid; use 02:00:00:00:00:01',
  ],
  [
    "two hosts of one name",
    `${HEAD}  - name: m1\n  - name: m1\n`,
    "lab.yaml:5: the name m1 is a host's already; rename one",
  ],
  [
    "an argument that is not text",
    `${HEAD}  - name: m1\n    run:\n      - name: a\n        argv: [true]\n`,
    "lab.yaml:7: true is not text; put it in quotes",
  ],
  [
    "a file outside the host's folder",
    `${HEAD}  - name: m1\n    run:\n      - name: a\n        argv: ["true"]\n        files: {../x: y}\n`,
    'lab.yaml:8: "../x" lies outside the host\'s folder; write a relative name without ..',
  ],
  [
    "a sysctl of the whole machine",
    `${HEAD}  - name: m1\n    sysctls: {vm.swappiness: "1"}\n`,
    'lab.yaml:5: "vm.swappiness" does not belong to a namespace; only sysctls under net. do',
  ],
];
for (const [what, text, expected] of REFUSALS) {
  test(`lab: a topology with ${what} is refused with file, line and remedy`, () => {
    const message = refusalOf(text);
    assert.ok(message.includes(expected), message);
  });
}

test("lab: all findings are told at once", () => {
  const message = refusalOf(`${HEAD}  - name: m1\n    linkz: []\n  - name: M2\n`);
  assert.deepEqual(
    message.split("\n").map((line) => line.split(":")[1]),
    ["5", "6"],
  );
});

test("lab: a file that is not there is refused with a remedy", () => {
  assert.throws(() => readTopology("/nowhere/lab.yaml"), {
    code: "PAN_LAB_TOPOLOGY",
    message: /^\/nowhere\/lab\.yaml: cannot be read .*standard topology$/,
  });
});

test("lab: the example and the standard topology are accepted", () => {
  const example = readTopology(path.resolve(import.meta.dirname, "../../examples/lab.yaml"));
  assert.deepEqual(
    example.hosts.map(({ name }) => name),
    ["client", "router", "server"],
  );
  checkTopology(standardTopology({ members: 80 }));
});

test("lab: a topology that code has built is refused by the name of the part", () => {
  const topology = standardTopology({ members: 1, extraHosts: [{ name: "m1" }] });
  assert.throws(() => checkTopology(topology), {
    code: "PAN_LAB_TOPOLOGY",
    message: "hosts.2.name: the name m1 is a host's already; rename one",
  });
});

test("lab: MAC addresses are the same each time, local, and differ between links", () => {
  const [m1, m2] = standardTopology({ members: 2 }).hosts;
  const [first, second] = [m1, m2].map((host) => {
    const link = host?.links?.[0];
    assert.ok(host && link);
    assert.equal(portOf(host, link), `p-${host.name}`);
    return macOf(host, link);
  });
  assert.equal(first, "02:cb:f8:33:a8:a4");
  assert.equal(second, "02:6c:63:99:26:3b");
});
