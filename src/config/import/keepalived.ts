// Reads keepalived.conf(5): addresses of VRRP instances and virtual servers. Every statement is either taken, or answered by a note; what
// nobody has looked at in the end is noted too, so that nothing is lost silently (the sweep at the end of `read`).
import { parseIp, type IpAddress } from "#base/address.ts";
import { type ReadFiles, readLines, type Statement } from "./keepalived-lines.ts";
import { readVirtualServer, type ServerReader } from "./keepalived-server.ts";
import { BLOCKS, GLOBALS, type Reasons, VRRP } from "./keepalived-words.ts";
import { lookUp, orAny, readPort } from "./words.ts";
import type { Address, Imported, Note, Place, Target, VirtualServer } from "./model.ts";

export function readKeepalived(text: string, file: string, readFiles: ReadFiles): Imported {
  const { statements, notes } = readLines(text, file, readFiles);
  return new Reader(notes).read(statements);
}

class Reader implements ServerReader {
  readonly #notes: Note[];
  /** Statements that are taken or noted; those in a noted block go with it. */
  readonly #seen = new Set<Statement>();
  readonly #groups = new Map<string, readonly Target[]>();
  readonly #servers: VirtualServer[] = [];
  readonly #vips: Address[] = [];
  #interface: string | undefined;

  constructor(notes: readonly Note[]) {
    this.#notes = [...notes];
  }

  read(statements: readonly Statement[]): Imported {
    // groups may stand below the servers that use them
    for (const each of statements) if (each.words[0] === "virtual_server_group") this.#group(each);
    for (const each of statements) this.#top(each);
    for (const each of statements) this.#sweep(each);
    return {
      servers: this.#servers,
      vips: this.#vips,
      ...(this.#interface === undefined ? {} : { interface: this.#interface }),
      notes: this.#notes,
    };
  }

  note(kind: Note["kind"], { file, line }: Place, text: string): void {
    this.#notes.push({ file, line, kind, text });
  }

  take(statement: Statement): void {
    this.#seen.add(statement);
  }

  drop(statement: Statement, why: string): void {
    this.take(statement);
    const inside = statement.block === undefined ? "" : ", with everything in it";
    this.note("dropped", statement, `${statement.words.join(" ")}${inside}: ${why}`);
    this.#coverBlock(statement);
  }

  wrong(statement: Statement, why: string): void {
    this.take(statement);
    this.note("wrong", statement, `${statement.words.join(" ")}: ${why}`);
    this.#coverBlock(statement);
  }

  dropKnown(statement: Statement, reasons: Reasons): boolean {
    const [word = ""] = statement.words;
    const why =
      lookUp(reasons.words, word) ??
      reasons.prefixes.find(([prefix]) => word.startsWith(prefix))?.[1];
    if (why === undefined) return false;
    this.drop(statement, why);
    return true;
  }

  targetsOf(group: string): readonly Target[] | undefined {
    return this.#groups.get(group);
  }

  #coverBlock({ block = [] }: Statement): void {
    for (const each of block) {
      this.#seen.add(each);
      this.#coverBlock(each);
    }
  }

  #sweep(statement: Statement): void {
    if (this.#seen.has(statement)) for (const each of statement.block ?? []) this.#sweep(each);
    else
      this.drop(statement, "not known to this importer; see keepalived.conf(5) for what it does");
  }

