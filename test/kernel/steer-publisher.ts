// A process that owns a datapath and publishes one table after another until it is killed: `node steer-publisher.ts
// <interface>` inside the network namespace of a test. Prints "ready" after the first table.
import { nodeId } from "#base/ids.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { alternatingTables, PUBLISHER_OPTIONS } from "./steer-tables.ts";

const [, , interfaceName = ""] = process.argv;
const datapath = Datapath.open({
  ...PUBLISHER_OPTIONS,
  interface: interfaceName,
  self: nodeId(1),
});
for (let counter = datapath.version().counter + 1; ; counter++) {
  datapath.publish(alternatingTables(counter));
  if (counter % 2 === 1) process.stdout.write("ready\n");
}
