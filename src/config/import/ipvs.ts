// Reads what `ipvsadm -S -n` prints, one command of ipvsadm(8) a line: -A a virtual server, -a one of its real servers. The long forms of
// the options, "ipvsadm" in front and comments are understood too, since rules are also kept in scripts.
import { familyOf, parseIp, type IpAddress } from "#base/address.ts";
import type {
  Forwarding,
  Imported,
  Note,
  Place,
  RealServer,
  Target,
  VirtualServer,
} from "./model.ts";
import { MAX_LINES } from "./model.ts";
import { lookUp, orAny, readPort } from "./words.ts";

/** Long and short forms of one option. */
const NAMES: Readonly<Record<string, string>> = {
  "--add-service": "-A",
  "--add-server": "-a",
  "--tcp-service": "-t",
  "--udp-service": "-u",
  "--fwmark-service": "-f",
  "--scheduler": "-s",
  "--sched-flags": "-b",
  "--persistent": "-p",
  "--netmask": "-M",
  "--real-server": "-r",
  "--gatewaying": "-g",
  "--ipip": "-i",
  "--masquerading": "-m",
  "--weight": "-w",
  "--u-threshold": "-x",
  "--l-threshold": "-y",
  "--ipv6": "-6",
  "--ops": "-o",
  "--numeric": "-n",
  "--clear": "-C",
};
const ALONE = [
  "-A",
  "-a",
  "-g",
  "-i",
  "-m",
  "-6",
  "-o",
  "-n",
  "-C",
  "--tun-nocsum",
  "--tun-csum",
  "--tun-remcsum",
];
const VALUED = [
  "-t",
  "-u",
  "-f",
  "-s",
  "-b",
  "-M",
  "-r",
  "-w",
  "-x",
  "-y",
  "--sctp-service",
  "--pe",
  "--tun-type",
  "--tun-port",
];

type Options = ReadonlyMap<string, string>;

/** Why a line cannot be read; never leaves this file. */
class Wrong extends Error {}

interface Service extends Place {
  readonly options: Options;
  readonly protocol: "tcp" | "udp";
  readonly target: Target;
  readonly reals: RealServer[];
}

export function readIpvs(text: string, file: string): Imported {
  return new Reader(file).read(text);
}

class Reader {
  readonly #file: string;
  readonly #notes: Note[] = [];
  /** By what the command line names them with, in the order of the file. */
  readonly #services = new Map<string, Service>();
  /** Virtual servers that cannot be imported; their real servers go without a word of their own. */
  readonly #dropped = new Set<string>();

  constructor(file: string) {
    this.#file = file;
  }

  read(text: string): Imported {
    const lines = text.split(/\r?\n/);
    if (lines.length > MAX_LINES) {
      this.#note("wrong", MAX_LINES + 1, `more than ${MAX_LINES} lines; split the file`);
      return { servers: [], vips: [], notes: this.#notes };
    }
    for (const [index, line] of lines.entries()) {
      try {
        this.#line(line, index + 1);
      } catch (error) {
        if (!(error instanceof Wrong)) throw error;
        this.#note("wrong", index + 1, error.message);
      }
    }
    const servers = [...this.#services.values()].map(serverOf);
    return { servers, vips: [], notes: this.#notes };
  }

  #note(kind: Note["kind"], line: number, text: string): void {
    this.#notes.push({ file: this.#file, line, kind, text });
  }

  #line(text: string, line: number): void {
    const words = text.replace(/#.*$/, "").trim().split(/\s+/);
    if (/(^|\/)ipvsadm$/.test(words[0] ?? "")) words.shift();
    if (words.length === 0 || words[0] === "") return;
    const options = optionsOf(words);
    if (options.has("-A")) return this.#addService(options, line);
    if (options.has("-a")) return this.#addServer(options, line);
    if (options.has("-C")) return; // forget all rules: there are none yet
    throw new Wrong(
      `"${words[0]}" is no -A (virtual server) or -a (real server); give what \`ipvsadm -S -n\` prints`,
    );
  }

  #addService(options: Options, line: number): void {
    const key = keyOf(options);
    if (this.#services.has(key) || this.#dropped.has(key)) {
      throw new Wrong(`the virtual server ${key} is there already; remove one of the two lines`);
    }
    const unusable = unusableService(options);
    if (unusable !== undefined) {
      this.#dropped.add(key);
      return this.#note(
        "dropped",
        line,
        `virtual server ${key}, with its real servers: ${unusable}`,
      );
    }
    const target = targetOf(options.get("-t") ?? options.get("-u") ?? "");
    const protocol = options.has("-t") ? "tcp" : "udp";
    this.#services.set(key, { file: this.#file, line, options, protocol, target, reals: [] });
    this.#noteService(options, line);
  }

