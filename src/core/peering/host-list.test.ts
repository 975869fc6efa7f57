// Who is where: from the configuration, from keepalives, and who is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { peerMac, type PeerMacs } from "#base/peering.ts";
import { hostList, outdated, sourceMacs, type ListedNode } from "./host-list.ts";

const PRIMARY = ip("10.77.0.100");
const MULTICAST: PeerMacs = { kind: "multicast", primary: PRIMARY };
const node = (id: number, address: string, ...addresses: string[]): ListedNode => ({
  id: nodeId(id),
  address: ip(address),
  addresses: addresses.map(ip),
});
const heard = (id: number, address: string) => ({ id: nodeId(id), address: ip(address) });
const shown = (list: ReturnType<typeof hostList>): string[] =>
  list.rows.map(({ node: id, address, mac: at, source, live }) =>
    [id, address, at, source, live ? "live" : "-"].join(" "),
  );

test("C2: configured nodes are listed before they are heard, and live once they are", () => {
  const nodes = [node(1, "10.77.0.1", "fd77::1"), node(2, "10.77.0.2")];
  assert.deepEqual(shown(hostList(nodes, [heard(1, "10.77.0.1")], MULTICAST)), [
    "1 10.77.0.1 03:bf:0a:4d:00:01 keepalive live",
    "1 fd77::1 03:bf:fd:77:00:01 configured live",
    "2 10.77.0.2 03:bf:0a:4d:00:02 configured -",
  ]);
});

test("C16: a member whose keepalives come from another address has that one, and the old one no longer", () => {
  const list = hostList([node(1, "10.77.0.1")], [heard(1, "10.77.0.9")], MULTICAST);
  assert.deepEqual(shown(list), ["1 10.77.0.9 03:bf:0a:4d:00:09 keepalive live"]);
});

test("C8, C16: a stack asks anew for who has another MAC now, has gone or has died; not for who joins", () => {
  const nodes = [node(1, "10.77.0.1", "fd77::1"), node(2, "10.77.0.2")];
  const both = [heard(1, "10.77.0.1"), heard(2, "10.77.0.2")];
  const list = (members = both, listed = nodes, macs = MULTICAST) =>
    hostList(listed, members, macs);
  assert.deepEqual(outdated(list(), list()), []);
  assert.deepEqual(outdated(list([]), list()), [], "joins");
  assert.deepEqual(outdated(list(), list(both.slice(1))), ["10.77.0.1", "fd77::1"], "died");
  assert.deepEqual(outdated(list([]), list([])), [], "has long been dead");
  assert.deepEqual(outdated(list(), list(both, nodes.slice(0, 1))), ["10.77.0.2"], "removed");
  const moved = [heard(1, "10.77.0.9"), heard(2, "10.77.0.2")];
  assert.deepEqual(outdated(list(), list(moved)), ["10.77.0.1"], "has another address");
  const masked = list(both, nodes, { kind: "masked", primary: PRIMARY });
  assert.deepEqual(outdated(list(), masked), ["10.77.0.1", "fd77::1", "10.77.0.2"], "other MACs");
});

test("C16: an address that one member has given up and another has taken is the other's", () => {
  const nodes = [node(1, "10.77.0.1"), node(2, "10.77.0.2")];
  const list = hostList(nodes, [heard(2, "10.77.0.1")], MULTICAST);
  assert.deepEqual(shown(list), ["2 10.77.0.1 03:bf:0a:4d:00:01 keepalive live"]);
  assert.deepEqual(
    list.refused.map(({ node: id }) => id),
    [1],
  );
});

test("C14: a dedicated MAC that two nodes would have is refused to the second, and said", () => {
  const nodes = [node(1, "10.77.0.1", "fd77::1:0:5"), node(2, "10.77.0.2", "fd77::5:0:1")];
  const list = hostList(nodes, [], MULTICAST);
  assert.equal(list.rows.length, 3);
  assert.deepEqual(
    list.refused.map(({ address }) => address),
    ["fd77::5:0:1"],
  );
});

test("C14: nobody has a cluster MAC as dedicated MAC", () => {
  const list = hostList([node(1, "10.77.0.100")], [], MULTICAST);
  assert.deepEqual(list.rows, []);
  assert.equal(list.refused.length, 1);
});

test("C3, C11, C12: what each kind gives a node; a table without an entry gives the masked one", () => {
  const listed = { ...node(0xabc, "10.77.0.1"), mac: mac("02:00:5e:00:00:01") };
  const macOf = (macs: PeerMacs, which: ListedNode): string | undefined =>
    hostList([which], [], macs).rows[0]?.mac;
  assert.equal(macOf({ kind: "masked", primary: PRIMARY }, listed), "02:1a:bc:4d:00:64");
  assert.equal(macOf(MULTICAST, listed), "03:bf:0a:4d:00:01");
  assert.equal(macOf({ kind: "table", primary: PRIMARY }, listed), "02:00:5e:00:00:01");
  assert.equal(
    macOf({ kind: "table", primary: PRIMARY }, node(0xabc, "10.77.0.1")),
    "02:1a:bc:4d:00:64",
  );
  const shared: PeerMacs = { kind: "shared", primary: PRIMARY };
  assert.equal(macOf(shared, listed), "03:1f:ff:4d:00:64");
  assert.equal(
    macOf({ ...shared, sharedMac: mac("03:00:00:00:00:01") }, listed),
    "03:00:00:00:00:01",
  );
  const both = hostList([node(1, "10.77.0.1"), node(2, "10.77.0.2")], [], shared);
  assert.equal(both.rows.length, 2, "that one may be several nodes'");
});

test("C8: outsiders see a masked source; peers the dedicated MAC where it is one node's and unicast", () => {
  const self = nodeId(1);
  const own = peerMac(self, PRIMARY);
  const outsiders = "02:00:01:4d:00:64";
  assert.deepEqual(sourceMacs(self, { kind: "masked", primary: PRIMARY }, own), {
    outsiders,
    peers: own,
  });
  const group = mac("03:bf:0a:4d:00:01");
  assert.deepEqual(sourceMacs(self, MULTICAST, group), { outsiders, peers: outsiders });
  const shared: PeerMacs = { kind: "shared", primary: PRIMARY };
  const several = mac("02:1f:ff:4d:00:64");
  assert.deepEqual(sourceMacs(self, shared, several), { outsiders, peers: outsiders });
});
