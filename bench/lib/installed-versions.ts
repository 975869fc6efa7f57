// The version of the tables by which each member of a lab's cluster forwards, read from the memory of its packet program: no agent is
// asked, so nothing is disturbed, and a change is seen to the millisecond.
import { compareVersions, type TableVersion } from "#base/ids.ts";
import { attachedProgram } from "#driver/bpf/attachment.ts";
import { netdev } from "#driver/bpf/netdev.ts";
import { closeProgram, openProgram } from "#driver/bpf/objects.ts";
import { StateMap } from "#driver/bpf/shared-maps.ts";
import { inNetns } from "#driver/libc.ts";
import type { Lab } from "#lab/lab.ts";
import { STANDARD } from "#lab/standard.ts";

const LIMIT_MS = 30_000;
/** Between two looks: the members need the processors, and whoever looks all the time takes one of them. */
const LOOK_EVERY_MS = 1;

function stateOf(lab: Lab, member: string): StateMap {
  return inNetns(lab.netns(member), () => {
    const { ifindex } = netdev(STANDARD.interface);
    const id = attachedProgram(ifindex, "tc") ?? attachedProgram(ifindex, "xdp");
    if (id === undefined) throw new Error(`${member} has no packet program`);
    const program = openProgram(id);
    try {
      const map = program.maps.find(({ name }) => name === ".data.state");
      if (map === undefined) throw new Error(`the packet program of ${member} has no state`);
      return new StateMap(map.fd);
    } finally {
      closeProgram(program);
    }
  });
}

export class InstalledVersions {
  readonly #states: readonly StateMap[];

  constructor(lab: Lab, members: readonly string[]) {
    this.#states = members.map((member) => stateOf(lab, member));
  }

  get newest(): TableVersion {
    const [newest] = this.#all().toSorted((a, b) => compareVersions(b, a));
    if (newest === undefined) throw new Error("there is no member");
    return newest;
  }

  /** Of all members; one that is being written has no version for a moment. */
  #all(): TableVersion[] {
    return this.#states.map(({ version }) => version);
  }

  /** Resolves when every member forwards by tables newer than these. */
  async newerThan(version: TableVersion): Promise<void> {
    const end = performance.now() + LIMIT_MS;
    while (this.#all().some((each) => compareVersions(each, version) <= 0)) {
      if (performance.now() > end) throw new Error("the members do not come to have newer tables");
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  close(): void {
    for (const state of this.#states) state.close();
  }
}
