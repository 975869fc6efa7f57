// The schema of topology files, and of the topologies that code builds.
import { Type } from "typebox";
import { NODE_NAME } from "./topology.ts";

const closed = { additionalProperties: false } as const;
const Name = (pattern: string, hint: string) => Type.String({ pattern, hint });
const nodeHint = "1 to 11 lower-case letters, digits and hyphens, beginning with a letter";

export const LinkSchema = Type.Object(
  {
    switch: Name(NODE_NAME, nodeHint),
    interface: Type.Optional(
      Name("^[a-z][a-z0-9_]{0,14}$", "an interface name such as eth0, at most 15 characters"),
    ),
    mac: Type.Optional(
      Name("^([0-9a-fA-F][02468aceACE]:)([0-9a-fA-F]{2}:){4}[0-9a-fA-F]{2}$", "02:00:00:00:00:01"),
    ),
    addresses: Type.Optional(
      Type.Array(Name("^[0-9a-fA-F.:]+/[0-9]{1,3}$", "10.0.0.1/24 or fd00::1/64"), {
        maxItems: 64,
      }),
    ),
    mtu: Type.Optional(Type.Integer({ minimum: 68, maximum: 65_535 })),
  },
  closed,
);

export const RouteSchema = Type.Object(
  {
    to: Name("^(default|[0-9a-fA-F.:]+(/[0-9]{1,3})?)$", "default, 10.1.0.0/16 or fd01::/64"),
    via: Name("^[0-9a-fA-F.:]+$", "the address of a gateway"),
  },
  closed,
);

const FileSchema = Type.Union([
  Type.String(),
  Type.Object({ sizeBytes: Type.Integer({ minimum: 0, maximum: 1 << 30 }) }, closed),
]);

export const ProgramSchema = Type.Object(
  {
    name: Name("^[a-z][a-z0-9-]{0,30}$", "lower-case letters, digits and hyphens"),
    argv: Type.Array(Type.String(), { minItems: 1, maxItems: 256 }),
    env: Type.Optional(Type.Record(Type.String(), Type.String())),
    files: Type.Optional(Type.Record(Type.String(), FileSchema)),
    ready: Type.Optional(
      Type.Object(
        {
          tcp: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
          file: Type.Optional(Type.String({ minLength: 1 })),
          timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
        },
        closed,
      ),
    ),
  },
  closed,
);

export const HostSchema = Type.Object(
  {
    name: Name(NODE_NAME, nodeHint),
    links: Type.Optional(Type.Array(LinkSchema, { maxItems: 16 })),
    routes: Type.Optional(Type.Array(RouteSchema, { maxItems: 256 })),
    sysctls: Type.Optional(Type.Record(Type.String(), Type.String())),
    run: Type.Optional(Type.Array(ProgramSchema, { maxItems: 32 })),
  },
  closed,
);

export const TopologySchema = Type.Object(
  {
    switches: Type.Array(Type.Object({ name: Name(NODE_NAME, nodeHint) }, closed), {
      minItems: 1,
      maxItems: 16,
    }),
    hosts: Type.Array(HostSchema, { minItems: 1, maxItems: 128 }),
  },
  closed,
);
