// The section `interfaceNodes` (B10): over which nodes the virtual addresses are spread, and which have nodes of their own.
import { Type } from "typebox";
import type { IpAddress } from "#base/address.ts";

/** The most that the section may hold. */
export interface InterfaceNodesLimits {
  readonly nodes: number;
  readonly vips: number;
  readonly weight: number;
}

const label = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
const closed = { additionalProperties: false } as const;

const NodeName = Type.String({
  pattern: label,
  hint: "1 to 63 lower-case letters, digits and inner hyphens",
  description: "Name of a node in `nodes`.",
});

export const interfaceNodesSchema = ({ nodes, vips, weight }: InterfaceNodesLimits) =>
  Type.Object(
    {
      nodes: Type.Union(
        [
          Type.Literal("all"),
          Type.Array(
            Type.Object(
              {
                name: NodeName,
                weight: Type.Integer({
                  minimum: 0,
                  maximum: weight,
                  default: 1,
                  description:
                    "Share of the virtual addresses relative to the other nodes' weights; 0: only those that `ranked` gives it.",
                }),
              },
              { ...closed, description: "One node that virtual addresses are spread over." },
            ),
            { minItems: 1, maxItems: nodes },
          ),
        ],
        {
          default: "all",
          description:
            "Nodes that virtual addresses are spread over: `all` with equal weight, or a list.",
        },
      ),
      preempt: Type.Optional(
        Type.Boolean({
          description:
            "False: a node that returns does not take its virtual addresses back; they stay where they are until that node dies or is drained. " +
            "Default: true.",
        }),
      ),
      ranked: Type.Array(
        Type.Object(
          {
            vip: Type.String({ format: "ip", description: "A virtual address of the cluster." }),
            nodes: Type.Array(NodeName, {
              minItems: 1,
              maxItems: nodes,
              description:
                "Best first: the first that lives and is not drained has it. Where none of them can, any other node.",
            }),
          },
          { ...closed, description: "One virtual address with interface nodes of its own." },
        ),
        {
          default: [],
          maxItems: vips,
          description:
            "Virtual addresses that are not spread. `pan vips move` and `pan vips release` change it.",
        },
      ),
    },
    {
      ...closed,
      description:
        "Every virtual address has an interface node of its own, which answers for it and forwards, with the method `forward` (B10). " +
        "Without this section the master is the interface node of all.",
    },
  );

export interface RankedConfig {
  readonly vip: IpAddress;
  /** Names, best first. */
  readonly nodes: readonly string[];
}

export interface InterfaceNodesConfig {
  readonly nodes: "all" | readonly { readonly name: string; readonly weight: number }[];
  /** Absent: a node that returns takes its own back. */
  readonly preempt?: false;
  readonly ranked: readonly RankedConfig[];
}
