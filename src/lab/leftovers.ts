// Whether a cluster's lab is gone without a trace: namespaces, folders, processes and packet programs that it had, and that
// are still there afterwards. The kernel frees what has ended a moment later, so it is asked until nothing is left.
import { existsSync, readdirSync } from "node:fs";
import { attachedProgram } from "#driver/bpf/attachment.ts";
import { findNetdev } from "#driver/bpf/netdev.ts";
import { programName } from "#driver/bpf/objects.ts";
import { inNetns } from "#driver/libc.ts";
import { stateOf, type ProcessId } from "./processes.ts";
import { folderOf, netnsName, startedProcesses } from "./record.ts";

const NETNS_FOLDER = "/run/netns";
const HOOKS = ["xdp", "tc"] as const;
/** Namespaces are taken apart by the kernel's own worker, after everybody else's. */
const LONGEST_CLEANING_MS = 20_000;
const POLL_MS = 20;

export interface Left {
  readonly namespaces: number;
  readonly folders: number;
  readonly processes: number;
  readonly programs: number;
}

export class Leftovers {
  readonly #lab: string;
  readonly #folders: readonly string[];
  readonly #namespacesBefore: ReadonlySet<string>;
  readonly #processes = new Map<string, ProcessId>();
  readonly #programs = new Set<number>();

  /** Before the lab is made. */
  constructor(lab: string, folders: readonly string[]) {
    this.#lab = lab;
    this.#folders = [folderOf(lab), ...folders];
    this.#namespacesBefore = new Set(this.#namespaces());
  }

  /** While the lab is up, and again when hosts were replaced: remembers what runs in it. */
  note(interfaceName: string): void {
    for (const id of startedProcesses(this.#lab)) {
      this.#processes.set(`${id.pid} ${id.startTime}`, id);
    }
    for (const name of this.#namespaces()) {
      for (const id of programsIn(`${NETNS_FOLDER}/${name}`, interfaceName)) this.#programs.add(id);
    }
  }

  /** Programs that were seen on an interface: none at all means that nothing was looked for. */
  get programsNoted(): number {
    return this.#programs.size;
  }

  /** After the lab was taken down: what is still there when the kernel had its time. */
  async wait(): Promise<Left> {
    const end = performance.now() + LONGEST_CLEANING_MS;
    for (;;) {
      const left = this.#count();
      const gone = Object.values(left).every((count) => count === 0);
      if (gone || performance.now() > end) return left;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #count(): Left {
    const alive = [...this.#processes.values()].filter((id) => stateOf(id) !== "ended");
    const loaded = [...this.#programs].filter((id) => programName(id)?.startsWith("steer_"));
    return {
      namespaces: this.#namespaces().filter((name) => !this.#namespacesBefore.has(name)).length,
      folders: this.#folders.filter((folder) => existsSync(folder)).length,
      processes: alive.length,
      programs: loaded.length,
    };
  }

  #namespaces(): string[] {
    if (!existsSync(NETNS_FOLDER)) return [];
    return readdirSync(NETNS_FOLDER).filter((name) => name.startsWith(netnsName(this.#lab, "")));
  }
}

/** Ids of our packet programs on that interface of a namespace. */
function programsIn(netns: string, interfaceName: string): number[] {
  return inNetns(netns, () => {
    const device = findNetdev(interfaceName);
    if (device === undefined) return [];
    return HOOKS.flatMap((hook) => attachedProgram(device.ifindex, hook) ?? []);
  });
}
