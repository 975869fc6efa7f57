// The MAC addresses of the delivery methods, byte by byte (A13).
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ip, ipFromBytes } from "./address.ts";
import { clusterMac, FLOODED_METHODS, igmpGroup, maskedMac, primaryVip } from "./delivery.ts";
import { MAX_NODE_ID, nodeId } from "./ids.ts";

const PRIMARY = ip("10.77.200.100"); // 0a 4d c8 64

test("A13: the cluster MACs of an IPv4 primary", () => {
  assert.equal(clusterMac("unicast", PRIMARY), "02:bf:0a:4d:c8:64");
  assert.equal(clusterMac("multicast", PRIMARY), "03:bf:0a:4d:c8:64");
  assert.equal(clusterMac("igmp", PRIMARY), "01:00:5e:7f:c8:64");
  assert.equal(igmpGroup(PRIMARY), "239.255.200.100");
});

test("A13: the cluster MACs of an IPv6 primary come from its last four bytes", () => {
  const primary = ip("2001:db8::1234:5678");
  assert.equal(clusterMac("unicast", primary), "02:bf:12:34:56:78");
  assert.equal(clusterMac("multicast", primary), "03:bf:12:34:56:78");
  assert.equal(clusterMac("igmp", primary), "01:00:5e:7f:56:78");
  assert.equal(igmpGroup(primary), "239.255.86.120");
});

test("A13: a masked MAC names node and cluster", () => {
  assert.equal(maskedMac(nodeId(7), PRIMARY), "02:00:07:4d:c8:64");
  assert.equal(maskedMac(nodeId(MAX_NODE_ID), PRIMARY), "02:0f:ff:4d:c8:64");
});

test("A13: no masked MAC is a cluster MAC, whatever the primary", () => {
  const bytes = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((four) => ipFromBytes(four));
  const node = fc.integer({ min: 1, max: MAX_NODE_ID }).map(nodeId);
  fc.assert(
    fc.property(bytes, bytes, node, (mine, other, id) => {
      const masked = maskedMac(id, mine);
      for (const method of FLOODED_METHODS) assert.notEqual(masked, clusterMac(method, other));
    }),
  );
});

test("A13: the primary VIP is the lowest IPv4 one, otherwise the lowest", () => {
  const [high, low, six, lowSix] = ["10.0.0.100", "9.255.0.1", "2001:db8::2", "2001:db8::1"].map(
    ip,
  );
  assert.ok(high !== undefined && low !== undefined && six !== undefined && lowSix !== undefined);
  assert.equal(primaryVip([six, high, low], undefined), low);
  assert.equal(primaryVip([six, lowSix], undefined), lowSix);
  assert.equal(primaryVip([], undefined), undefined);
});

test("A13: the primary VIP stays while it is a VIP, although a lower one comes", () => {
  const [high, low] = [ip("10.0.0.100"), ip("10.0.0.1")];
  assert.equal(primaryVip([low, high], high), high);
  assert.equal(primaryVip([low], high), low);
});
