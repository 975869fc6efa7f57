// The one list of what the controller's decisions do to the world.
import type { MacAddress } from "#base/address.ts";
import type { Effect } from "#core/node/controller.ts";
import type { Datapath } from "#driver/bpf/datapath.ts";
import type { Announcer } from "#driver/host/announcer.ts";
import type { HostState } from "#driver/host/host-state.ts";
import type { Followers } from "./followers.ts";
import type { Following } from "./following.ts";
import type { HeartCommand } from "./heart-protocol.ts";
import type { StateFolder } from "./state-folder.ts";

export interface World {
  readonly mac: MacAddress;
  readonly datapath: Datapath;
  readonly host: HostState;
  readonly announcer: Announcer;
  readonly followers: Followers;
  readonly following: Following;
  readonly state: StateFolder;
  readonly heart: (command: HeartCommand) => void;
}

export function perform(world: World, effect: Effect): void {
  switch (effect.type) {
    case "place-vips":
      world.host.apply({ vips: effect.vips, interfaceNode: effect.answer });
      return;
    case "announce-vips":
      world.announcer.announce(effect.vips, world.mac);
      return;
    case "install-tables":
      world.datapath.publish(effect.tables);
      world.heart({ type: "tables-published", version: effect.tables.version });
      // Off the path of a failover: the disk can wait.
      setImmediate(() => world.state.saveTables(effect.tables));
      return;
    case "replicate-tables":
      world.followers.sendTablesToAll(effect.tables);
      return;
    case "acknowledge-tables":
      world.following.send({ type: "tables-ack", version: effect.version });
      return;
    case "follow":
      if (effect.master === undefined) world.following.stop();
      else world.following.follow(effect.master);
      return;
  }
}
