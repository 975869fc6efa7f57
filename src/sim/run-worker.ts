// A thread that runs one seed after the other, as it is told (lanes.ts).
import { parentPort } from "node:worker_threads";
import { type RunSettings, Simulation } from "./simulation.ts";

parentPort?.on("message", (settings: RunSettings) => {
  parentPort?.postMessage(new Simulation(settings).run(), []);
});