  #top(statement: Statement): void {
    switch (statement.words[0]) {
      case "global_defs":
      case "global_defs_main":
        this.take(statement);
        for (const each of statement.block ?? []) this.dropKnown(each, GLOBALS);
        return;
      case "vrrp_instance":
        return this.#instance(statement);
      case "virtual_server": {
        const server = readVirtualServer(statement, this);
        if (server !== undefined) this.#servers.push(server);
        return;
      }
      case "virtual_server_group":
        return; // read before
      case undefined:
        return;
      default:
        this.dropKnown(statement, BLOCKS);
    }
  }

  #instance(instance: Statement): void {
    this.take(instance);
    for (const statement of instance.block ?? []) {
      switch (statement.words[0] ?? "") {
        case "interface":
          this.#interfaceOf(statement);
          break;
        case "virtual_ipaddress":
        case "virtual_ipaddress_excluded":
          this.take(statement);
          for (const each of statement.block ?? []) this.#address(each);
          break;
        case "nopreempt":
          this.take(statement); // no node becomes master because it returns
          break;
        default:
          this.dropKnown(statement, VRRP);
      }
    }
  }

  #interfaceOf(statement: Statement): void {
    const [, name] = statement.words;
    if (name === undefined) return this.wrong(statement, "name the interface");
    this.take(statement);
    this.#interface ??= name;
    if (name === this.#interface) return;
    this.note(
      "differs",
      statement,
      `interface ${name}: the cluster talks on ${this.#interface}; if clients come by this one too, list it in cluster.arms`,
    );
  }

  /** "10.0.0.100/24 dev eth0 label eth0:1". */
  #address(statement: Statement): void {
    this.take(statement);
    const [word = "", ...rest] = statement.words;
    const [text = "", prefix] = word.split("/");
    const vip = parseIp(text);
    if (vip === undefined) return this.wrong(statement, `"${text}" is no IP address`);
    this.#vips.push({ file: statement.file, line: statement.line, vip });
    if (prefix !== undefined && !/^(32|128)$/.test(prefix)) {
      this.note(
        "differs",
        statement,
        `${word}: a virtual address is held as a single one; the nodes need addresses of their own in that network`,
      );
    }
    const device = rest[rest.indexOf("dev") + 1];
    if (rest.includes("dev") && device !== undefined && device !== this.#interface) {
      this.note(
        "differs",
        statement,
        `dev ${device}: virtual addresses are answered for on cluster.interface and cluster.arms; list ${device} there if clients come by it`,
      );
    }
    const others = rest.filter((each, index) => each !== "dev" && rest[index - 1] !== "dev");
    if (others.length > 0) {
      this.note(
        "dropped",
        statement,
        `${others.join(" ")}: virtual addresses stand on the loopback interface and have no labels, scopes or flags`,
      );
    }
  }

  #group(statement: Statement): void {
    this.take(statement);
    const [, name] = statement.words;
    if (name === undefined) return this.wrong(statement, "name the group");
    const targets = (statement.block ?? []).flatMap((each) => this.#groupEntry(each));
    this.#groups.set(name, targets);
  }

  /** "10.0.0.100 80", "10.0.0.10-20 80", "fwmark 3". */
  #groupEntry(statement: Statement): Target[] {
    const [first = "", port] = statement.words;
    if (first === "fwmark") {
      this.drop(
        statement,
        "marks of the firewall choose its packets; write the addresses and ports that they stand for",
      );
      return [];
    }
    const addresses = rangeOf(first);
    if (addresses === undefined) {
      this.wrong(statement, `"${first}" is no IP address and no range like 10.0.0.10-20`);
      return [];
    }
    const number = readPort(port);
    if (number === undefined) {
      this.wrong(statement, `the port "${port}" is no number up to 65535`);
      return [];
    }
    this.take(statement);
    return addresses.map((vip) => ({ vip, port: orAny(number) }));
  }
}

/** A range counts in the last part of the address: decimal for IPv4, hexadecimal for IPv6. */
function rangeOf(text: string): IpAddress[] | undefined {
  const [firstText = "", lastText, ...more] = text.split("-");
  const first = parseIp(firstText);
  if (first === undefined || more.length > 0) return undefined;
  if (lastText === undefined) return [first];
  const isV6 = first.includes(":");
  const separator = isV6 ? ":" : ".";
  const at = firstText.lastIndexOf(separator) + 1;
  const radix = isV6 ? 16 : 10;
  const digits = isV6 ? /^[0-9a-fA-F]{1,4}$/ : /^\d{1,3}$/;
  const [from, to] = [firstText.slice(at) || "0", lastText].map((part) =>
    digits.test(part) ? Number.parseInt(part, radix) : Number.NaN,
  ) as [number, number];
  if (!(from <= to && to <= (isV6 ? 0xffff : 255))) return undefined;
  const found: IpAddress[] = [];
  for (let value = from; value <= to && found.length <= MAX_RANGE; value++) {
    const address = parseIp(`${firstText.slice(0, at)}${value.toString(radix)}`);
    if (address === undefined) return undefined;
    found.push(address);
  }
  return found.length > MAX_RANGE ? undefined : found;
}

/** More than a configuration may have virtual addresses. */
const MAX_RANGE = 4096;
