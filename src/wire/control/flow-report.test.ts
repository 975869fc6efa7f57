// B4: what a member says about its connections, there and back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { flowKey, type FlowKey } from "../flow-key.ts";
import { hex } from "../testing/hex.ts";
import {
  boundedFlowReport,
  decodeFlowReport,
  encodeFlowReport,
  MAX_FLOW_REPORT,
  MAX_REPORTED_FLOWS,
} from "./flow-report.ts";

const flow = (port: number, length = 4): FlowKey =>
  flowKey({
    protocol: 6,
    source: new Uint8Array(length).fill(9),
    sourcePort: port,
    destination: new Uint8Array(length).fill(10),
    destinationPort: 443,
  });
const tables = { epoch: 3, counter: 260, master: nodeId(2) };

test("B4: golden bytes of a report", () => {
  const report = { tables, established: [flow(1)], ended: [flow(2, 16)] };
  const bytes = encodeFlowReport(report);
  assert.equal(
    hex(bytes),
    [
      "01", // version
      "03000000040100000200", // epoch 3, counter 260, master 2
      "01000000060909090900010a0a0a0a01bb", // one established
      `0100000086${"09".repeat(16)}0002${"0a".repeat(16)}01bb`, // one ended, over IPv6
    ].join(""),
  );
  assert.deepEqual(decodeFlowReport(bytes), report);
});

test("B4: bytes that are cut, too long, of another version or of another protocol are no report", () => {
  const bytes = encodeFlowReport({ tables, established: [flow(1)], ended: [flow(2)] });
  for (let length = 0; length < bytes.byteLength; length++) {
    assert.equal(decodeFlowReport(bytes.subarray(0, length)), undefined, `${length} bytes`);
  }
  assert.equal(decodeFlowReport(Uint8Array.of(...bytes, 0)), undefined);
  assert.equal(decodeFlowReport(Uint8Array.of(2, ...bytes.subarray(1))), undefined);
  const protocol = bytes.slice();
  protocol[15] = 1;
  assert.equal(decodeFlowReport(protocol), undefined);
});

test("B4: a report has a limit, and the longest one fits it", () => {
  const many = Array.from({ length: MAX_REPORTED_FLOWS + 5 }, (_, port) => flow(port, 16));
  const report = boundedFlowReport({ tables, established: many, ended: many });
  const bytes = encodeFlowReport(report);
  assert.equal(bytes.byteLength, MAX_FLOW_REPORT);
  assert.deepEqual(decodeFlowReport(bytes), report);
  assert.equal(
    decodeFlowReport(encodeFlowReport({ tables, established: many, ended: [] })),
    undefined,
  );
});
