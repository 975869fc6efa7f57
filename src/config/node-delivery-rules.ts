// What no schema can say about nodes beyond the segment (B11, docs/adr/0022): what does not go together with them. That none is an
// interface node is said where their names are checked (interface-nodes-rules.ts).
import type { Path, Report } from "./findings.ts";
import type { DraftConfig } from "./rules.ts";

const FORWARD_ONLY = "which only the nodes on the segment receive";

type DraftNode = NonNullable<DraftConfig["nodes"]>[number];

/** Whether frames reach the node by encapsulation. */
export const isBeyond = (node: DraftNode): boolean =>
  node?.delivery !== undefined && node.delivery !== "direct";

/** Each with what it takes to put it right. */
export function checkNodeDelivery(config: DraftConfig, report: Report): void {
  const nodes = (config.nodes ?? []).map((node, index) => ({ node, index }));
  for (const { node, index } of nodes.filter((each) => !isBeyond(each.node))) {
    for (const key of ["pathMtu", "clampMss"] as const) {
      if (node?.[key] === undefined) continue;
      const remedy = "remove it, or say how the node is reached (delivery)";
      const message = `the node is on the segment, to which no tunnel leads: ${remedy}`;
      report({ path: ["nodes", index, key], message });
    }
  }
  const far = nodes.filter(({ node }) => isBeyond(node));
  const [first] = far;
  if (first === undefined) return;
  const pathOf = (index: number): Path => ["nodes", index, "delivery"];
  if (far.length === nodes.length) {
    const remedy = "one node at least is on the segment of the virtual addresses (direct)";
    report({ path: pathOf(first.index), message: `nobody can be master: ${remedy}` });
  }
  const method = config.delivery?.method;
  for (const { index } of far) {
    if (method !== undefined && method !== "forward") {
      const message = `not with delivery.method ${method}, ${FORWARD_ONLY}; set it to forward`;
      report({ path: pathOf(index), message });
    }
    if (config.peering !== undefined) {
      const message = `not with peering, ${FORWARD_ONLY}; remove one of the two`;
      report({ path: pathOf(index), message });
    }
  }
}
