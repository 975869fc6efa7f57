// A control server, or a client, that writes down what it is told, and tests that wait for it.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ip } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import { ControlClient, type ControlClientOptions } from "../client.ts";
import { ControlServer, type ControlPeer, type ControlServerOptions } from "../server.ts";
import type { TestIdentity } from "./test-cluster.ts";

export const LOOPBACK = ip("127.0.0.1");
const PATIENCE_MS = 20_000;

/** Waits until something has come true; fails with what it waited for. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!condition()) {
    assert.ok(performance.now() < end, `waited in vain until ${what}`);
    await sleep(2);
  }
}

export interface ServerRecord {
  readonly server: ControlServer;
  /** "open 2", "close 2 idle", "refused expired", in order. */
  readonly log: string[];
  readonly received: { readonly from: NodeId; readonly message: ControlMessage }[];
}

type Given<T extends { identity: unknown }> = Partial<Omit<T, "identity">> & {
  readonly identity: TestIdentity;
};

/** A server on a free port of the loopback address, closed after the test. */
export async function startServer(
  context: TestContext,
  options: Given<ControlServerOptions>,
): Promise<ServerRecord> {
  const log: string[] = [];
  const received: ServerRecord["received"] = [];
  const server = await ControlServer.listen({
    address: LOOPBACK,
    port: 0,
    revoked: () => new Set(),
    refusal: () => undefined,
    ...options,
    onOpen: (peer: ControlPeer) => {
      log.push(`open ${peer.node.id}`);
      options.onOpen?.(peer);
    },
    onMessage: (peer, message) => {
      received.push({ from: peer.node.id, message });
      options.onMessage?.(peer, message);
    },
    onClose: (peer, reason) => log.push(`close ${peer.node.id} ${reason}`),
    onRefused: (reason, from) => log.push(`refused ${reason} ${from}`),
  });
  context.after(() => server.close());
  return { server, log, received };
}

export interface ClientRecord {
  readonly client: ControlClient;
  readonly received: ControlMessage[];
  readonly log: string[];
}

/** A client of that server, closed after the test. */
export async function connectClient(
  context: TestContext,
  port: number,
  options: Given<ControlClientOptions> & { readonly expectedNode: NodeId },
): Promise<ClientRecord> {
  const received: ControlMessage[] = [];
  const log: string[] = [];
  const client = await ControlClient.connect({
    address: LOOPBACK,
    port,
    revoked: () => new Set(),
    onMessage: (_client, message) => received.push(message),
    onClose: (_client, reason) => log.push(`close ${reason}`),
    ...options,
  });
  context.after(() => client.close());
  return { client, received, log };
}
