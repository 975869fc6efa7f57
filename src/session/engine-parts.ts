// What an engine (engine.ts) is made of, and what it counts.
import type { ReplicaCount } from "#core/takeover/replica-choice.ts";
import type { SessionProgram } from "#driver/bpf/session-program.ts";
import type { RawPackets } from "#driver/tcp/raw-packets.ts";
import type { Clock } from "./clock.ts";
import type { Links } from "./links.ts";
import type { Session } from "./session.ts";
import type { SessionSockets } from "./sockets.ts";

export interface EngineParts {
  readonly program: Pick<SessionProgram, "control" | "hold" | "release" | "wire" | "right">;
  readonly raw: Pick<RawPackets, "send">;
  readonly links: Pick<Links, "tell" | "answer" | "isCurrent">;
  readonly sockets: SessionSockets;
  readonly clock: Clock;
  /** How many other members hold each session; all, unless it is said. */
  readonly replicas?: ReplicaCount;
  /** A session begins, or goes on here. Its handlers must be set before this returns. */
  readonly onSession: (session: Session) => void;
  readonly trouble: (error: Error) => void;
}

export interface EngineCounts {
  /** Sessions that this process serves. */
  readonly served: number;
  /** Sessions of others that it holds. */
  readonly held: number;
  /** Sessions of others of which it knows that they are there. */
  readonly noted: number;
  /** Sessions that fewer members hold than are to. */
  readonly lackReplicas: number;
  readonly takenOver: number;
  /** Sessions that fell to this process and that it had to get from another member first. */
  readonly fetched: number;
  /** Sessions that another member was given as planned. */
  readonly handedOver: number;
  /** Sessions that another member took over while this one could not be heard. */
  readonly abandoned: number;
  readonly lost: number;
  /** Sessions that went on without protection. */
  readonly exposed: number;
  /** How often another member did not answer for so long that sessions went on without it. */
  readonly dropped: number;
  /** SYN-ACKs that no connection came of. */
  readonly neverAccepted: number;
}
