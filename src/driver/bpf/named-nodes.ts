// Map named_nodes: of each group of policy quic, the nodes to which the packets go that name them, a bit each (docs/adr/0031). Shared memory.
import type { NodeId } from "#base/ids.ts";
import { NAMED_WORDS } from "./abi.gen.ts";
import { GroupNumbers } from "./group-numbers.ts";

const WORD_BITS = 64;

export class NamedNodes extends GroupNumbers {
  constructor(fd: number, groups: number) {
    super(fd, groups * NAMED_WORDS);
  }

  setNodes(group: number, nodes: readonly NodeId[]): void {
    for (const [index, word] of wordsOf(nodes).entries()) {
      this.set(group * NAMED_WORDS + index, word);
    }
  }
}

export function wordsOf(nodes: readonly NodeId[]): BigUint64Array {
  const words = new BigUint64Array(NAMED_WORDS);
  for (const id of nodes) {
    const index = Math.floor(id / WORD_BITS);
    words[index] = (words[index] ?? 0n) | (1n << BigInt(id % WORD_BITS));
  }
  return words;
}
