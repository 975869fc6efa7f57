// Puts the packet program on an interface and the egress program beside it (B5, A22): in the place of what an earlier agent left
// there, by the hook that suits the interface, with a way back for the case that another interface refuses it.
import { attach, attachedMask, attachMask, detach, detachMask } from "./attachment.ts";
import { preferredHooks, PROGRAM_NAMES, removeUnusedClsact } from "./attachment.ts";
import { bpfCheck, libbpf } from "./libbpf.ts";
import { putMask } from "./mask.ts";
import type { Netdev } from "./netdev.ts";
import { Predecessor } from "./predecessor.ts";
import { LoadedObject } from "./program-loader.ts";
import { constants, mapCapacities, sizesOf } from "./program-options.ts";
import type { DatapathOptions, Hook } from "./types.ts";
import { orUndo, Undo } from "./undo.ts";

/** Frames above this do not fit into one buffer of native XDP. */
const LARGEST_SINGLE_BUFFER_MTU = 3498;

/** @param peerLink of an arm: index of the cluster interface */
function loadOptions(device: Netdev, hook: Hook, options: DatapathOptions, peerLink = 0) {
  const multiBuffer = hook === "xdp" && device.mtu > LARGEST_SINGLE_BUFFER_MTU;
  const sizes = sizesOf(options);
  const port = [options, ...(options.arms ?? [])].find((each) => each.interface === device.name);
  const { self, peering = false } = options;
  const place = { self, mac: port?.mac ?? device.mac, peerLink, peering };
  return {
    capacities: mapCapacities(sizes),
    constants: constants(place, sizes, multiBuffer),
    multiBuffer,
  };
}

/** With the predecessor's maps if all of them are as we would make them, otherwise with new ones. */
export function loadSteer(
  device: Netdev,
  hook: Hook,
  options: DatapathOptions,
  predecessor: Predecessor | undefined,
): { readonly object: LoadedObject; readonly reused: boolean } {
  const anew = loadOptions(device, hook, options);
  if (predecessor === undefined || !predecessor.compatible) {
    return { object: LoadedObject.load(`steer-${hook}.o`, anew), reused: false };
  }
  const object = LoadedObject.load(`steer-${hook}.o`, {
    ...anew,
    existing: (name, shape) => predecessor.mapFd(name, shape),
  });
  if (predecessor.compatible) return { object, reused: true };
  // some map has another size: start anew with all of them, rather than with half of the old state
  object.close();
  return { object: LoadedObject.load(`steer-${hook}.o`, anew), reused: false };
}

/** With the hook that suits the interface best; otherwise with the next one. */
export function withHook<T>(device: Netdev, options: DatapathOptions, open: (hook: Hook) => T): T {
  const [first, otherwise] = preferredHooks(device, options.hook ?? "auto");
  try {
    return open(first);
  } catch (error) {
    if (otherwise === undefined) throw error;
    return open(otherwise);
  }
}

export interface OwnLink {
  readonly ifindex: number;
  readonly ownsClsact: boolean;
}

interface Placement {
  readonly device: Netdev;
  readonly hook: Hook;
  readonly object: LoadedObject;
  readonly options: DatapathOptions;
  /** Of an arm: index of the cluster interface. */
  readonly peerLink?: number;
}

/** Puts a loaded program on an interface, in the place of what an earlier agent left there, and the egress program beside it. */
export function putSteer(
  { device, hook, object, options, peerLink }: Placement,
  predecessor: Predecessor | undefined,
  undo: Undo,
): OwnLink {
  const { ifindex } = device;
  let madeClsact = false;
  undo.add(() => {
    if (madeClsact) removeUnusedClsact(ifindex);
  });
  madeClsact = attach(device, hook, object.programFd(PROGRAM_NAMES[hook]));
  undo.add(() => {
    if (predecessor?.hook === hook) attach(device, hook, predecessor.programFd);
    else detach(ifindex, hook);
  });
  const mask = formerMask(ifindex, undo);
  const madeByMask = putMask(
    device,
    object,
    loadOptions(device, hook, options, peerLink).constants,
  );
  madeClsact ||= madeByMask;
  undo.add(() => {
    if (mask === undefined) detachMask(ifindex);
    else attachMask(device, mask);
  });
  if (predecessor !== undefined && predecessor.hook !== hook) {
    detach(ifindex, predecessor.hook);
    undo.add(() => attach(device, predecessor.hook, predecessor.programFd));
  }
  return { ifindex, ownsClsact: madeClsact || predecessor?.ownsClsact === true };
}

/** A descriptor of the egress program that is there, so that it can be put back. */
function formerMask(ifindex: number, undo: Undo): number | undefined {
  const id = attachedMask(ifindex);
  if (id === undefined) return undefined;
  return undo.keepFd(bpfCheck(libbpf().progFdById(id), "open the attached egress program"));
}

/**
 * The same program on an arm (A22): every map is the cluster interface's, so there is one set of tables, leases and counters. The
 * interface keeps it, as the cluster interface does. Frames to other nodes leave by the cluster interface.
 */
export function putArm(arm: Omit<Placement, "hook">, undo: Undo): OwnLink {
  const { device, object: steer, options, peerLink } = arm;
  const predecessor = Predecessor.find(device.ifindex);
  if (predecessor !== undefined) undo.whenClosed(() => predecessor.close());
  return withHook(device, options, (hook) => {
    const anew = loadOptions(device, hook, options, peerLink);
    const existing = (name: string): number => steer.mapFd(name);
    const object = LoadedObject.load(`steer-${hook}.o`, { ...anew, existing });
    const own = new Undo();
    try {
      const link = orUndo(own, () => putSteer({ ...arm, object, hook }, predecessor, own));
      undo.add(() => own.run());
      undo.whenClosed(() => own.close());
      return link;
    } catch (error) {
      own.close();
      throw error;
    } finally {
      object.close();
    }
  });
}
