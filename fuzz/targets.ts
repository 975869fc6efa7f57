// Every decoder that is fuzzed.
import type { Target } from "./target.ts";
import { APPLICATION_TARGETS } from "./targets-applications.ts";
import { CLUSTER_TARGETS } from "./targets-cluster.ts";
import { CONTROL_TARGETS } from "./targets-control.ts";
import { FRAME_TARGETS } from "./targets-frames.ts";
import { IMPORT_TARGETS } from "./targets-import.ts";
import { PATH_TARGETS } from "./targets-paths.ts";
import { TAKEOVER_TARGETS } from "./targets-takeover.ts";
import { TUNNEL_TARGETS } from "./targets-tunnels.ts";

export const TARGETS: readonly Target[] = [
  ...CLUSTER_TARGETS,
  ...CONTROL_TARGETS,
  ...IMPORT_TARGETS,
  ...PATH_TARGETS,
  ...APPLICATION_TARGETS,
  ...FRAME_TARGETS,
  ...TAKEOVER_TARGETS,
  ...TUNNEL_TARGETS,
];
