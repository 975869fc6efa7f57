// What an agent remembers on disk: the configuration in force with its version, the newest tables, the highest epoch.
// Each file is replaced whole (write, sync, rename), so that a crash leaves the old one or the new one.
import * as fs from "node:fs";
import path from "node:path";
import type { ConfigVersion } from "#base/ids.ts";
import { PanError } from "#base/error-codes.ts";
import { decodeTables, encodeTables } from "#core/steering/tables-codec.ts";
import type { Tables } from "#core/steering/tables.ts";

export interface StoredConfig {
  readonly version: ConfigVersion;
  readonly yaml: string;
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

  config(): StoredConfig | undefined {
    const content = this.#read("config.json");
    return content === undefined ? undefined : (JSON.parse(content.toString()) as StoredConfig);
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

  epoch(): number {
    return Number(this.#read("epoch")?.toString() ?? 0);
  }

  saveEpoch(epoch: number): void {
    this.#write("epoch", String(epoch));
  }

  /** Of the last start of this node; the next one is larger. */
  boot(): bigint | undefined {
    const content = this.#read("boot")?.toString();
    return content === undefined ? undefined : BigInt(content);
  }

  saveBoot(boot: bigint): void {
    this.#write("boot", String(boot));
  }

  /** The interface that the last agent used: --teardown needs no configuration. */
  interfaceName(): string | undefined {
    return this.#read("interface")?.toString();
  }

  saveInterface(name: string): void {
    this.#write("interface", name);
  }
}
