// The tables that follow the ones before (next-tables.ts), computed only when something has changed: the same desired state again
// changes nothing but the version (B8), and most publications, those after acknowledgements and the rounds, ask for the same.
import type { TableVersion } from "#base/ids.ts";
import { sameLists } from "#base/same-lists.ts";
import { type Desired, type DesiredGroup, type DesiredNode, nextTables } from "./next-tables.ts";
import { sameNamed, sameRow, sameService } from "./same-content.ts";
import type { Tables } from "./tables.ts";

const sameNode = (a: DesiredNode, b: DesiredNode): boolean =>
  a.id === b.id && a.weight === b.weight && a.serves === b.serves && a.part === b.part;

/** Measured loads change all the time, and move slots only where that helps: such a group is always computed. */
const sameGroup = (a: DesiredGroup, b: DesiredGroup): boolean =>
  a.balance === "weights" &&
  b.balance === "weights" &&
  a.name === b.name &&
  a.policy === b.policy &&
  a.slots === b.slots &&
  a.assignment === b.assignment &&
  a.udpIdleMs === b.udpIdleMs &&
  a.ordered === b.ordered &&
  a.sorry === b.sorry &&
  a.answer === b.answer &&
  sameNamed(a, b) &&
  sameLists(a.services, b.services, sameService) &&
  sameLists(a.nodes, b.nodes, sameNode);

const sameDesired = (a: Desired, b: Desired): boolean =>
  a.method === b.method &&
  a.primary === b.primary &&
  a.hash === b.hash &&
  sameLists(a.hashKey, b.hashKey) &&
  sameLists(a.vips, b.vips) &&
  sameLists(a.nodes, b.nodes, sameRow) &&
  sameLists(a.groups, b.groups, sameGroup);

export class SteadyTables {
  #last: { readonly desired: Desired; readonly tables: Tables } | undefined;

  /** As nextTables, but for the chains, which follow from what is published (transition.ts). */
  next(previous: Tables | undefined, desired: Desired, version: TableVersion): Tables {
    const last = this.#last;
    const isSteady =
      last !== undefined && last.tables === previous && sameDesired(last.desired, desired);
    const tables = isSteady
      ? { ...last.tables, version }
      : nextTables(previous, desired, version, "left");
    this.#last = { desired, tables };
    return tables;
  }
}
