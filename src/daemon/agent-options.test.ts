// A10: where applications connect, when nobody says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_APPLICATIONS_SOCKET } from "#apps/client.ts";
import { DEFAULT_SOCKET } from "#api/routes.ts";
import { applicationsSocketOf } from "./agent-options.ts";

test("A10: the socket for applications is beside that of the API, and no two agents share one", () => {
  const beside = (socket: string): string =>
    applicationsSocketOf({ socket, applicationsSocket: undefined });
  assert.equal(beside(DEFAULT_SOCKET), DEFAULT_APPLICATIONS_SOCKET);
  assert.equal(beside("/run/x/one.sock"), "/run/x/one-applications.sock");
  assert.equal(beside("/run/x/two"), "/run/x/two-applications.sock");
  const named = { socket: DEFAULT_SOCKET, applicationsSocket: "/run/y/apps" };
  assert.equal(applicationsSocketOf(named), "/run/y/apps");
});
