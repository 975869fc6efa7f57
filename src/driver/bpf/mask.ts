// The egress program (bpf/mask.bpf.c) beside the packet program: the same constants, the same maps. It is an object of its
// own, since it runs at tc egress also where the packet program is XDP. The interface keeps it, as it keeps that one.
import { attachMask, MASK_NAME } from "./attachment.ts";
import type { Netdev } from "./netdev.ts";
import { LoadedObject } from "./program-loader.ts";

/** Maps of the packet program that the egress program reads. */
const SHARED: readonly string[] = [".data.state", "vips"];

/** Attaches it or replaces the one that is there, in one step; answers whether the clsact qdisc had to be made. */
export function putMask(device: Netdev, steer: LoadedObject, constants: Uint8Array): boolean {
  const object = LoadedObject.load("mask.o", {
    constants,
    existing: (name) => (SHARED.includes(name) ? steer.mapFd(name) : undefined),
  });
  try {
    return attachMask(device, object.programFd(MASK_NAME));
  } finally {
    object.close();
  }
}
