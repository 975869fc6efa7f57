// B9: a version names one content wherever it is installed, and what a node's packet program holds only ever gets newer.
import { compareVersions, type TableVersion } from "#base/ids.ts";
import type { Tables } from "#core/steering/tables.ts";
import { FIRST_BOOT, type SimNode } from "../node.ts";
import type { PacketProgram } from "../packet-program.ts";
import type { Observer } from "../probes.ts";
import { sameBytes } from "../tables-bytes.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

const textOf = ({ epoch, counter, master }: TableVersion): string =>
  `${epoch}.${counter} of node ${master}`;

/** Starts are numbered by a wall clock in microseconds (node.ts). */
const startedMs = (boot: bigint): number => Number(boot - FIRST_BOOT) / 1000;

export class TablesOrder implements Observer {
  readonly #world: World;
  readonly #last = new WeakMap<PacketProgram, TableVersion>();
  /** True time at which each program got what it holds. */
  readonly #gotMs = new WeakMap<PacketProgram, number>();

  constructor(world: World) {
    this.#world = world;
  }

  installed(node: SimNode, tables: Tables): void {
    const before = this.#last.get(node.program);
    if (before !== undefined && compareVersions(tables.version, before) < 0) {
      const text = `node ${node.id} went back from tables ${textOf(before)} to ${textOf(tables.version)}`;
      throw new Violation("tables-order", text);
    }
    this.#last.set(node.program, tables.version);
    this.#gotMs.set(node.program, this.#world.nowMs);
    this.#sameContent(node, tables);
  }

  /**
   * Whoever has lost its disk may begin with small numbers again. A machine that was away meanwhile still holds tables of these numbers;
   * it goes by them in no cluster, and before it is in one again the master has risen above its epoch (A5).
   */
  #isOfFormerLife({ id, program }: SimNode, master: SimNode): boolean {
    const heart = master.agent?.heart;
    if (heart === undefined || heart.machine.view.members.some((member) => member.id === id)) {
      return false;
    }
    return (this.#gotMs.get(program) ?? 0) < startedMs(heart.identity.boot);
  }

  #sameContent(node: SimNode, tables: Tables): void {
    for (const other of this.#world.nodes) {
      const { installed } = other.program;
      if (other === node || compareVersions(installed.version, tables.version) !== 0) continue;
      if (sameBytes(installed, tables)) continue;
      const master = this.#world.node(tables.version.master);
      if ([node, other].some((each) => this.#isOfFormerLife(each, master))) continue;
      const text = `nodes ${node.id} and ${other.id} hold different tables of version ${textOf(tables.version)}`;
      throw new Violation("tables-order", text);
    }
  }
}