  #noteService(options: Options, line: number): void {
    const netmask = options.get("-M");
    if (netmask !== undefined) {
      this.#note("dropped", line, `-M ${netmask}: clients are told apart by their whole address`);
    }
    const pe = options.get("--pe");
    if (pe !== undefined) {
      this.#note(
        "dropped",
        line,
        `--pe ${pe}: packets are looked at up to their ports only; clients stay by address`,
      );
    }
    const timeout = options.get("-p");
    if (timeout !== undefined) {
      this.#note(
        "differs",
        line,
        `-p ${timeout}: a client stays with its node for as long as the tables do not change, not for a time`,
      );
    }
  }

  #addServer(options: Options, line: number): void {
    const key = keyOf(options);
    if (this.#dropped.has(key)) return;
    const service = this.#services.get(key);
    if (service === undefined)
      throw new Wrong(`there is no virtual server ${key} above; add its -A line`);
    const text = options.get("-r");
    if (text === undefined) throw new Wrong("-a without -r; name the real server");
    const { vip: address, port } = targetOf(text);
    const weight = wholeNumber(options, "-w", 65_535) ?? 1;
    for (const [option, what] of [
      ["-x", "upper"],
      ["-y", "lower"],
    ] as const) {
      const threshold = options.get(option);
      if (threshold === undefined || threshold === "0") continue;
      this.#note(
        "dropped",
        line,
        `${option} ${threshold}: there is no ${what} limit of connections for a node; limit them in the server`,
      );
    }
    if (options.has("--tun-type")) {
      this.#note(
        "dropped",
        line,
        `--tun-type ${options.get("--tun-type")}: the node's \`delivery\` says how packets travel, ipip, or geneve where networks let only UDP and TCP pass`,
      );
    }
    const forwarding = forwardingOf(options);
    service.reals.push({
      ...{ file: this.#file, line, address, weight, forwarding },
      port: port === "any" ? 0 : port,
    });
  }
}

function serverOf({ file, line, options, protocol, target, reals }: Service): VirtualServer {
  return {
    ...{ file, line, protocol, reals, targets: [target] },
    scheduler: options.get("-s") ?? "wlc",
    schedulerFlags: options.get("-b")?.split(",") ?? [],
    persistent: options.has("-p"),
  };
}

function unusableService(options: Options): string | undefined {
  if (options.has("-f")) {
    return "marks of the firewall choose its packets; write the addresses and ports that they stand for as services";
  }
  if (options.has("--sctp-service")) {
    return 'SCTP is steered by address only; write a service "any ADDRESS" for it';
  }
  return undefined;
}

/** What a virtual server is called by: "-t 10.0.0.1:80". */
function keyOf(options: Options): string {
  const names = ["-t", "-u", "-f", "--sctp-service"].filter((name) => options.has(name));
  const [name, second] = names;
  if (name === undefined)
    throw new Wrong("it names no virtual server; there must be one of -t, -u, -f");
  if (second !== undefined) throw new Wrong(`it names two virtual servers, ${name} and ${second}`);
  const text = options.get(name) ?? "";
  if (name === "-f") return `-f ${text}`;
  const { vip, port } = targetOf(text);
  return `${name} ${familyOf(vip) === 6 ? `[${vip}]` : vip}:${port === "any" ? 0 : port}`;
}

function optionsOf(words: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (let index = 0; index < words.length; index++) {
    const [given = "", attached] = (words[index] ?? "").split(/=(.*)/s, 2);
    const name = lookUp(NAMES, given) ?? given;
    if (options.has(name)) throw new Wrong(`${given} is given twice`);
    if (ALONE.includes(name)) {
      options.set(name, "");
    } else if (name === "-p") {
      const next = attached ?? words[index + 1];
      const isTimeout = next !== undefined && /^\d+$/.test(next);
      options.set(name, isTimeout ? next : "300");
      if (isTimeout && attached === undefined) index += 1;
    } else if (VALUED.includes(name)) {
      const value = attached ?? words[(index += 1)];
      if (value === undefined) throw new Wrong(`${given} has no value`);
      options.set(name, value);
    } else throw new Wrong(`"${given}" is no option of ipvsadm that rules have`);
  }
  return options;
}

function forwardingOf(options: Options): Forwarding {
  const given = ["-g", "-i", "-m"].filter((name) => options.has(name));
  if (given.length > 1) throw new Wrong(`${given.join(" and ")} contradict each other`);
  return options.has("-m") ? "masquerade" : options.has("-i") ? "tunnel" : "direct";
}

function wholeNumber(options: Options, name: string, most: number): number | undefined {
  const text = options.get(name);
  if (text === undefined) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= most)) throw new Wrong(`${name} ${text}: give a number, 0 to ${most}`);
  return value;
}

/** "10.0.0.1:80", "[fd00::1]:80", "10.0.0.1:http"; port 0, or none: every port. */
export function targetOf(text: string): Target {
  const [, bracketed, plain = "", portText] =
    /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text) ?? [];
  const vip: IpAddress | undefined = parseIp(bracketed ?? plain);
  if (vip === undefined) {
    throw new Wrong(
      `"${text}" is no address with a port, like 10.0.0.1:80 or [fd00::1]:80; use the option -n of ipvsadm, which prints numbers`,
    );
  }
  const port = readPort(portText);
  if (port === undefined) {
    throw new Wrong(
      `the port "${portText}" is no number up to 65535; use the option -n of ipvsadm, which prints numbers`,
    );
  }
  return { vip, port: orAny(port) };
}
