// What the agent's main thread and the heart's thread tell each other (docs/adr/0002). Plain data that
// structured cloning carries.
import type { MessagePort } from "node:worker_threads";
import type { IpAddress, MacAddress } from "#base/address.ts";
import type { ErrorCode } from "#base/error-codes.ts";
import type { ConfigVersion, NodeId, TableVersion } from "#base/ids.ts";
import type { SplitOfTwo } from "#base/split-of-two.ts";
import type { AdmittedNode, Detection, Effect, Input } from "#core/membership/protocol.ts";

export interface HeartSettings {
  readonly self: {
    readonly id: NodeId;
    readonly name: string;
    readonly address: IpAddress;
    readonly mac: MacAddress;
  };
  readonly interface: string;
  readonly port: number;
  /** Run the socket in this network namespace ("/run/netns/x"); otherwise in the process's own. */
  readonly netns?: string;
  /** From the `started` event of the last run; keeps starts in order where the wall clock is not. */
  readonly lastBoot?: bigint;
  /** The highest epoch ever seen here; the main thread keeps it over restarts. */
  readonly epoch: number;
  /** From the `together-changed` event of the last run. */
  readonly together: readonly NodeId[];
  /** Absent: both. */
  readonly splitOfTwo?: SplitOfTwo | undefined;
  readonly config: ConfigVersion;
  readonly detection: Detection;
  readonly admitted: readonly AdmittedNode[];
  readonly credentials: Credentials;
  /** Serial numbers of revoked certificates, hex. */
  readonly revoked: readonly string[];
  /** Datapath.stateFd: where the right to answer for the VIPs is renewed (docs/adr/0003). */
  readonly stateFd?: number;
}

export interface Credentials {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  /** PEM. */
  readonly caCertificate: string;
}

export type HeartCommand =
  | {
      readonly type: "config-changed";
      readonly config: ConfigVersion;
      readonly admitted: readonly AdmittedNode[];
      readonly revoked: readonly string[];
      readonly detection: Detection;
      readonly splitOfTwo?: SplitOfTwo | undefined;
    }
  | { readonly type: "tables-published"; readonly version: TableVersion }
  /**
   * Installs a key of 32 bytes. `activate` (master): send with it from now on, so every member must hold it
   * already. Members send with whatever key their master uses; a first key is active at once.
   */
  | {
      readonly type: "group-key";
      /** 1..255. */
      readonly keyId: number;
      readonly key: Uint8Array;
      readonly activate: boolean;
    }
  /**
   * Drops all keys but the one installed last, and sends with that from now on: after a revocation, once every
   * member holds the new key. Without it the key before is accepted until the next one is installed.
   */
  | { readonly type: "retire-keys" }
  | { readonly type: "expel"; readonly id: NodeId }
  /** A10: whether applications are to be asked about joins, and what they say. */
  | Extract<Input, { type: "voters-changed" | "join-voted" }>
  /** Says goodbye, so that the others act at once; `left` follows. */
  | { readonly type: "leave" };

/** What the thread is started with. */
export interface HeartStart {
  readonly settings: HeartSettings;
  /** Commands come in and events go out here; `stop` is the only command that is not a HeartCommand. */
  readonly port: MessagePort;
  /** Written by the main thread after each command, so that it is read at once. */
  readonly wakeFd: number;
}

export type HeartOrder = HeartCommand | { readonly type: "stop" };

/** What the machine decided and the main thread has to know. */
export type MembershipEvent =
  | Exclude<Effect, { type: "send" | "ignored" | "became-master" }>
  | (Extract<Effect, { type: "became-master" }> & {
      /** Of the group key that this node sends with: the last one of the former master, if it had any. */
      readonly keyId: number | undefined;
    });

/** How well the heart hears another node, when it said so. */
export interface Heard {
  readonly id: NodeId;
  readonly lossEstimate: number;
  readonly lastHeardMs: number;
}

export interface HeartCounters {
  readonly heard: readonly Heard[];
  readonly sent: Readonly<Record<string, number>>;
  readonly received: Readonly<Record<string, number>>;
  /** Datagrams that changed nothing, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Longest time between two turns of the loop beyond what was asked for, in milliseconds. */
  readonly worstDelayMs: number;
  /** Who is the measure of most (docs/adr/0029): with whom this node was together last. */
  readonly together: readonly NodeId[];
  /** Sessions of this node may speak. */
  readonly maySpeak: boolean;
}

export type Scheduling = "real-time" | "raised" | "ordinary";

export type HeartEvent =
  | MembershipEvent
  /** The socket is open; `scheduling` is what the kernel granted. */
  | { readonly type: "started"; readonly scheduling: Scheduling; readonly boot: bigint }
  /** With whom this node is together, for its next start (docs/adr/0029). */
  | { readonly type: "together-changed"; readonly nodes: readonly NodeId[] }
  /** About once a second. */
  | { readonly type: "counters"; readonly counters: HeartCounters }
  /** The thread has ended because of this; membership is over. */
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string };
