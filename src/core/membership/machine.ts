// Membership of one node (A2-A12): a state machine without sockets, clocks or randomness.
//
//   joining ──► admitted ──► following ──► orphaned ──► offering ──► governing
//      │                                                   ▲
//      └───────────────── nobody answers ──────────────────┘        and from everywhere back to joining
//
// Outside there are four roles: joining (joining, admitted), offering, member (following, and orphaned while
// survivors agree on a new master, which nobody else has to notice), master (governing).
// Here: what holds in every phase. Only proved messages come in (driver/cluster/auth.ts).
import type { Instant } from "#base/time.ts";
import type { ConfigVersion, NodeId } from "#base/ids.ts";
import type { ExitRequest, Message, OtherMasterExists } from "#wire/cluster/message.ts";
import { Admitted } from "./admitted.ts";
import { acceptMs, byId, Context, type Phase } from "./context.ts";
import { Following } from "./following.ts";
import { Governing } from "./governing.ts";
import { CONFIG_RETRY_MS, Joining, REFUSED_RETRY_MS, REMOTE_RETRY_MS } from "./joining.ts";
import { Offering } from "./offering.ts";
import { Orphaned } from "./orphaned.ts";
import type { Effect, Ignored, Input, MembershipSettings, Received } from "./protocol.ts";
import type { Quorum } from "./quorum.ts";
import { ReplayGuard } from "./replay-guard.ts";
import type { Hearing, View } from "./types.ts";

export type { Effect, Input, MembershipSettings } from "./protocol.ts";

/** A step that comes later than this after its deadline means that this node did not run (A12). */
export const STALL_MS = 30;
/** Between two reports of the same conflict, and between two refusals of strangers. */
const CONFLICT_EVERY_MS = 5000;
const REFUSE_EVERY_MS = 100;
/** An epoch rises by one with each mastership; nobody is so many masterships ahead. */
export const MOST_EPOCHS_AHEAD = 2 ** 20;

const tellsOfConfig = (message: Message): message is OtherMasterExists | ExitRequest =>
  message.type === "other-master-exists" ||
  (message.type === "exit-request" && message.reason === "configuration");

export class Membership {
  readonly #context: Context;
  readonly #guard = new ReplayGuard();
  #phase: Phase | undefined;
  #deadline: Instant | undefined;
  /** Since the last step. */
  #isDeadlineKnown = false;
  /** When most of the others may be without this node at the earliest. */
  #outvoted:
    | {
        readonly phase: Phase | undefined;
        readonly last: Quorum["last"];
        readonly at: Instant;
      }
    | undefined;
  #conflictAt: Instant | undefined;
  #refuseAt: Instant | undefined;
  #outdatedAt: Instant | undefined;

