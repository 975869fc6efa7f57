// Loads a compiled packet program: sizes its maps, sets its constants, hands it maps that already exist, and turns
// the verifier's refusal into an error that can be read.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { PanError } from "#base/error-codes.ts";
import type { Pointer } from "../libc.ts";
import { bpfCheck, bpfError, libbpf, Structure } from "./libbpf.ts";
import type { MapShape } from "./objects.ts";

const LOG_SIZE = 256 * 1024;
const LOG_TAIL_LINES = 12;
const BPF_F_XDP_HAS_FRAGS = 1 << 5;

export interface LoadOptions {
  /** Largest number of entries, by map name. */
  readonly capacities?: Readonly<Record<string, number>>;
  /** The program's constants (.rodata), as a whole. */
  readonly constants?: Uint8Array;
  /** XDP: frames may be spread over several buffers (MTU above a page). */
  readonly multiBuffer?: boolean;
  /** An existing map to use in place of a new one; undefined: make a new one. */
  existing?(name: string, shape: MapShape): number | undefined;
}

/** The compiled object: beside the sources, or beside the bundle that was made of them. */
export function readObject(name: string): Uint8Array {
  for (let folder = import.meta.dirname; ; folder = path.dirname(folder)) {
    const file = path.join(folder, "bpf/build", name);
    if (existsSync(file)) return readFileSync(file);
    if (folder === path.dirname(folder)) break;
  }
  throw new PanError("PAN_NO_BPF", `The packet program ${name} is missing from this installation.`);
}

/** A loaded object: its programs and maps live as long as it is open or the kernel refers to them. */
export class LoadedObject {
  readonly #object: Pointer;
  readonly #programs = new Map<string, Pointer>();
  readonly #maps = new Map<string, Pointer>();

  private constructor(object: Pointer) {
    this.#object = object;
    const bpf = libbpf();
    for (let p = bpf.nextProgram(object, null); p !== null; p = bpf.nextProgram(object, p)) {
      this.#programs.set(bpf.programName(p), p);
    }
    for (let map = bpf.nextMap(object, null); map !== null; map = bpf.nextMap(object, map)) {
      // libbpf puts the object's name before the sections of global variables
      this.#maps.set(bpf.mapName(map).replace(/^.*(\.rodata|\.bss)$/, "$1"), map);
    }
  }

  /** @param name of a file made by tools/build-bpf.ts */
  static load(name: string, options: LoadOptions = {}): LoadedObject {
    const bpf = libbpf();
    const bytes = readObject(name);
    const objectName = Buffer.from("steer\0", "latin1");
    const openOptions = new Structure(16).u64(0, 16).pointer(8, objectName);
    const opened = bpf.openMem(bytes, bytes.byteLength, openOptions.bytes);
    if (opened === null)
      throw new PanError("PAN_NO_BPF", `Cannot read the packet program ${name}.`);
    const object = new LoadedObject(opened);
    try {
      object.#prepare(options);
      object.#load(name);
    } catch (error) {
      object.close();
      throw error;
    }
    return object;
  }

  programFd(name: string): number {
    const program = this.#programs.get(name);
    if (program === undefined) throw new RangeError(`The object has no program ${name}`);
    return libbpf().programFd(program);
  }

  mapFd(name: string): number {
    const map = this.#maps.get(name);
    if (map === undefined) throw new RangeError(`The object has no map ${name}`);
    return libbpf().mapFd(map);
  }

  close(): void {
    libbpf().closeObject(this.#object);
  }

  #prepare(options: LoadOptions): void {
    const bpf = libbpf();
    for (const [name, map] of this.#maps) {
      const capacity = options.capacities?.[name];
      if (capacity !== undefined) bpfCheck(bpf.setMaxEntries(map, capacity), `size map ${name}`);
      if (name === ".rodata" && options.constants !== undefined) {
        const { constants } = options;
        const result = bpf.setInitialValue(map, constants, constants.byteLength);
        bpfCheck(result, "set the constants of the packet program");
        continue;
      }
      const fd = options.existing?.(name, {
        type: bpf.mapType(map),
        keySize: bpf.mapKeySize(map),
        valueSize: bpf.mapValueSize(map),
        maxEntries: bpf.mapMaxEntries(map),
        flags: bpf.mapFlags(map),
      });
      if (fd !== undefined) bpfCheck(bpf.reuseFd(map, fd), `go on with map ${name}`);
    }
    if (options.multiBuffer !== true) return;
    for (const program of this.#programs.values()) {
      bpfCheck(
        bpf.setProgramFlags(program, BPF_F_XDP_HAS_FRAGS),
        "allow frames of several buffers",
      );
    }
  }

  #load(name: string): void {
    const bpf = libbpf();
    const log = Buffer.alloc(LOG_SIZE);
    for (const program of this.#programs.values()) bpf.setLog(program, log, LOG_SIZE);
    const result = bpf.load(this.#object);
    if (result >= 0) return;
    const text = log
      .subarray(0, Math.max(log.indexOf(0), 0))
      .toString("latin1")
      .trimEnd();
    const tail = text.split("\n").slice(-LOG_TAIL_LINES).join("\n");
    throw bpfError(-result, `load the packet program ${name}`, tail === "" ? "" : `\n${tail}`);
  }
}
