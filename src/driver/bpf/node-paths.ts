// Map node_paths: by which private path frames go to each node (B11). Written in place. A path is complete before a choice names it; one
// that nothing names any more is left as it is.
import { macBytes, type MacAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { Mapping } from "../libc.ts";
import { NODE_PATH, NODE_PATHS, PATH_CHOICES, PATHS } from "./abi.gen.ts";
import { macNumber } from "./shared-maps.ts";

/** One node's. Paths count from 1; choice 0 is the way without private paths. */
export interface NodePaths {
  readonly node: NodeId;
  /** MAC of the node's interface, and index of this node's interface, on each path. Undefined: no choice names it. */
  readonly paths: readonly ({ readonly mac: MacAddress; readonly link: number } | undefined)[];
  /** By slot. */
  readonly choices: Uint8Array;
}

export class NodePathMap {
  readonly #mapping: Mapping;
  readonly #view: DataView;
  readonly #entries: number;

  constructor(fd: number, entries: number) {
    this.#entries = entries;
    this.#mapping = new Mapping(fd, entries * NODE_PATHS.size);
    const { buffer, byteOffset, byteLength } = this.#mapping.bytes;
    this.#view = new DataView(buffer, byteOffset, byteLength);
  }

  set({ node, paths, choices }: NodePaths): void {
    if (node >= this.#entries) return; // the program was loaded without private paths
    const base = node * NODE_PATHS.size;
    for (const [index, path] of paths.slice(0, PATHS).entries()) {
      if (path === undefined) continue;
      const at = base + NODE_PATHS.path + (index + 1) * NODE_PATH.size;
      this.#view.setBigUint64(at + NODE_PATH.mac, macNumber(macBytes(path.mac)), true);
      this.#view.setUint32(at + NODE_PATH.link, path.link, true);
    }
    for (let entry = 0; entry < PATH_CHOICES; entry++) {
      this.#view.setUint8(base + NODE_PATHS.choice + entry, choices[entry] ?? 0);
    }
  }

  /** Nothing is known of any path. */
  clear(): void {
    const none = new Uint8Array(PATH_CHOICES);
    for (let node = 0; node < this.#entries; node++) {
      this.set({ node: node as NodeId, paths: [], choices: none });
    }
  }

  close(): void {
    this.#mapping.unmap();
  }
}
