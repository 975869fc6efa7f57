// What of the section `interfaceNodes` no schema can say (B10): names that must be nodes on the segment, addresses that must be virtual ones.
import { type IpAddress, parseIp } from "#base/address.ts";
import type { Path, Report } from "./findings.ts";
import { isBeyond } from "./node-delivery-rules.ts";
import type { DraftConfig, Placed } from "./rules.ts";
import { suggestion } from "./spelling.ts";

const BASE = "interfaceNodes";

interface Checked {
  readonly known: readonly string[];
  /** Of them those beyond the segment (B11). */
  readonly far: ReadonlySet<string>;
  readonly report: Report;
}

/** @param vips every virtual address, of services and without one */
export function checkInterfaceNodes(
  config: DraftConfig,
  vips: readonly Placed<IpAddress>[],
  report: Report,
): void {
  const section = config.interfaceNodes;
  if (section === undefined) return;
  const nodes = config.nodes ?? [];
  const checked: Checked = {
    known: nodes.flatMap((node) => node?.name ?? []),
    far: new Set(nodes.filter(isBeyond).flatMap((node) => node?.name ?? [])),
    report,
  };
  const listed = section.nodes === "all" ? [] : (section.nodes ?? []);
  checkNames(
    listed.map((node) => node?.name),
    (index) => [BASE, "nodes", index, "name"],
    checked,
  );
  const virtual = new Set(vips.map(({ value }) => value));
  const seen = new Set<IpAddress>();
  for (const [index, entry] of (section.ranked ?? []).entries()) {
    checkNames(entry?.nodes ?? [], (at) => [BASE, "ranked", index, "nodes", at], checked);
    const vip = entry?.vip === undefined ? undefined : parseIp(entry.vip);
    if (vip === undefined) continue;
    const path: Path = [BASE, "ranked", index, "vip"];
    if (seen.has(vip)) report({ path, message: `${vip} has two lists; join them into one` });
    seen.add(vip);
    if (virtual.has(vip)) continue;
    const remedy = "name it under vips, or in a service, or remove the list";
    report({ path, message: `${vip} is no virtual address of the cluster: ${remedy}` });
  }
}

function checkNames(
  names: readonly (string | undefined)[],
  pathOf: (index: number) => Path,
  { known, far, report }: Checked,
): void {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    if (name === undefined) continue;
    const path = pathOf(index);
    if (seen.has(name)) report({ path, message: `the node ${name} is listed twice` });
    seen.add(name);
    if (far.has(name)) {
      const message = `${name} is beyond the segment and can have no virtual address; remove it here`;
      report({ path, message });
    }
    if (known.includes(name)) continue;
    report({ path, message: `there is no node "${name}"${suggestion(name, known)}` });
  }
}
