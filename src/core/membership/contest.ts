// Two masters (A5). A claim can be a recording, so a master believes a rival only when the rival answers a
// question that this master has asked a moment ago; everything else that a rival says makes it ask.
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import type { OtherMasterExists, Nonce } from "#wire/cluster/message.ts";
import { prevails } from "./candidate.ts";
import type { Context } from "./context.ts";
import type { Received } from "./protocol.ts";
import type { Member } from "./types.ts";

/** At most one question because of a keepalive in this time. */
export const ASK_RIVAL_EVERY_MS = 50;

/** Another master, by its answer. */
export interface Rival {
  readonly id: NodeId;
  readonly address: IpAddress;
  readonly epoch: number;
  readonly members: number;
}

export interface Reign {
  readonly epoch: number;
  readonly members: readonly Member[];
  /** Does not know whether it has been replaced meanwhile. */
  readonly inDoubt: boolean;
}

/** Remembers what this master has asked, and whom its rival lists. */
export class Contest {
  readonly #context: Context;
  /** Answers to older questions than these are too late. */
  #oldestAsked: number;
  #lastBeacon: number;
  #askAt: Instant;
  /** Of the last keepalive of another master. */
  #heard: { readonly id: NodeId; readonly members: readonly Member[] } | undefined;
  /** Masters that have claimed to be one, and have not been seen to lose since. No more than nodes were ever admitted. */
  readonly #unsettled = new Set<NodeId>();

  constructor(context: Context, now: Instant) {
    this.#context = context;
    this.#lastBeacon = context.nextRequest();
    this.#oldestAsked = this.#lastBeacon;
    this.#askAt = now;
  }

  /** The number of the question that goes out to everybody now and then. */
  beacon(): number {
    this.#oldestAsked = this.#lastBeacon;
    this.#lastBeacon = this.#context.nextRequest();
    return this.#lastBeacon;
  }

  isAnswer(nonce: Nonce): boolean {
    return this.#context.isOurs(nonce, this.#oldestAsked);
  }

  /** Whether it is time to ask. */
  mayAsk(now: Instant): boolean {
    if (now < this.#askAt) return false;
    this.#askAt = after(now, ASK_RIVAL_EVERY_MS);
    return true;
  }

  /** A keepalive of another master. */
  heard(id: NodeId, members: readonly Member[]): void {
    this.#heard = { id, members };
  }

  /** A claim of another master, whether or not it is believed. */
  claimed(id: NodeId): void {
    this.#unsettled.add(id);
  }

  settled(id: NodeId): void {
    this.#unsettled.delete(id);
  }

  /**
   * Of a node that asks to join: whether it is a master that has yielded. It does so at an answer to its own claim, so that claim has been
   * heard here; that it has lost, it says only once.
   */
  hasYielded(id: NodeId): boolean {
    return this.#unsettled.has(id);
  }

  /**
   * A member follows one master only: who is in both lists counts for the one elected later. Otherwise a master
   * that was frozen or cut off would win by the members that have just replaced it.
   */
  isWon(reign: Reign, rival: Rival): boolean {
    if (rival.members === 0) return true; // it does not compete, so that it is never both that yield
    if (reign.inDoubt && rival.epoch > reign.epoch) return false;
    const ours = new Set(reign.members.map(({ id }) => id));
    const list = this.#heard?.id === rival.id ? this.#heard.members : [];
    const shared = list.filter(({ id }) => ours.has(id)).length;
    const own = reign.members.length - (rival.epoch > reign.epoch ? shared : 0);
    const theirs = rival.members - (rival.epoch < reign.epoch ? shared : 0);
    return prevails(
      { members: own, address: this.#context.self.address },
      { members: theirs, address: rival.address },
    );
  }
}

export const rivalOf = ({ sender, from }: Received, claim: OtherMasterExists): Rival => ({
  id: sender,
  address: from,
  epoch: claim.epoch,
  members: claim.members,
});
