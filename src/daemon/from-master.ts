// What this node does with each thing that its master says over the control channel (A2, A4, B9).
import type { Logger } from "pino";
import type { Input } from "#core/node/protocol.ts";
import { decodeTables } from "#core/steering/tables-codec.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import type { InstanceWork } from "./instance-work.ts";
import type { KeyRotation } from "./key-rotation.ts";
import type { Rollout } from "./rollout.ts";

/** What a master's messages reach. */
export interface MasterListener {
  readonly log: Pick<Logger, "warn">;
  readonly rotation: Pick<KeyRotation, "adopt">;
  readonly rollout: Pick<Rollout, "adopt">;
  readonly instances: Pick<InstanceWork, "tell">;
  readonly step: (input: Input) => void;
}

/** Throws when the message is not what it should be; then nothing has changed. */
export function takeFromMaster(message: ControlMessage, node: MasterListener): void {
  switch (message.type) {
    case "group-key":
      return node.rotation.adopt({ keyId: message.keyId, key: message.key }, message.previous);
    case "config":
      return node.rollout.adopt(message);
    case "tables": {
      const tables = decodeTables(message.bytes);
      if (!tables.ok) throw new Error(`they are ${tables.reason}`);
      return node.step({ type: "tables-received", tables: tables.value });
    }
    case "hello":
      return node.instances.tell();
    case "ping":
    case "pong":
      return;
    case "config-ack":
    case "tables-ack":
    case "tables-wanted":
    case "slot-report":
    case "health-report":
    case "slots-wanted":
    case "flow-report":
    case "request":
    case "response":
      return node.log.warn({ type: message.type }, "not for a member");
  }
}
