// Whose work sets are whose, as far as this node's agent tells its applications: this node's own, and those that it had and others have now.
import type { NodeId } from "#base/ids.ts";
import { parseSlots } from "#wire/applications/slot-ranges.ts";
import type { Place } from "./placement.ts";

/** Undefined: nobody yet, or not known. */
type Owner = NodeId | undefined;

export class WorkSets {
  readonly #self: NodeId;
  readonly #owners = new Map<string, Map<number, Owner>>();

  constructor(self: NodeId) {
    this.#self = self;
  }

  /** Everything anew: these are this node's. */
  begin(groups: readonly { readonly group: string; readonly slots: string }[]): void {
    this.#owners.clear();
    for (const { group, slots } of groups) this.set(group, slots, this.#self);
  }

  set(group: string, slots: string, owner: Owner): void {
    const owners = this.#owners.get(group) ?? new Map<number, Owner>();
    for (const { first, last } of parseSlots(slots) ?? []) {
      for (let slot = first; slot <= last; slot++) owners.set(slot, owner);
    }
    this.#owners.set(group, owners);
  }

  isMine(place: Place | undefined): boolean {
    return this.ownerOf(place) === this.#self;
  }

  /** Another node that has it now; undefined: this node, nobody yet, or not known. */
  otherOwner(place: Place | undefined): Owner {
    const owner = this.ownerOf(place);
    return owner === this.#self ? undefined : owner;
  }

  ownerOf(place: Place | undefined): Owner {
    return place === undefined ? undefined : this.#owners.get(place.group)?.get(place.slot);
  }
}
