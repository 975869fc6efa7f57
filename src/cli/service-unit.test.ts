// The systemd unit and the program agree: its command line is one that `pan` understands.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { buildProgram } from "./program.ts";
import { recordingTerminal } from "./recording-terminal.ts";

test("systemd unit: ExecStart is understood, and names the folders that the unit makes", async () => {
  const file = new URL("../../packaging/panoply.service", import.meta.url);
  const unit = readFileSync(file, "utf8");
  const setting = (name: string): string =>
    new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1] ?? assert.fail(`no ${name}`);
  const [program, command, ...words] = setting("ExecStart").split(" ");
  assert.equal(program, "/usr/bin/pan");
  assert.equal(command, "agent");

  const whole = await buildProgram(recordingTerminal());
  const agent = whole.commands.find((one) => one.name() === "agent") ?? assert.fail("no agent");
  const { operands, unknown } = agent.parseOptions(words);
  assert.deepEqual({ operands, unknown }, { operands: [], unknown: [] });
  const { config, stateFolder } = agent.opts<{ config: string; stateFolder: string }>();
  assert.ok(config.startsWith(`/etc/${setting("ConfigurationDirectory")}/`));
  assert.equal(stateFolder, `/var/lib/${setting("StateDirectory")}`);
  const { socket } = whole.opts<{ socket: string }>();
  assert.ok(socket.startsWith(`/run/${setting("RuntimeDirectory")}/`));
});
