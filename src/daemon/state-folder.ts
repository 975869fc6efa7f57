// What an agent remembers on disk: the configuration in force with its version, the newest tables, the highest epoch.
// Each file is replaced whole (write, sync, rename), so that a crash leaves the old one or the new one.
import * as fs from "node:fs";
import path from "node:path";
import { type ConfigVersion, MAX_NODE_ID, type NodeId } from "#base/ids.ts";
import { PanError } from "#base/error-codes.ts";
import { decodeTables, encodeTables } from "#core/steering/tables-codec.ts";
import type { Tables } from "#core/steering/tables.ts";

export interface StoredConfig {
  readonly version: ConfigVersion;
  readonly yaml: string;
}

/** As it travels: 32 bits. */
const LARGEST_EPOCH = 0xffff_ffff;

function parseStoredConfig(text: string): StoredConfig | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { version, yaml } = (value ?? {}) as Partial<StoredConfig>;
  const complete = typeof version?.digest === "string" && Number.isSafeInteger(version.counter);
  return complete && typeof yaml === "string" ? { version, yaml } : undefined;
}

export class StateFolder {
  readonly path: string;

  /** Creates the folder where it is missing. Throws PAN_SYSCALL when it cannot be written. */
  constructor(folder: string) {
    this.path = folder;
    try {
      fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
      fs.accessSync(folder, fs.constants.W_OK);
    } catch (cause) {
      throw new PanError(
        "PAN_SYSCALL",
        `Cannot write the state folder ${folder}; choose another with --state-folder`,
        { cause },
      );
    }
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  #read(name: string): Buffer | undefined {
    try {
      return fs.readFileSync(this.file(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  #write(name: string, content: string | Uint8Array): void {
    const temporary = this.file(`.${name}.new`);
    const fd = fs.openSync(temporary, "w", 0o600);
    try {
      fs.writeFileSync(fd, content);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, this.file(name));
  }

  /** PAN_STATE_UNREADABLE when it is damaged: to guess which configuration was in force is the operator's business. */
  config(): StoredConfig | undefined {
    const content = this.#read("config.json");
    if (content === undefined) return undefined;
    const stored = parseStoredConfig(content.toString());
    if (stored !== undefined) return stored;
    throw new PanError(
      "PAN_STATE_UNREADABLE",
      `${this.file("config.json")} is damaged; remove it, then the node starts with the file that --config names and fetches the cluster's configuration from its master`,
    );
  }

  saveConfig(config: StoredConfig): void {
    this.#write("config.json", JSON.stringify(config));
  }

  /** Undefined when there are none, or when what is there cannot be read: the tables can be computed anew. */
  tables(): Tables | undefined {
    const content = this.#read("tables.bin");
    if (content === undefined) return undefined;
    const decoded = decodeTables(content);
    return decoded.ok ? decoded.value : undefined;
  }

  /** Not synced to disk: after a power failure older tables serve as well. */
  saveTables(tables: Tables): void {
    const temporary = this.file(".tables.bin.new");
    fs.writeFileSync(temporary, encodeTables(tables), { mode: 0o600 });
    fs.renameSync(temporary, this.file("tables.bin"));
  }

  /** 0 when unknown or damaged: the tables and the other nodes know it, too. */
  epoch(): number {
    const epoch = Number(this.#read("epoch")?.toString() ?? 0);
    return Number.isSafeInteger(epoch) && epoch >= 0 && epoch <= LARGEST_EPOCH ? epoch : 0;
  }

  saveEpoch(epoch: number): void {
    this.#write("epoch", String(epoch));
  }

  /** With whom this node was together last (docs/adr/0029); none when unknown or damaged. */
  together(): NodeId[] {
    const words = (this.#read("together")?.toString() ?? "").split(" ").map(Number);
    return words.every((id) => Number.isInteger(id) && id > 0 && id <= MAX_NODE_ID)
      ? words.map((id) => id as NodeId)
      : [];
  }

  saveTogether(nodes: readonly NodeId[]): void {
    this.#write("together", nodes.join(" "));
  }

  /** Of the last start of this node; the next one is larger. Undefined when unknown or damaged: then the clock decides. */
  boot(): bigint | undefined {
    const content = this.#read("boot")?.toString() ?? "";
    return /^\d{1,19}$/.test(content) ? BigInt(content) : undefined;
  }

  saveBoot(boot: bigint): void {
    this.#write("boot", String(boot));
  }

  /** The interfaces that the last agent used, the cluster interface first: --teardown needs no configuration. */
  interfaces(): string[] {
    const names = this.#read("interface")?.toString().split("\n") ?? [];
    return names.filter((name) => name !== "");
  }

  saveInterfaces(names: readonly string[]): void {
    this.#write("interface", names.join("\n"));
  }
}
