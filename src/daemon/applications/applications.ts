// The applications on this machine (A10): what they are told, and how they are asked about joins. Programs hear it over a socket, scripts
// are run. Decisions are elsewhere: what is news in core/node/chronicle.ts, what a vote means in core/membership/ballots.ts.
import type { Logger } from "pino";
import { NO_NODE, type NodeId } from "#base/ids.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import type { ApplicationsStatus } from "#api/applications.ts";
import type { SessionsStatus } from "#api/sessions.ts";
import type { Effect, Verdict, VoteRule } from "#core/membership/protocol.ts";
import type { Departure, Member, View } from "#core/membership/types.ts";
import { Chronicle, type News } from "#core/node/chronicle.ts";
import type { Tables } from "#core/steering/tables.ts";
import {
  type Answer,
  type Happening,
  type JoinVote,
  type NodeName,
  PROTOCOL,
  type Rules,
  type Snapshot,
  type ToApplication,
} from "#wire/applications/message.ts";
import { countSlots, formatSlots } from "#wire/applications/slot-ranges.ts";
import type { HeartCommand } from "../heart-protocol.ts";
import { panoplyVersion } from "../package-version.ts";
import type { Trouble } from "../trouble.ts";
import { Hooks } from "./hooks.ts";
import { Poll, type Voter } from "./poll.ts";
import { rulesOf } from "./rules.ts";
import { ApplicationServer } from "./server.ts";
import type { Session } from "./session.ts";
import { Tally } from "./tally.ts";

export interface ApplicationsOptions {
  readonly self: NodeConfig;
  readonly config: () => ClusterConfig;
  readonly socketPath: string;
  readonly hooksFolder: string;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly trouble: Trouble;
  readonly heart: (command: HeartCommand) => void;
}

type VoteWanted = Extract<Effect, { type: "vote-wanted" }>;

interface OpenPoll {
  readonly poll: Poll;
  /** Ends vote hooks that still run. */
  readonly over: AbortController;
}

export class Applications {
  readonly #options: ApplicationsOptions;
  readonly #chronicle: Chronicle;
  readonly #tally = new Tally();
  readonly #server: ApplicationServer;
  readonly #hooks: Hooks;
  /** By ballot; as many as membership has open. */
  readonly #polls = new Map<number, OpenPoll>();
  #sequence = 0;
  #rule: VoteRule | undefined;
  #rules: Rules | undefined;
  #closed = false;

