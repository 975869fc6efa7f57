// What the importers of other load balancers read, before it becomes a configuration of ours: virtual servers with their real servers,
// addresses, and notes on everything that has no exact counterpart. Every note has the place that it is about.
import type { IpAddress } from "#base/address.ts";
import type { CheckConfig } from "../health-schema.ts";

export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

export interface Note extends Place {
  /**
   * wrong: it cannot be read, and nothing is imported. dropped: it has no counterpart. differs: it is imported and acts in another way.
   */
  readonly kind: "wrong" | "dropped" | "differs";
  /** What it is, why, and what to do. */
  readonly text: string;
}

export interface Address extends Place {
  readonly vip: IpAddress;
}

/** Protocol, address and port of a virtual server; a range or a group of addresses makes several. */
export interface Target {
  readonly vip: IpAddress;
  readonly port: number | "any";
}

export type Forwarding = "direct" | "tunnel" | "masquerade";

export interface RealServer extends Place {
  readonly address: IpAddress;
  /** 0: that of the virtual server. */
  readonly port: number;
  readonly weight: number;
  readonly forwarding: Forwarding;
}

/** As in our configuration (src/config/health-schema.ts). */
export type Check = Pick<
  CheckConfig,
  "type" | "port" | "path" | "host" | "status" | "verify" | "command"
>;

export interface Health {
  readonly checks: readonly Check[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
}

export interface VirtualServer extends Place {
  readonly protocol: "tcp" | "udp";
  readonly targets: readonly Target[];
  /** As ipvsadm and keepalived call it: rr, wrr, wlc, sh … */
  readonly scheduler: string;
  readonly schedulerFlags: readonly string[];
  readonly persistent: boolean;
  readonly reals: readonly RealServer[];
  readonly health?: Health;
  /** Who serves while no real server does. */
  readonly sorry?: RealServer;
}

export interface Imported {
  readonly servers: readonly VirtualServer[];
  /** Virtual addresses beside those of the servers. */
  readonly vips: readonly Address[];
  /** Where client traffic comes in, as far as the file says. */
  readonly interface?: string;
  readonly notes: readonly Note[];
}

/** No file of either program is longer; what is longer is refused, never cut. */
export const MAX_LINES = 200_000;

/** "FILE:12: dropped: …", as editors and terminals can follow it. */
export const formatNote = ({ file, line, kind, text }: Note): string =>
  `${file}:${line}: ${kind}: ${text}`;

/** In the order of the files. */
export const sortNotes = (notes: readonly Note[]): Note[] =>
  [...notes].sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
