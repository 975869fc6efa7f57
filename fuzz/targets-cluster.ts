// The decoder of datagrams between nodes (A2-A12): reached by anybody who can send UDP to the cluster port, before any proof of
// origin was checked.
import assert from "node:assert/strict";
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import {
  decodeDatagram,
  encodeProved,
  MAC_LENGTH,
  SIGNATURE_LENGTH,
  type DatagramHeader,
} from "#wire/cluster/datagram.ts";
import { authKindOf, type Message } from "#wire/cluster/message.ts";
import type { Target } from "./target.ts";

const config = { counter: 4, digest: "0011223344556677" };
const tables = { epoch: 3, counter: 9, master: nodeId(2) };
const nonce = { boot: 0x1122334455667788n, request: 5 };
const address = mac("02:00:00:00:00:0a");
const epoch = 3;

const MESSAGES: readonly Message[] = [
  { type: "join-request", request: 1, epoch, config, mac: address },
  { type: "join-accepted", nonce, epoch, config },
  { type: "join-refused", nonce, reason: "revoked" },
  { type: "join-refused", nonce, reason: "application", text: "ipsec: nø" },
  { type: "join-wait", nonce, retryMs: 100 },
  { type: "offer", request: 2, epoch, config, silent: nodeId(0) },
  { type: "offer-accepted", nonce, epoch, config, mac: address },
  {
    type: "other-master-exists",
    nonce,
    request: 3,
    master: nodeId(2),
    epoch,
    config,
    members: 3,
  },
  { type: "exit-request", nonce, reason: "configuration", config },
  {
    type: "master-keepalive",
    sequence: 7,
    epoch,
    config,
    tables,
    detectionMs: 200,
    perInterval: 4,
    roster: 1,
    isMost: true,
    memberCount: 2,
    offset: 0,
    members: [
      { id: nodeId(1), address: ip("10.0.0.1"), mac: address },
      { id: nodeId(2), address: ip("2001:db8::2"), mac: address },
    ],
  },
  {
    type: "member-keepalive",
    sequence: 8,
    master: nodeId(2),
    config,
    tables,
    perInterval: 4,
    mac: address,
  },
  { type: "probe" },
  { type: "goodbye" },
];

const HEADER: DatagramHeader = {
  cluster: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  boot: 0x0102030405060708n,
  counter: 77,
  sender: nodeId(3),
};

function datagramOf(message: Message): Uint8Array {
  const signed = authKindOf(message.type) === "signature";
  const proved = encodeProved(HEADER, message, signed ? new Uint8Array(300).fill(0x30) : 9);
  return Uint8Array.from([...proved, ...new Uint8Array(signed ? SIGNATURE_LENGTH : MAC_LENGTH)]);
}

const datagram: Target = {
  name: "cluster-datagrams",
  seeds: MESSAGES.map(datagramOf),
  run: (bytes) => {
    const decoded = decodeDatagram(bytes);
    if (!decoded.ok) return decoded.reason;
    const { header, message, proof, proved } = decoded.value;
    const origin = proof.kind === "mac" ? proof.keyId : proof.certificate;
    const again = encodeProved(header, message, origin);
    assert.deepEqual(again, Uint8Array.from(proved), "a datagram has one encoding");
    return message.type;
  },
};

export const CLUSTER_TARGETS: readonly Target[] = [datagram];
