// Bugs that we put into the core on purpose, one at a time, to see that the checkers find them. Each is an exact snippet of a source file
// and what it is replaced by; a snippet that is not there exactly once is an error, so that this list cannot rot.

export interface Mutation {
  readonly name: string;
  /** Below src/. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** A run that finds it. */
  readonly seed: number;
  readonly minutes?: number;
  /** balancing: a run of balancing-run.ts finds it, and none of faults would. spread: VIPs are on several interface nodes. */
  readonly run?: "balancing" | "spread";
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "the tie-break ignores the address: both of two equal masters stay",
    file: "core/membership/candidate.ts",
    find: "if (a.members !== b.members) return a.members > b.members;\n  return compareIp(a.address, b.address) < 0;",
    replace: "return a.members >= b.members;",
    seed: 6,
  },
  {
    name: "a watchdog is never reset",
    file: "core/membership/silence.ts",
    find: "    this.#heard = at;\n    this.#start = at;\n    this.#probes = 0;",
    replace: "    this.#heard = at;\n    this.#probes = 0;",
    seed: 1,
  },
  {
    name: "a watchdog runs out after half the detection interval",
    file: "core/membership/silence.ts",
    find: 'if (now >= after(this.#start, this.#intervalMs)) return "expired";',
    replace: 'if (now >= after(this.#start, this.#intervalMs / 2)) return "expired";',
    seed: 1,
  },
  {
    name: "a watchdog never runs out",
    file: "core/membership/silence.ts",
    find: 'if (now >= after(this.#start, this.#intervalMs)) return "expired";',
    replace: "",
    seed: 1,
  },
  {
    name: "the replay guard admits anything",
    file: "core/membership/machine.ts",
    find: 'return this.#guard.admit(sender, boot, counter) ? undefined : "replayed";',
    replace: "return undefined;",
    seed: 2,
  },
  {
    name: "the replay window forgets what it has taken",
    file: "core/membership/replay-guard.ts",
    find: "  if ((run.taken & bit) !== 0) return false;\n",
    replace: "",
    seed: 2,
  },
  {
    name: "the loss estimate gives one keepalive too few",
    file: "core/membership/loss-estimate.ts",
    find: "if (n * loss ** n < POLICY) return n;",
    replace: "if (n * loss ** n < POLICY) return Math.max(2, n - 1);",
    seed: 1,
  },
  {
    name: "a hole in the sequence is not counted as loss",
    file: "core/membership/loss-estimate.ts",
    find: "const lost = Math.min(sequence - last - 1, LONGEST_HOLE);",
    replace: "const lost = 0;",
    seed: 1,
  },
  {
    name: "the master ignores what rate its members ask for",
    file: "core/membership/member-watch.ts",
    find: "return Math.max(this.#loss.perInterval, this.#wanted);",
    replace: "return this.#loss.perInterval;",
    seed: 1,
  },
  {
    name: "a planned change does not wait for acknowledgements, and no member hears of it",
    file: "core/node/publication.ts",
    find: '      { type: "replicate-tables", tables, withheld },\n',
    replace: "",
    seed: 1,
  },
  {
    name: "former owners are forgotten",
    file: "core/steering/former-owners.ts",
    find: "    former[at] = node;\n",
    replace: "",
    seed: 1,
  },
  {
    name: "who has the connection is asked by places in the chain only",
    file: "core/steering/own.ts",
    find: "  return chain[left] ?? NO_NODE;",
    replace: "  return chain[Math.max(hop - 1, 1)] ?? NO_NODE;",
    seed: 22,
    minutes: 2,
  },
  {
    name: "epochs do not rise above what a new master has seen",
    file: "core/membership/context.ts",
    find: "this.sawEpoch(this.epoch + 1);",
    replace: "this.sawEpoch(Math.max(1, this.epoch));",
    seed: 1,
  },
  {
    name: "a node that loses its mastership goes on",
    file: "core/membership/governing.ts",
    find: "if (!this.#contest.isWon(reign, rival)) return this.#yield(now, rival, nonce);",
    replace: "",
    seed: 1,
  },
  {
    name: "the slots of a member that is told to go move before it has heard of it",
    file: "core/membership/governing.ts",
    find: "this.#expulsions.begin(now, member, this.#context.detection.intervalMs);",
    replace: "this.#expulsions.begin(now, member, 0);",
    seed: 17,
    minutes: 3,
  },
  {
    name: "a machine without tables resets what a peer sends on to it",
    file: "core/steering/pipeline.ts",
    find: 'if (hop > 0 && !accepting) return here("drop-unleased");',
    replace: "",
    seed: 10,
    minutes: 2,
  },
  {
    name: "a connection that is pinned is looked for in its slot",
    file: "core/steering/exception.ts",
    find: "if (node === NO_NODE) return undefined;",
    replace: "if (node !== context.self) return undefined;",
    seed: 1,
  },
  {
    name: "connections in slots of others are not reported, so chains do not empty",
    file: "core/steering/former-slots.ts",
    find: "if (owner !== NO_NODE && !connection.halfOpen) seen.established.push(flow);",
    replace: "",
    seed: 1,
  },
  {
    name: "exceptions are not handed on to the next version of the tables",
    file: "core/steering/exceptions.ts",
    find: "if (before === undefined || old === undefined || old.exceptions.flows.length === 0) return [];",
    replace: "if (before !== undefined) return [];",
    seed: 1,
  },
  {
    name: "an exception stays when its connection has ended",
    file: "core/steering/exceptions.ts",
    find: "reachable[node] !== 1 || ended.get(flow) === NO_NODE;",
    replace: "reachable[node] !== 1;",
    seed: 1,
  },
  {
    name: "every frame of hop 0 is for this node",
    file: "core/steering/own.ts",
    find: "} else if (arrival.hop === 0 && !mine) {",
    replace: "} else if (arrival.hop === 9 && !mine) {",
    seed: 1,
  },
  {
    name: "the old owner of a slot hears of the new one with everybody else",
    file: "core/node/publication.ts",
    find: "this.#withheld = this.#lateToHear(before, tables, urgency);",
    replace: "this.#withheld = new Set();",
    seed: 7,
    minutes: 2,
  },
  {
    name: "nobody keeps what comes for a slot that was let go",
    file: "core/steering/own.ts",
    find: "return keeper === NO_NODE ? leased : keeper === self;",
    replace: "return keeper === NO_NODE && leased;",
    seed: 1,
    minutes: 2,
  },
  {
    name: "balancing moves a slot also where that makes the receiver the most loaded",
    file: "core/steering/balance.ts",
    find: "if (load < least || load > (most[owner] ?? 0)) continue;",
    replace: "if (load < least) continue;",
    seed: 1,
    minutes: 12,
    run: "balancing",
  },
  {
    name: "balancing moves a slot for any difference, however small",
    file: "core/steering/balance.ts",
    find: "if (scaled(most) - scaled(least) <= (TOLERANCE * total) / weight) return undefined;",
    replace: "return { slot: group.owners.indexOf(most.id), from: most.id, to: least.id };",
    seed: 1,
    minutes: 12,
    run: "balancing",
  },
  {
    name: "balancing moves nothing",
    file: "core/steering/balance.ts",
    find: "  return { slot, from: from.id, to: least.id };",
    replace: "  return undefined;",
    seed: 1,
    minutes: 12,
    run: "balancing",
  },
  {
    name: "a VIP goes from one living node to another in one step",
    file: "core/steering/vip-holders.ts",
    find: "return stays || before === wanted ? before : NO_NODE;",
    replace: "return stays ? before : wanted;",
    seed: 1,
    run: "spread",
  },
  {
    name: "nobody gets a VIP that was let go",
    file: "core/steering/vip-holders.ts",
    find: "return mayStillAnswer || (rules.frozen && rules.members.has(last)) ? last : wanted;",
    replace: "return mayStillAnswer ? last : NO_NODE;",
    seed: 1,
    run: "spread",
  },
  {
    name: "a node that may not take a flooded packet remembers its session as its own",
    file: "core/steering/pipeline.ts",
    find: "const mayTake = !arrival.flooded || context.accepting;",
    replace: "const mayTake = true;",
    seed: 3,
  },
  {
    name: "one slot is left out of the changes",
    file: "core/steering/tables-delta.ts",
    find: "    if (!slotDiffers(base, next, slot)) continue;",
    replace: "    if (slot === 3 || !slotDiffers(base, next, slot)) continue;",
    seed: 1,
  },
];