  constructor(options: ApplicationsOptions) {
    this.#options = options;
    this.#chronicle = new Chronicle(options.self.id);
    const [tally, { log, trouble }] = [this.#tally, options];
    this.#server = new ApplicationServer({
      tally,
      greeting: () => this.#greeting(),
      answered: (session, answer) => this.#answered(session, answer),
      changed: () => this.refreshVoters(),
      failed: (error) => trouble.report("socket for applications", error),
      gone: (session, why) => {
        if (session.name !== "") log.info({ application: session.name, why }, "application left");
        this.#gone(session);
      },
    });
    const place = () => ({
      cluster: options.config().cluster.name,
      node: this.#self,
      role: this.#chronicle.standing.role,
    });
    this.#hooks = new Hooks({ folder: options.hooksFolder, log, tally, trouble, place });
  }

  /** Errors: PAN_AGENT_RUNNING, PAN_SYSCALL. */
  listen(): Promise<void> {
    return this.#server.listen(this.#options.socketPath);
  }

  get #self(): NodeName {
    const { id, name, address } = this.#options.self;
    return { id, name, address };
  }

  #nameOf(id: NodeId): string | undefined {
    if (id === NO_NODE) return undefined;
    return this.#options.config().nodes.find((node) => node.id === id)?.name ?? `node-${id}`;
  }

  #named({ id, address }: Pick<Member, "id" | "address">): NodeName {
    return { id, name: this.#nameOf(id) ?? "", address };
  }

  viewChanged(view: View): void {
    if (view.role !== "master") this.#forgetPolls();
    this.#later(() => this.#tell(this.#chronicle.viewChanged(view)));
  }

  departing(id: NodeId, reason: Departure): void {
    this.#later(() => this.#chronicle.departing(id, reason));
  }

  tablesInForce(tables: Tables): void {
    this.#later(() => {
      this.#refreshRules(tables);
      this.#tell(this.#chronicle.tablesInForce(tables));
    });
  }

  #refreshRules(tables: Tables): void {
    const rules = rulesOf(tables, this.#options.config().detection.intervalMs);
    if (JSON.stringify(rules) === JSON.stringify(this.#rules)) return;
    this.#rules = rules;
    this.#server.inform(rules);
  }

  /** Off the path of a failover, in the order in which it happened: differences of a million slots take a while. */
  #later(act: () => void): void {
    setImmediate(() => {
      if (!this.#closed) this.#options.trouble.guard("tell applications", act);
    });
  }

  #tell(news: readonly News[]): void {
    for (const each of news) {
      this.#sequence += 1;
      this.#tally.add("events");
      const event = { ...this.#inWords(each), sequence: this.#sequence };
      this.#server.tell(event);
      this.#hooks.tell(event);
    }
  }

  #inWords(news: News): Happening {
    const named = <K extends string>(key: K, id: NodeId): { readonly [P in K]?: string } => {
      const name = this.#nameOf(id);
      return name === undefined ? {} : ({ [key]: name } as { [P in K]: string });
    };
    switch (news.type) {
      case "role-changed": {
        const { type, role, epoch, master } = news;
        return { type, role, epoch, ...named("master", master) };
      }
      case "member-joined":
        return { type: news.type, member: this.#named(news.member) };
      case "member-left":
        return { type: news.type, member: this.#named(news.member), reason: news.reason };
      case "work-sets-gained":
        return { type: news.type, ...slotsOf(news), ...named("from", news.from) };
      case "work-sets-lost":
      case "work-sets-passed-on":
        return { type: news.type, ...slotsOf(news), ...named("to", news.to) };
    }
  }

  #greeting(): ToApplication[] {
    const { role, epoch, master, members, groups } = this.#chronicle.standing;
    const name = this.#nameOf(master);
    const snapshot: Snapshot = {
      type: "snapshot",
      sequence: this.#sequence,
      role,
      epoch,
      ...(name === undefined ? {} : { master: name }),
      members: members.map((member) => this.#named(member)),
      groups: groups.map((group) => ({ ...slotsOf(group), total: group.total })),
    };
    const cluster = this.#options.config().cluster.name;
    return [
      {
        ...{ type: "welcome", protocol: PROTOCOL, agent: panoplyVersion, cluster },
        ...{ node: this.#self, takesReports: true },
      },
      snapshot,
      ...(this.#rules === undefined ? [] : [this.#rules]),
    ];
  }

  /** Whether anybody here wants to be asked; to be called whenever that may have changed, and every few seconds. */
  refreshVoters(): void {
    const votes = this.#server.voters.length > 0 || this.#hooks.files().votes.length > 0;
    const { voteMs: withinMs, unanswered } = this.#options.config().applications;
    const rule = votes ? { withinMs, unanswered } : undefined;
    if (JSON.stringify(rule) === JSON.stringify(this.#rule)) return;
    this.#rule = rule;
    this.#options.heart({ type: "voters-changed", rule });
  }

  /** A node wants to join: everybody who votes is asked. */
  ask({ ballot, id, address, withinMs }: VoteWanted): void {
    this.#tally.add("votes");
    const vote: JoinVote = {
      type: "join-vote",
      vote: ballot,
      node: this.#named({ id, address }),
      withinMs,
    };
    const programs = this.#server.voters;
    const scripts: Voter[] = this.#hooks.files().votes.length > 0 ? [{ name: "hooks" }] : [];
    const poll = new Poll([...programs, ...scripts], this.#unanswered);
    const over = new AbortController();
    this.#polls.set(ballot, { poll, over });
    this.#server.ask(programs, vote);
    for (const script of scripts) {
      void this.#askScripts(vote, script, over.signal);
    }
    this.#settle(ballot);
  }

  async #askScripts(vote: JoinVote, script: Voter, over: AbortSignal): Promise<void> {
    const said = await this.#hooks.vote(vote, over);
    if (over.aborted) return;
    if (said === "none") return this.#gone(script);
    const refusal = said === "accept" ? undefined : said.refusal;
    this.#polls.get(vote.vote)?.poll.answered(script, refusal);
    this.#settle(vote.vote);
  }

  get #unanswered(): VoteRule["unanswered"] {
    return this.#options.config().applications.unanswered;
  }

  #answered(session: Session, answer: Answer): void {
    const open = this.#polls.get(answer.vote);
    const isCounted = open?.poll.answered(session, answer.accept ? undefined : answer.reason);
    if (isCounted !== true) return this.#tally.add("answers-late");
    session.answeredCount += 1;
    this.#settle(answer.vote);
  }

  #gone(voter: Voter): void {
    for (const [ballot, { poll }] of this.#polls) {
      if (!poll.gone(voter)) continue;
      this.#tally.add("voters-gone");
      this.#settle(ballot);
    }
  }

  #settle(ballot: number): void {
    const verdict = this.#polls.get(ballot)?.poll.verdict;
    if (verdict === undefined) return;
    this.#close(ballot);
    this.#decided(ballot, verdict);
  }

  #decided(ballot: number, verdict: Verdict): void {
    this.#tally.add(verdict.accepted ? "votes-accepted" : "votes-refused");
    this.#options.heart({ type: "join-voted", ballot, verdict });
  }

  #close(ballot: number): void {
    this.#polls.get(ballot)?.over.abort();
    this.#polls.delete(ballot);
  }

  /** Membership has decided by the rule. */
  tooLate(ballot: number): void {
    this.#tally.add("votes-unanswered");
    const missing = this.#polls.get(ballot)?.poll.missing ?? [];
    this.#options.log.warn({ ballot, missing }, "applications did not answer in time");
    this.#close(ballot);
  }

  #forgetPolls(): void {
    for (const ballot of [...this.#polls.keys()]) this.#close(ballot);
  }

  status(): ApplicationsStatus {
    const files = this.#hooks.files();
    const { socketPath, hooksFolder } = this.#options;
    return {
      socket: socketPath,
      applications: this.#server.sessions.map((session) => ({
        name: session.name,
        votes: session.votes,
        connectedMs: Math.round(performance.now() - session.since),
        events: session.events,
        asked: session.asked,
        answered: session.answeredCount,
        queuedBytes: session.queuedBytes,
      })),
      hooks: {
        folder: hooksFolder,
        files: [
          ...files.events.map((file) => ({ file, use: "events" as const })),
          ...files.votes.map((file) => ({ file, use: "votes" as const })),
          ...files.refused.map(({ file, problem }) => ({ file, use: "refused" as const, problem })),
        ],
        waiting: this.#hooks.waiting,
      },
      counts: this.#tally.list,
    };
  }

  /** What servers on this machine say of their sessions (A16). */
  sessions(): SessionsStatus[] {
    return this.#server.sessions.flatMap(({ name, report }) => {
      if (report === undefined) return [];
      const reportedMs = Math.round(performance.now() - report.at);
      return [{ application: name, ...report.figures, reportedMs }];
    });
  }

  /** Ends connections and hooks. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#forgetPolls();
    await this.#hooks.stop();
    await this.#server.close();
  }
}

const slotsOf = ({ group, slots }: Pick<Snapshot["groups"][number], "group"> & SlotSet) => ({
  group,
  slots: formatSlots(slots),
  count: countSlots(slots),
});
type SlotSet = { readonly slots: Parameters<typeof formatSlots>[0] };