  constructor(settings: MembershipSettings, now: Instant) {
    this.#context = new Context(settings, {
      joining: (at, waitMs) => {
        this.#phase = new Joining(this.#context, at, waitMs);
      },
      admitted: (at, master) => {
        this.#phase = new Admitted(this.#context, at, master);
      },
      offering: (at, succession) => {
        if (!this.#context.isAdmitted) return this.#context.become.joining(at, REFUSED_RETRY_MS);
        if (!this.#context.canLead(this.#context.self.id)) {
          return this.#context.become.joining(at, REMOTE_RETRY_MS);
        }
        const offering = new Offering(this.#context, at, succession);
        this.#phase = offering;
        offering.begin(at);
      },
      following: (at, received, members) => {
        const following = new Following(this.#context, at, received, members);
        this.#phase = following;
        if (received.message.type === "master-keepalive") following.begin(at, received.message);
      },
      orphaned: (at, succession, offer) => {
        const orphaned = new Orphaned(this.#context, at, succession);
        this.#phase = orphaned;
        orphaned.begin(at, offer);
      },
      governing: (at, survivors, succession) => {
        const governing = new Governing(this.#context, at, survivors);
        this.#phase = governing;
        governing.begin(at, succession);
      },
    });
    this.#phase = new Joining(this.#context, now, 0);
  }

  /** When to step with "deadline-reached". Undefined: never again. Asked several times after each step, and worth a look at all members. */
  get deadline(): Instant | undefined {
    if (!this.#isDeadlineKnown) {
      this.#deadline = this.#phase?.deadline;
      this.#isDeadlineKnown = true;
    }
    return this.#deadline;
  }

  get view(): View {
    return this.#context.view;
  }

  /** How well this node hears those whose keepalives it judges by. */
  get hearings(): readonly Hearing[] {
    const phase = this.#phase;
    return phase instanceof Governing || phase instanceof Following ? phase.hearings : [];
  }

  /** Whether this node may answer for the VIPs: it is master, and sure that it has not been replaced. */
  mayAnswer(now: Instant): boolean {
    const deadline = this.deadline;
    if (deadline === undefined || now - deadline > STALL_MS) return false;
    return this.#phase instanceof Governing && !this.#phase.inDoubt(now);
  }

  /**
   * For how long from `now` on this node may take frames that every member receives; 0: it may not (docs/adr/0008). A
   * member keeps the right while it looks for a new master, so that a master's death leaves no gap.
   */
  acceptMs(now: Instant): number {
    const { deadline } = this;
    if (deadline === undefined || deadline < now) return 0; // it has not said that it lives
    if (!(this.#phase instanceof Governing)) return this.#context.acceptMsAt(now);
    if (this.#phase.inDoubt(now)) return 0;
    return acceptMs(this.#context.detection.intervalMs, this.view.keepaliveIntervalMs);
  }

  /**
   * For how long from `now` on sessions may speak here (docs/adr/0029); 0: they may not. Another member may have them as soon as most of those
   * that were together can have given this node up.
   */
  speakMs(now: Instant): number {
    const { quorum, givenUpAt } = this.#context;
    const acceptMs = this.acceptMs(now);
    if (acceptMs === 0 || !quorum.isMost) return 0;
    const phase = this.#phase;
    if (phase instanceof Governing && phase.isDeserted) return 0;
    // a look at all members; words from any of them make it later only
    const known = this.#outvoted;
    const isSame = known !== undefined && known.phase === phase && known.last === quorum.last;
    let at = isSame ? known.at : undefined;
    if (at === undefined || at < now + acceptMs) {
      const lostAt = phase instanceof Governing ? phase.givenUpBy : () => givenUpAt;
      at = quorum.outvotedAt(lostAt);
      this.#outvoted = { phase, last: quorum.last, at };
    }
    return Math.max(0, Math.min(acceptMs, at - now));
  }

  /** Who was together last (docs/adr/0029): to be told to this node's next start. Another set when that changes. */
  get together(): ReadonlySet<NodeId> {
    return this.#context.quorum.last;
  }

  /**
   * Rises whenever others may have taken over what this node's sessions were, without its having heard: they may speak again when they have asked
   * (docs/adr/0029).
   */
  get tenure(): number {
    return this.#context.solitudes + this.#context.quorum.regained;
  }

  /** Effects are to be performed in order. */
  step(now: Instant, input: Input): Effect[] {
    const deadline = this.deadline;
    if (deadline !== undefined && now > deadline) {
      this.#context.late(now, now - deadline);
      if (now - deadline > STALL_MS) this.#phase?.stalled(now, now - deadline);
    }
    this.#apply(now, input);
    this.#isDeadlineKnown = false;
    return this.#context.takeEffects();
  }

  #apply(now: Instant, input: Input): void {
    switch (input.type) {
      case "message-received":
        return this.#received(now, input.received);
      case "deadline-reached":
        return this.#phase?.deadlineReached(now);
      case "port-unreachable":
        return this.#phase?.portUnreachable(now, input.address);
      case "stranger-refused":
        return this.#strangerRefused(now, input);
      case "key-available":
        this.#context.hasKey = true;
        return this.#phase?.settingsChanged(now, "key");
      case "config-changed":
        this.#context.config = input.config;
        this.#context.admitted = byId(input.admitted);
        this.#context.detection = input.detection;
        this.#context.quorum.splitOfTwo = input.splitOfTwo ?? "both";
        this.#context.quorum.keepOnly(this.#context.admitted);
        return this.#phase?.settingsChanged(now, "config");
      case "tables-published":
        this.#context.tables = input.version;
        return this.#phase?.settingsChanged(now, "tables");
      case "expel":
        if (this.#phase instanceof Governing) this.#phase.expel(now, input.id);
        return;
      case "voters-changed":
        this.#context.voteRule = input.rule;
        return;
      case "join-voted":
        if (this.#phase instanceof Governing) this.#phase.voted(now, input.ballot, input.verdict);
        else this.#context.ignore("unexpected");
        return;
      case "leave":
        return this.#leave();
    }
  }

  #received(now: Instant, received: Received): void {
    const { self, boot } = this.#context;
    if (received.sender === self.id && received.boot === boot) return; // own broadcast (A5)
    const reason = this.#refusal(received);
    if (reason !== undefined) return this.#context.ignore(reason);
    if (received.sender === self.id) return this.#conflict(now, received);
    const newer = this.#newerConfig(received);
    if (newer !== undefined) return this.#outdated(now, received, newer);
    this.#phase?.received(now, received);
  }

  /** Origin is proved; here: whether it is a node we know, where it should be, and new. */
  #refusal(received: Received): Ignored | undefined {
    const { sender, from, boot, counter, message } = received;
    const { admitted, self } = this.#context;
    const node = admitted.get(sender);
    if (node === undefined && !this.#concernsStrangers(received)) return "unknown-sender";
    const isOurMaster = message.type === "join-accepted"; // in answer to our question, or it is ignored
    if (
      "epoch" in message &&
      !isOurMaster &&
      message.epoch > this.#context.epoch + MOST_EPOCHS_AHEAD
    ) {
      return "implausible";
    }
    if (node !== undefined && node.address !== from && message.type !== "join-request") {
      return "wrong-address";
    }
    if (sender !== self.id && from === self.address) return "wrong-address";
    return this.#guard.admit(sender, boot, counter) ? undefined : "replayed";
  }

  /** A certificate alone lets a node ask to join, and tell us of a configuration that we do not have. */
  #concernsStrangers(received: Received): boolean {
    if (received.message.type === "join-request") return this.#phase instanceof Governing;
    return this.#newerConfig(received) !== undefined;
  }

  /**
   * A4: our configuration may be older than the node that answers us. Of such a node nothing is believed but that
   * there is a newer one, and this only in answer to our own question.
   */
  #newerConfig({ sender, message }: Received): ConfigVersion | undefined {
    const { config, admitted } = this.#context;
    if (admitted.has(sender) || !tellsOfConfig(message)) return undefined;
    if (!this.#context.isOurs(message.nonce, 1)) return undefined;
    return message.config.counter > config.counter ? message.config : undefined;
  }

  #outdated(now: Instant, { sender, from }: Received, version: ConfigVersion): void {
    if (this.#outdatedAt === undefined || now - this.#outdatedAt >= CONFIG_RETRY_MS) {
      this.#outdatedAt = now;
      this.#context.emit({ type: "config-wanted", version, from: sender, address: from });
    }
    if (this.#phase instanceof Joining || this.#phase instanceof Offering) {
      this.#context.become.joining(now, CONFIG_RETRY_MS);
    }
  }

  /** Another machine has our identity. The later one stays out, when told in answer to its own question. */
  #conflict(now: Instant, received: Received): void {
    const { message, boot } = received;
    if (message.type === "join-refused") return this.#phase?.received(now, received);
    if (this.#conflictAt === undefined || now - this.#conflictAt >= CONFLICT_EVERY_MS) {
      this.#conflictAt = now;
      const { address } = this.#context.self;
      this.#context.emit({ type: "address-conflict", address, stayingOut: false });
    }
    if (message.type !== "join-request" || boot < this.#context.boot) return;
    const nonce = { boot, request: message.request };
    this.#context.send("everyone", { type: "join-refused", nonce, reason: "duplicate" });
  }

  #strangerRefused(now: Instant, stranger: Extract<Input, { type: "stranger-refused" }>): void {
    if (!(this.#phase instanceof Governing)) return;
    if (this.#refuseAt !== undefined && now - this.#refuseAt < REFUSE_EVERY_MS) return;
    this.#refuseAt = now;
    const { from, sender, boot, request, reason } = stranger;
    this.#context.deny(now, { sender, address: from, reason });
    this.#context.send(from, { type: "join-refused", nonce: { boot, request }, reason });
  }

  #leave(): void {
    this.#phase?.leave();
    this.#phase = undefined;
    this.#context.quorum.left();
    this.#context.emit({ type: "left" });
  }
}
