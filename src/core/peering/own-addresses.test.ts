// Which of a machine's addresses are the node's, and in which order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { ownAddresses } from "./own-addresses.ts";

const [LO, ETH0, DOCKER0, ETH1] = [1, 2, 3, 4];
const rules = {
  first: ip("10.77.0.11"),
  listed: new Set([ip("fd77::11"), ip("10.255.0.1")]),
  virtual: new Set([ip("10.77.0.100")]),
  links: new Set([ETH0, ETH1]),
};
const at = (link: number, address: string) => ({ link, address: ip(address) });
const own = (...present: readonly ReturnType<typeof at>[]): string[] =>
  ownAddresses(present, rules).map(({ link, address }) => `${address} at ${link}`);

test("C8, C18: own are those of interfaces with the cluster MAC, and listed ones; not those of other interfaces, and no virtual one", () => {
  const machine = [
    at(LO, "127.0.0.1"),
    at(LO, "::1"),
    at(LO, "10.255.0.1"),
    at(DOCKER0, "172.17.0.1"),
    at(ETH0, "10.77.0.100"),
    at(ETH1, "10.88.0.11"),
    at(ETH0, "fd77::11"),
    at(ETH0, "10.77.0.11"),
  ];
  assert.deepEqual(own(...machine), [
    `10.77.0.11 at ${ETH0}`,
    `fd77::11 at ${ETH0}`,
    `10.255.0.1 at ${LO}`,
    `10.88.0.11 at ${ETH1}`,
  ]);
});

test("C2: the address that members know a node by comes first, whatever order the kernel tells them in: a map has room for so many", () => {
  const many = Array.from({ length: 100 }, (_, index) => at(ETH0, `10.78.0.${index + 1}`));
  const [first, second] = own(...many, at(ETH0, "fd77::11"), at(ETH0, "10.77.0.11"));
  assert.deepEqual([first, second], [`10.77.0.11 at ${ETH0}`, `fd77::11 at ${ETH0}`]);
});

test("C18: an address that two interfaces have is the one's with the cluster MAC", () => {
  assert.deepEqual(own(at(LO, "fd77::11"), at(ETH0, "fd77::11")), [`fd77::11 at ${ETH0}`]);
});
