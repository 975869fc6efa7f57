// A5, B1: after two masters the whole cluster forwards by the tables of the one that stays.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import type { ClusterSpec } from "#core/node/cluster-spec.ts";
import { Controller } from "#core/node/controller.ts";
import type { Effect, Input } from "#core/node/protocol.ts";
import type { NodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { VirtualCluster } from "./testing/virtual-cluster.ts";

const vip = ip("10.77.0.100");

function specOf(ids: readonly NodeId[]): ClusterSpec {
  const services = [{ protocol: "tcp", vip, port: 80 }] as const;
  const nodes = ids.map((id) => ({ id, weight: 1 }));
  const kept = { assignment: "eager", balance: "weights" } as const;
  const group = { name: "web", policy: "weighted", slots: 16, services, nodes, ...kept } as const;
  return { method: "forward", hash: "keyed", vips: [vip], drained: [], groups: [group] };
}

/** Each node's controller, fed with the views of its membership; tables go to whoever follows their master. */
function replay(cluster: VirtualCluster): Map<NodeId, Controller> {
  const spec = specOf(cluster.ids);
  const controllers = new Map(
    cluster.ids.map((id) => [
      id,
      new Controller({ self: id, spec, tables: undefined, hashKey: [1, 2] }),
    ]),
  );
  const masters = new Map<NodeId, NodeId>();
  const followersOf = (master: NodeId): NodeId[] =>
    cluster.ids.filter((id) => id !== master && masters.get(id) === master);
  const step = (id: NodeId, atMs: number, input: Input): void => {
    const controller = controllers.get(id);
    assert.ok(controller !== undefined);
    for (const effect of controller.step(instant(atMs), input)) perform(id, atMs, effect);
  };
  const perform = (id: NodeId, atMs: number, effect: Effect): void => {
    if (effect.type === "replicate-tables") {
      for (const to of followersOf(id)) {
        step(to, atMs, { type: "tables-received", tables: effect.tables });
      }
    }
    if (effect.type === "follow" && effect.master !== undefined) {
      const tables = controllers.get(effect.master.id)?.tables;
      if (tables !== undefined) step(id, atMs, { type: "tables-received", tables });
    }
    const master = masters.get(id);
    if (effect.type === "acknowledge-tables" && master !== undefined) {
      step(master, atMs, { type: "tables-acknowledged", id, version: effect.version });
    }
  };
  for (const { atMs, node, event } of cluster.log) {
    if (event.type !== "view-changed") continue;
    masters.set(node, event.view.master);
    step(node, atMs, { type: "view-changed", view: event.view });
  }
  return controllers;
}

test("A5: two cold halves are healed, and the losers forward by the winner's tables", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = new VirtualCluster({ size: 4, seed });
    cluster.partition([1, 2], [3, 4]);
    cluster.startAll();
    cluster.run(3000);
    assert.deepEqual(cluster.masters(), [1, 3]);
    assert.equal(cluster.view(1).epoch, cluster.view(3).epoch, "the case in question");
    const apart = cluster.view(3).epoch;
    cluster.partition();
    cluster.run(5000);
    assert.ok(cluster.agree(1, 2, 3, 4), `seed ${seed}`);
    assert.ok(cluster.view(1).epoch > apart, `seed ${seed}`);
    const controllers = replay(cluster);
    const winners = controllers.get(cluster.masters()[0] as NodeId)?.tables;
    assert.equal(winners?.version.epoch, cluster.view(1).epoch);
    const owners = new Set<number>(winners.groups[0]?.owners);
    assert.equal(owners.size, 4, "everybody serves");
    for (const controller of controllers.values()) {
      assert.deepEqual(controller.tables, winners, `seed ${seed}`);
    }
  }
});
