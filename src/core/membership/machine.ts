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
import { authKindOf } from "#wire/cluster/message.ts";
import { Admitted } from "./admitted.ts";
import { byId, Context, type Phase } from "./context.ts";
import { Following } from "./following.ts";
import { Governing } from "./governing.ts";
import { Joining } from "./joining.ts";
import { Offering } from "./offering.ts";
import { Orphaned } from "./orphaned.ts";
import type { Effect, Ignored, Input, MembershipSettings, Received } from "./protocol.ts";
import { ReplayGuard } from "./replay-guard.ts";
import type { View } from "./types.ts";

export type { Effect, Input, MembershipSettings } from "./protocol.ts";

/** A step that comes later than this after its deadline means that this node did not run (A12). */
export const STALL_MS = 30;
/** Between two reports of the same conflict, and between two refusals of strangers. */
const CONFLICT_EVERY_MS = 5000;
const REFUSE_EVERY_MS = 100;

export class Membership {
  readonly #context: Context;
  readonly #guard = new ReplayGuard();
  #phase: Phase | undefined;
  #conflictAt: Instant | undefined;
  #refuseAt: Instant | undefined;

  constructor(settings: MembershipSettings, now: Instant) {
    this.#context = new Context(settings, {
      joining: (at, waitMs) => {
        this.#phase = new Joining(this.#context, at, waitMs);
      },
      admitted: (at, master) => {
        this.#phase = new Admitted(this.#context, at, master);
      },
      offering: (at, succession) => {
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

  /** When to step with "deadline-reached". Undefined: never again. */
  get deadline(): Instant | undefined {
    return this.#phase?.deadline;
  }

  get view(): View {
    return this.#context.view;
  }

  /** Effects are to be performed in order. */
  step(now: Instant, input: Input): Effect[] {
    const deadline = this.deadline;
    if (deadline !== undefined && now - deadline > STALL_MS) {
      this.#phase?.stalled(now, now - deadline);
    }
    this.#apply(now, input);
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
        return this.#phase?.settingsChanged(now, "config");
      case "tables-published":
        this.#context.tables = input.version;
        return this.#phase?.settingsChanged(now, "tables");
      case "expel":
        if (this.#phase instanceof Governing) this.#phase.expel(now, input.id);
        return;
      case "hold-joins":
        this.#context.joinsHeld = input.held;
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
    this.#phase?.received(now, received);
  }

  /** Origin is proved; here: whether it is a node we know, where it should be, and new. */
  #refusal({ sender, from, boot, counter, message }: Received): Ignored | undefined {
    const { admitted, self } = this.#context;
    const node = admitted.get(sender);
    // a certificate speaks for itself, also towards a node whose configuration is old
    if (node === undefined && authKindOf(message.type) === "mac") return "unknown-sender";
    if (node !== undefined && node.address !== from && message.type !== "join-request") {
      return "wrong-address";
    }
    if (sender !== self.id && from === self.address) return "wrong-address";
    return this.#guard.admit(sender, boot, counter) ? undefined : "replayed";
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
    this.#context.emit({ type: "join-denied", sender, address: from, reason });
    this.#context.send(from, { type: "join-refused", nonce: { boot, request }, reason });
  }

  #leave(): void {
    this.#phase?.leave();
    this.#phase = undefined;
    this.#context.emit({ type: "left" });
  }
}
