// The packet program that an earlier agent left on the interface, with its maps: what a new one goes on with.
import { REVISION } from "./abi.gen.ts";
import { attachedProgram } from "./attachment.ts";
import {
  closeProgram,
  openProgram,
  type LiveMap,
  type LiveProgram,
  type MapShape,
} from "./objects.ts";
import { StateMap } from "./shared-maps.ts";
import type { Hook } from "./types.ts";

const HOOKS: readonly Hook[] = ["xdp", "tc"];

const sameShape = (a: MapShape, b: MapShape): boolean =>
  a.type === b.type &&
  a.keySize === b.keySize &&
  a.valueSize === b.valueSize &&
  a.maxEntries === b.maxEntries &&
  a.flags === b.flags;

interface Found {
  readonly hook: Hook;
  readonly id: number;
}

function find(ifindex: number): Found | undefined {
  for (const hook of HOOKS) {
    const id = attachedProgram(ifindex, hook);
    if (id !== undefined) return { hook, id };
  }
  return undefined;
}

/** The id of the packet program of ours that is on the interface; undefined: there is none. */
export const steeringId = ({ ifindex }: { readonly ifindex: number }): number | undefined =>
  find(ifindex)?.id;

export class Predecessor {
  readonly hook: Hook;
  /** Of the program. */
  readonly id: number;
  /** Its agent made the clsact qdisc. */
  readonly ownsClsact: boolean;
  readonly #program: LiveProgram;
  #compatible: boolean;

  private constructor(ifindex: number, { hook, id }: Found) {
    this.hook = hook;
    this.id = id;
    this.#program = openProgram(id);
    const map = this.#map(".data.state");
    const state = map === undefined ? undefined : new StateMap(map.fd);
    this.#compatible = state?.revision === REVISION;
    this.ownsClsact = state !== undefined && state.clsactLinks.includes(ifindex);
    state?.close();
  }

  /** Undefined when nothing of ours is on the interface. Close it. */
  static find(ifindex: number): Predecessor | undefined {
    const found = find(ifindex);
    return found === undefined ? undefined : new Predecessor(ifindex, found);
  }

  /** False once a map was asked for that it has in another shape, or not at all. */
  get compatible(): boolean {
    return this.#compatible;
  }

  /** Until it is closed. */
  get programFd(): number {
    return this.#program.fd;
  }

  mapFd(name: string, shape: MapShape): number | undefined {
    const map = this.#map(name);
    if (map !== undefined && sameShape(map, shape)) return map.fd;
    this.#compatible = false;
    return undefined;
  }

  /** Of a map that mapFd() has given. */
  idOf(fd: number): number | undefined {
    return this.#program.maps.find((each) => each.fd === fd)?.id;
  }

  close(): void {
    closeProgram(this.#program);
  }

  #map(name: string): LiveMap | undefined {
    return this.#program.maps.find((each) => each.name === name);
  }
}
