// Started by host-state.test.ts: makes an interface node's changes on its host and dies by SIGKILL.
//   node host-victim.ts STATE-FOLDER VIP...
import { ip, mac } from "#base/address.ts";
import { HostState } from "#driver/host/host-state.ts";

const CLUSTER_MACS = [mac("02:bf:0a:09:00:64"), mac("03:bf:0a:09:00:64")];

const [stateFolder = "", ...vips] = process.argv.slice(2);
const state = HostState.open({ interface: "eth0", stateFolder });
state.apply({
  vips: vips.map(ip),
  answered: vips.map(ip),
  macs: { listen: CLUSTER_MACS, keep: [] },
});
process.kill(process.pid, "SIGKILL");
