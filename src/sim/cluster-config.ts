// The configuration of a simulated cluster (A4): who is admitted, which certificates are revoked, what is served. Changing it gives
// the next version, with a digest of the content as in the real one.
import type { ConfigVersion, NodeId } from "#base/ids.ts";
import type { AdmittedNode, Detection } from "#core/membership/protocol.ts";
import type { ClusterSpec } from "#core/node/cluster-spec.ts";

export interface ConfigContent {
  readonly admitted: readonly AdmittedNode[];
  readonly revoked: readonly number[];
  readonly detection: Detection;
  readonly spec: ClusterSpec;
}

export interface ClusterConfig extends ConfigContent {
  readonly version: ConfigVersion;
}

function digestOf(content: ConfigContent): string {
  const text = JSON.stringify(content);
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < text.length; at++) {
    low = Math.imul(low ^ text.charCodeAt(at), 0x01000193);
    high = Math.imul(high ^ low, 0x85ebca6b);
  }
  const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
  return hex(high) + hex(low);
}

export const configOf = (counter: number, content: ConfigContent): ClusterConfig => {
  const { admitted, revoked, detection, spec } = content;
  const bare = { admitted, revoked, detection, spec };
  return { ...bare, version: { counter, digest: digestOf(bare) } };
};

export const edited = (config: ClusterConfig, change: Partial<ConfigContent>): ClusterConfig =>
  configOf(config.version.counter + 1, { ...config, ...change });

export const names = (config: ClusterConfig, id: NodeId): boolean =>
  config.admitted.some((node) => node.id === id);

/** Whether a node that was trusted by one configuration is not by the other: what it knows must be replaced (A2). */
export const lostSomebody = (before: ClusterConfig, now: ClusterConfig): boolean =>
  before.admitted.some(({ id }) => !names(now, id)) ||
  now.revoked.some((serial) => !before.revoked.includes(serial));
