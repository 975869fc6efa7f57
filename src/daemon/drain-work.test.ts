// Which connections of this kernel a drain's deadline closes: clients' of the cluster's services, on real sockets of loopback.
import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { requireConfig } from "#config/load.ts";
import type { ClusterConfig } from "#config/schema.ts";
import { DrainWork } from "./drain-work.ts";
import { Trouble } from "./trouble.ts";

const skip = process.getuid?.() === 0 ? false : "closing the connections of others needs root";

/** As the rules would not have it: services on loopback, where a test needs no addresses of its own. */
function configOf(port: number, drained: string): ClusterConfig {
  const config = requireConfig(
    `cluster: { name: lab, interface: eth0 }
nodes: [{ name: a, id: 1, address: 10.0.0.1${drained} }]
groups: [{ name: web, services: ["tcp 10.0.0.9:${port}"] }]
`,
    "test",
  );
  const [group] = config.groups;
  assert.ok(group);
  return {
    ...config,
    groups: [{ ...group, services: [{ protocol: "tcp", vip: ip("127.0.0.1"), port }] }],
  };
}

async function server(): Promise<{ server: net.Server; port: number }> {
  const listening = net
    .createServer((socket) => socket.on("error", () => {}))
    .listen(0, "127.0.0.1");
  await once(listening, "listening");
  return { server: listening, port: (listening.address() as AddressInfo).port };
}

async function client(port: number, localAddress: string): Promise<net.Socket> {
  const socket = net.connect({ host: "127.0.0.1", port, localAddress });
  await once(socket, "connect");
  return socket;
}

test(
  "B7: at the deadline a client's connection to a service is closed; others, and the node's own, are not",
  { skip },
  async (t) => {
    const [meant, other] = [await server(), await server()];
    const clients = [
      await client(meant.port, "127.0.0.7"),
      await client(meant.port, "127.0.0.8"),
      await client(other.port, "127.0.0.7"),
    ] as const;
    const self = { id: nodeId(1), name: "a", address: ip("127.0.0.8"), drained: false };
    const said: unknown[] = [];
    const ended: boolean[] = [];
    const say = (fields: unknown): void => void said.push(fields);
    const work = new DrainWork({
      self,
      log: { info: say, warn: say },
      trouble: new Trouble({ error: say }),
      ended: () => ended.push(work.isOver),
    });
    t.after(() => {
      work.close();
      for (const socket of clients) socket.destroy();
      for (const { server: each } of [meant, other]) each.close();
    });
    work.configured(configOf(meant.port, ", drained: true"));
    assert.equal(work.endsInMs, undefined, "no deadline");
    const reset = once(clients[0], "error");
    work.configured(configOf(meant.port, ", drained: true, drainDeadlineMs: 50"));
    const [error] = (await reset) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    assert.deepEqual(said, [{ count: 1 }]);
    assert.deepEqual(ended, [true], "whoever serves what cannot be closed is told");
    assert.deepEqual([work.closed, work.endsInMs], [1, 0]);
    assert.deepEqual(
      clients.map(({ destroyed }) => destroyed),
      [true, false, false],
    );
    work.configured(configOf(meant.port, ""));
    assert.equal(work.endsInMs, undefined);
  },
);
