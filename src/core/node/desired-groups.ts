// The service groups of the configuration, as tables are made for them: with who serves, and by which loads.
import type { NodeId } from "#base/ids.ts";
import type { DesiredGroup, DesiredNode } from "#core/steering/next-tables.ts";
import type { Answering } from "#core/steering/tables.ts";
import type { ClusterSpec, GroupSpec } from "./cluster-spec.ts";

export interface GroupFacts {
  readonly serves: (id: NodeId) => boolean;
  /** As measured, of a group that is balanced by them. */
  readonly loads: (group: GroupSpec) => Float64Array;
  readonly nodesOf: (group: GroupSpec) => readonly DesiredNode[];
  /** Of nodesOf() those whose server has not been found to be down. */
  readonly livingOf: (group: GroupSpec) => readonly NodeId[];
}

const NOT_MEASURED = new Float64Array();

export const desiredGroups = (
  { groups }: ClusterSpec,
  { serves, loads, nodesOf, livingOf }: GroupFacts,
): DesiredGroup[] =>
  groups.map((group) => ({
    ...group,
    loads: group.balance === "weights" ? NOT_MEASURED : loads(group),
    nodes: nodesOf(group),
    ...(group.policy === "quic" ? { named: named(livingOf(group), sorryNode(group, serves)) } : {}),
    sorry: sorryNode(group, serves),
    answer: answerOf(group),
  }));

/** Weight 0, a drain or maintenance keeps a node from new connections only. */
const named = (living: readonly NodeId[], sorry: NodeId | undefined): NodeId[] =>
  [...new Set(sorry === undefined ? living : [...living, sorry])].sort((a, b) => a - b);

/** It stands in whatever its own health is, as long as it lives and is not drained. */
const sorryNode = ({ whenNone }: GroupSpec, serves: (id: NodeId) => boolean): NodeId | undefined =>
  whenNone?.type === "sorry" && serves(whenNone.node) ? whenNone.node : undefined;

const answerOf = ({ whenNone }: GroupSpec): Answering | undefined =>
  whenNone?.type === "reset" || whenNone?.type === "drop" ? whenNone.type : undefined;
