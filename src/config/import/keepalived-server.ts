// virtual_server and real_server blocks of keepalived.conf.
import { parseIp } from "#base/address.ts";
import type { Statement } from "./keepalived-lines.ts";
import {
  healthOf,
  isCheck,
  type RealChecks,
  readCheck,
  type Timing,
  timingWord,
} from "./keepalived-checks.ts";
import { REAL, type Reasons, SERVER } from "./keepalived-words.ts";
import { lookUp, orAny, readPort } from "./words.ts";
import type { Check, Forwarding, Note, Place, RealServer, Target, VirtualServer } from "./model.ts";

/** The reader around it: where notes go, and the groups of addresses. */
export interface ServerReader {
  note(kind: Note["kind"], place: Place, text: string): void;
  /** It is understood and needs no note. */
  take(statement: Statement): void;
  drop(statement: Statement, why: string): void;
  wrong(statement: Statement, why: string): void;
  dropKnown(statement: Statement, reasons: Reasons): boolean;
  targetsOf(group: string): readonly Target[] | undefined;
}

const KINDS: Readonly<Record<string, Forwarding>> = {
  DR: "direct",
  TUN: "tunnel",
  NAT: "masquerade",
};

interface Draft {
  protocol: string;
  scheduler: string;
  readonly flags: string[];
  forwarding: Forwarding;
  persistent: boolean;
  weight: number;
  readonly timing: Timing;
  /** Said for the virtual server; for real servers that say none. */
  readonly checks: Check[];
  sorry?: RealServer;
}

interface Real {
  readonly server: RealServer;
  readonly checks: RealChecks;
}

export function readVirtualServer(
  statement: Statement,
  reader: ServerReader,
): VirtualServer | undefined {
  const targets = targetsFor(statement, reader);
  if (targets === undefined) return undefined;
  reader.take(statement);
  const draft: Draft = {
    protocol: "TCP",
    scheduler: "wlc",
    flags: [],
    forwarding: "masquerade",
    persistent: false,
    weight: 1,
    timing: {},
    checks: [],
  };
  const block = statement.block ?? [];
  for (const each of block) if (each.words[0] !== "real_server") serverWord(each, draft, reader);
  const reals = block.flatMap((each) =>
    each.words[0] === "real_server" ? (realServer(each, draft, reader) ?? []) : [],
  );
  const { file, line } = statement;
  if (draft.protocol !== "TCP" && draft.protocol !== "UDP") {
    const what =
      draft.protocol === "SCTP"
        ? 'SCTP is steered by address only; write a service "any ADDRESS"'
        : "give TCP or UDP";
    reader.note(
      "dropped",
      statement,
      `virtual server, with its real servers: protocol ${draft.protocol}: ${what}`,
    );
    return undefined;
  }
  const health = healthOf(
    reals.map(({ checks }) => checks),
    draft.timing,
    reader,
  );
  return {
    ...{ file, line, targets, reals: reals.map(({ server }) => server) },
    ...(health === undefined ? {} : { health }),
    ...(draft.sorry === undefined ? {} : { sorry: draft.sorry }),
    protocol: draft.protocol === "TCP" ? "tcp" : "udp",
    scheduler: draft.scheduler,
    schedulerFlags: draft.flags,
    persistent: draft.persistent,
  };
}

function targetsFor(statement: Statement, reader: ServerReader): readonly Target[] | undefined {
  const [, first, second] = statement.words;
  if (first === "group") {
    const targets = second === undefined ? undefined : reader.targetsOf(second);
    if (targets === undefined)
      reader.wrong(statement, `there is no virtual_server_group ${second ?? ""}; add it`);
    return targets;
  }
  if (first === "fwmark") {
    reader.drop(
      statement,
      "marks of the firewall choose its packets; write the addresses and ports that they stand for as services",
    );
    return undefined;
  }
  const vip = parseIp(first ?? "");
  const port = readPort(second);
  if (vip === undefined || port === undefined) {
    reader.wrong(statement, "write an address and a port, like 10.0.0.100 80");
    return undefined;
  }
  return [{ vip, port: orAny(port) }];
}

function serverWord(statement: Statement, draft: Draft, reader: ServerReader): void {
  const [word = "", value = ""] = statement.words;
  switch (word) {
    case "lb_algo":
    case "lvs_sched":
      if (value === "") return reader.wrong(statement, "name the scheduler, such as wrr");
      draft.scheduler = value;
      return reader.take(statement);
    case "lb_kind":
    case "lvs_method": {
      const kind = lookUp(KINDS, value);
      if (kind === undefined) return reader.wrong(statement, "write NAT, DR or TUN");
      draft.forwarding = kind;
      return reader.take(statement);
    }
    case "protocol":
      draft.protocol = value.toUpperCase();
      return reader.take(statement);
    case "sh-port":
    case "mh-port":
      draft.flags.push(word);
      return reader.take(statement);
    case "persistence_timeout":
      draft.persistent = value !== "0";
      reader.take(statement);
      if (!draft.persistent) return;
      return reader.note(
        "differs",
        statement,
        `${word} ${value}: a client stays with its node for as long as the tables do not change, not for a time`,
      );
    case "weight":
      return weightOf(statement, reader, (weight) => {
        draft.weight = weight;
      });
    case "sorry_server":
      return sorryServer(statement, draft, reader);
    default:
      if (isCheck(word)) draft.checks.push(...(readCheck(statement, draft.timing, reader) ?? []));
      else if (!timingWord(statement, draft.timing, reader)) reader.dropKnown(statement, SERVER);
  }
}

function sorryServer(statement: Statement, draft: Draft, reader: ServerReader): void {
  const [, first, second] = statement.words;
  const address = parseIp(first ?? "");
  const port = readPort(second);
  if (address === undefined || port === undefined) {
    return reader.wrong(statement, "write an address and a port, like 10.0.0.20 80");
  }
  reader.take(statement);
  const { file, line } = statement;
  draft.sorry = { file, line, address, port, weight: 1, forwarding: draft.forwarding };
}

function weightOf(statement: Statement, reader: ServerReader, set: (weight: number) => void): void {
  const [, text = ""] = statement.words;
  const weight = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(weight <= 65_535)) return reader.wrong(statement, "give a number, 0 to 65535");
  set(weight);
  reader.take(statement);
}

function realServer(
  statement: Statement,
  { forwarding, weight, checks: usual }: Draft,
  reader: ServerReader,
): Real | undefined {
  const [, first, second] = statement.words;
  const address = parseIp(first ?? "");
  const port = readPort(second);
  if (address === undefined || port === undefined) {
    reader.wrong(statement, "write an address and a port, like 10.0.0.11 80");
    return undefined;
  }
  reader.take(statement);
  const draft = { weight, forwarding };
  const timing: Timing = {};
  const checks: Check[] = [];
  for (const each of statement.block ?? []) {
    const [word = "", value = ""] = each.words;
    if (word === "weight") {
      weightOf(each, reader, (own) => (draft.weight = own));
    } else if (word === "lvs_method") {
      const kind = lookUp(KINDS, value);
      if (kind === undefined) reader.wrong(each, "write NAT, DR or TUN");
      else {
        draft.forwarding = kind;
        reader.take(each);
      }
    } else if (isCheck(word)) checks.push(...(readCheck(each, timing, reader) ?? []));
    else if (!timingWord(each, timing, reader)) reader.dropKnown(each, REAL);
  }
  const place = { file: statement.file, line: statement.line, address };
  return {
    server: { ...place, port, ...draft },
    checks: { ...place, timing, checks: checks.length > 0 ? checks : usual },
  };
}
