// Started by host-presence.test.ts: takes the agent's locks and waits to be killed.
//   node host-lock-holder.ts STATE-FOLDER RUNTIME-FOLDER
import { AgentLock } from "#driver/host/agent-lock.ts";

const [stateFolder = "", runtimeFolder = ""] = process.argv.slice(2);
const lock = AgentLock.acquire({ stateFolder, runtimeFolder });
process.on("SIGTERM", () => lock.release());
console.log("locked");
setInterval(() => {}, 60_000);
