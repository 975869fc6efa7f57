// What a lab consists of: switches (Linux bridges), hosts (network namespaces), their links and the
// programs they run. One schema for topology files and for the topologies that code builds.
import { createHash } from "node:crypto";
import { type Static, Type } from "typebox";

const closed = { additionalProperties: false } as const;
/** Host names become parts of interface names, of which Linux allows 15 characters. */
export const NODE_NAME = "^[a-z][a-z0-9-]{0,10}$";
/** Lab names become parts of namespace names. */
export const LAB_NAME = "^[a-z][a-z0-9-]{0,19}$";

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

/** One end in a host, the other a port of a switch. Interface defaults to eth0, MTU to 1500. */
export type Link = Static<typeof LinkSchema>;
/** A route by a gateway; the directly connected ones come with the addresses. */
export type Route = Static<typeof RouteSchema>;
/**
 * A program of a host. In argv, env, file names and file contents @DIR@ stands for the host's own
 * folder, @HOST@ for its name, @LAB@ for the lab's. Files are written before the start, relative to
 * the folder. `ready`: wait until the TCP port is listened on and the file exists (default 10 s).
 */
export type Program = Static<typeof ProgramSchema>;
/** A network namespace with its own folder. Programs start in the order given and are not restarted. */
export type Host = Static<typeof HostSchema>;
/** Everything that `Lab.up` needs to know. */
export type Topology = Static<typeof TopologySchema>;

export const DEFAULT_INTERFACE = "eth0";
export const DEFAULT_MTU = 1500;

export const interfaceOf = (link: Link): string => link.interface ?? DEFAULT_INTERFACE;

/** The link's MAC address; without one given, a locally administered one that is always the same. */
export function macOf(host: Host, link: Link): string {
  if (link.mac !== undefined) return link.mac.toLowerCase();
  const digest = createHash("sha256")
    .update(`${host.name}/${interfaceOf(link)}`)
    .digest();
  return ["02", ...Array.from(digest.subarray(0, 5), (b) => b.toString(16).padStart(2, "0"))].join(
    ":",
  );
}

/** Name of the switch's port on which a host's link ends: p-m1, and p-m1.1 for the second link. */
export function portOf(host: Host, link: Link): string {
  const index = (host.links ?? []).indexOf(link);
  return index <= 0 ? `p-${host.name}` : `p-${host.name}.${index}`;
}
