// One membership machine, node 2 of 4, brought into each of its phases; messages to feed it with.
import { ip, mac, type IpAddress } from "#base/address.ts";
import { NO_NODE, NO_TABLES, nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { type Message, type RosterEntry, UNASKED } from "#wire/cluster/message.ts";
import { Membership } from "../machine.ts";
import { type AdmittedNode, DEFAULT_DETECTION, type Effect, type Received } from "../protocol.ts";

export const config = { counter: 1, digest: "0000000000000001" };
export const newConfig = { counter: 2, digest: "0000000000000002" };
export const address = (id: number): IpAddress => ip(`10.0.0.${id}`);
export const macOf = (id: number): ReturnType<typeof mac> => mac(`02:00:00:00:00:0${id}`);
const entry = (id: number): RosterEntry => ({
  id: nodeId(id),
  address: address(id),
  mac: macOf(id),
});
export const admitted: AdmittedNode[] = [1, 2, 3, 4].map((id) => ({
  id: nodeId(id),
  name: `n${id}`,
  address: address(id),
}));
/** We are node 2: not the lowest, not the highest. */
export const SELF = 2;
export const BOOT = 100n;
const START = 1000;

/** One machine and the time it is fed. */
export class Subject {
  nowMs = START;
  readonly machine: Membership;
  #counter = 0;

  constructor() {
    this.machine = new Membership(
      {
        self: entry(SELF),
        boot: BOOT,
        epoch: 4,
        config,
        admitted,
        detection: DEFAULT_DETECTION,
      },
      instant(START),
    );
  }

  /** Lets deadlines pass, each at its time. */
  run(durationMs: number): Effect[] {
    const end = this.nowMs + durationMs;
    const effects: Effect[] = [];
    for (;;) {
      const { deadline } = this.machine;
      if (deadline === undefined || deadline > end) break;
      this.nowMs = Math.max(this.nowMs, deadline);
      effects.push(...this.machine.step(instant(this.nowMs), { type: "deadline-reached" }));
    }
    this.nowMs = end;
    return effects;
  }

  hears(sender: number, message: Message, more: Partial<Received> = {}): Effect[] {
    this.#counter += 1;
    const at = instant(this.nowMs);
    const received: Received = {
      ...{ sender: nodeId(sender), boot: 1n, counter: this.#counter, at, message },
      from: address(sender),
      ...more,
    };
    return this.machine.step(at, { type: "message-received", received });
  }
}

export const keepalive = (epoch: number, ...ids: number[]): Message => ({
  type: "master-keepalive",
  sequence: 1,
  epoch,
  config,
  tables: NO_TABLES,
  detectionMs: 200,
  perInterval: 5,
  roster: epoch,
  isMost: true,
  memberCount: ids.length,
  offset: 0,
  members: ids.map(entry),
});
export const memberKeepalive = (master = SELF): Message => ({
  type: "member-keepalive",
  sequence: 1,
  master: nodeId(master),
  config,
  tables: NO_TABLES,
  perInterval: 2,
  mac: macOf(3),
});
const accepted = (request: number): Message => ({
  type: "join-accepted",
  nonce: { boot: BOOT, request },
  epoch: 5,
  config,
});

export const PHASES = {
  joining(): Subject {
    const subject = new Subject();
    subject.run(0);
    return subject;
  },
  admitted(): Subject {
    const subject = PHASES.joining();
    subject.hears(1, accepted(1));
    return subject;
  },
  /** Member under node 1, with 3. */
  following(): Subject {
    const subject = PHASES.admitted();
    subject.machine.step(instant(subject.nowMs), { type: "key-available" });
    subject.hears(1, keepalive(5, 1, 2, 3));
    return subject;
  },
  /** Agrees with node 3, which has the newer configuration. */
  orphaned(): Subject {
    const subject = PHASES.following();
    subject.run(150);
    subject.hears(3, { ...OFFER, epoch: 5, silent: nodeId(1), config: newConfig });
    subject.run(50);
    return subject;
  },
  offering(): Subject {
    const subject = PHASES.joining();
    subject.run(150);
    return subject;
  },
  /** Heir of node 1: needs the consent of 3. */
  inheriting(): Subject {
    const subject = PHASES.following();
    subject.run(200);
    return subject;
  },
  /** Master of 3. */
  governing(): Subject {
    const subject = PHASES.offering();
    subject.run(100);
    subject.machine.step(instant(subject.nowMs), { type: "key-available" });
    subject.hears(3, { type: "join-request", request: 1, epoch: 0, config, mac: macOf(3) });
    subject.hears(3, memberKeepalive());
    return subject;
  },
};
export type PhaseName = keyof typeof PHASES;

export const OFFER = { type: "offer", request: 1, epoch: 4, config, silent: NO_NODE } as const;
export const CLAIM = {
  type: "other-master-exists",
  nonce: UNASKED,
  request: 1,
  master: nodeId(1),
  epoch: 5,
  config,
  members: 1,
} as const;
export const NONCE = { boot: BOOT, request: 1 };
/** Of the offer in `offering`, and of the last question in `governing`. */
export const OFFERED = { boot: BOOT, request: 4 };
export const ASKED = { boot: BOOT, request: 5 };

/** Effects as short text: "send offer to everyone", "view-changed member 1,2,3", "became-master". */
export function shown(effect: Effect): string {
  switch (effect.type) {
    case "send":
      return `${effect.message.type} > ${effect.to === "everyone" ? "all" : effect.to.slice(7)}`;
    case "view-changed": {
      const members = effect.view.members.map(({ id }) => id).join();
      return `view ${effect.view.role}${members === "" ? "" : ` ${members}`}`;
    }
    case "vote-wanted":
      return `vote-wanted ${effect.ballot} on ${effect.id}`;
    case "vote-unanswered":
      return `vote-unanswered ${effect.ballot}: ${effect.outcome}`;
    case "ignored":
      return `ignored ${effect.reason}`;
    case "machine-gone":
      return `machine-gone ${effect.id}`;
    case "member-departed":
    case "departure-confirmed":
      return `${effect.type} ${effect.id} ${effect.reason}`;
    case "became-master":
    case "lost-mastership":
    case "announce-wanted":
    case "member-joined":
    case "admitted-by":
    case "config-wanted":
    case "refused":
    case "join-denied":
    case "address-conflict":
    case "left":
      return effect.type;
  }
}

export const MESSAGES: { readonly [T in Message["type"]]: Message } = {
  "join-request": { type: "join-request", request: 9, epoch: 0, config, mac: macOf(4) },
  "join-accepted": accepted(1),
  "join-refused": { type: "join-refused", nonce: NONCE, reason: "not-admitted" },
  "join-wait": { type: "join-wait", nonce: NONCE, retryMs: 100 },
  offer: OFFER,
  "offer-accepted": {
    type: "offer-accepted",
    nonce: NONCE,
    epoch: 4,
    config,
    mac: macOf(3),
  },
  "other-master-exists": CLAIM,
  "exit-request": { type: "exit-request", nonce: UNASKED, reason: "not-a-member", config },
  "master-keepalive": keepalive(5, 1, 3),
  "member-keepalive": memberKeepalive(),
  probe: { type: "probe" },
  goodbye: { type: "goodbye" },
};
