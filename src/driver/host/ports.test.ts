// Which interface a virtual address belongs to, by tables of addresses and networks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { portOf, type Network } from "./ports.ts";

const network = (device: string, text: string): Network => {
  const [address = "", length = ""] = text.split("/");
  return { device, address: ip(address), prefixLength: Number(length) };
};

const NETWORKS = [
  network("eth0", "10.77.0.11/24"),
  network("eth0", "fd77::11/64"),
  network("eth1", "10.77.0.129/25"),
  network("eth1", "10.88.3.1/22"),
  network("eth1", "fd88::11/64"),
  network("eth1", "10.99.0.1/32"),
];

test("A22: a virtual address belongs to the interface in whose network it is, the most exact one of several", () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["10.77.0.100", "eth0"],
    ["10.77.0.128", "eth1"],
    ["10.77.0.255", "eth1"],
    ["10.77.1.0", undefined],
    ["10.88.0.0", "eth1"],
    ["10.88.3.255", "eth1"],
    ["10.88.4.0", undefined],
    // a single address is no network
    ["10.99.0.1", undefined],
    ["fd77::100", "eth0"],
    ["fd88::ffff:0:0:1", "eth1"],
    ["fd99::1", undefined],
  ];
  for (const [vip, device] of cases) assert.equal(portOf(ip(vip), NETWORKS), device, vip);
});

test("A22: a network of length 0 takes what no other takes, of its own family", () => {
  const networks = [...NETWORKS, network("eth2", "192.0.2.1/0")];
  assert.equal(portOf(ip("203.0.113.9"), networks), "eth2");
  assert.equal(portOf(ip("2001:db8::1"), networks), undefined);
});
