// The kernel's list of TCP connections, as a former owner of slots reads it (B4).
import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { ip, ipBytes } from "#base/address.ts";
import { PROTOCOL_TCP } from "#wire/ipv4.ts";
import { TcpConnections } from "#driver/netlink/tcp-connections.ts";

let connections: TcpConnections;
before(() => {
  connections = TcpConnections.open();
});
after(() => connections.close());

const toPort = (port: number) =>
  connections.list().filter(({ destinationPort }) => destinationPort === port);

async function connected(host: string): Promise<{ server: net.Server; client: net.Socket }> {
  const server = net.createServer().listen(0, host);
  await once(server, "listening");
  const client = net.connect((server.address() as AddressInfo).port, host.replace("::ffff:", ""));
  const accepted = once(server, "connection");
  await once(client, "connect");
  const [socket] = (await accepted) as [net.Socket];
  client.once("close", () => socket.destroy());
  return { server, client };
}

for (const [title, host, address] of [
  ["IPv4", "127.0.0.1", "127.0.0.1"],
  ["IPv6", "::1", "::1"],
  ["IPv4 at a socket that takes both", "::ffff:127.0.0.1", "127.0.0.1"],
] as const) {
  test(`B4: an established connection is listed as its server sees it: ${title}`, async (t) => {
    const { server, client } = await connected(host);
    t.after(() => {
      client.destroy();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    assert.deepEqual(
      toPort(port).map((found) => ({ ...found, source: [...found.source] })),
      [
        {
          source: [...ipBytes(ip(address))],
          sourcePort: client.localPort,
          destination: ipBytes(ip(address)),
          destinationPort: port,
          protocol: PROTOCOL_TCP,
          halfOpen: false,
        },
      ],
    );
  });
}

test("B4: a listener is no connection, and neither is one that both sides have closed", async (t) => {
  const { server, client } = await connected("127.0.0.1");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  assert.equal(toPort(port).length, 1);
  const closed = once(client, "close");
  client.resetAndDestroy();
  await closed;
  assert.deepEqual(toPort(port), []);
});
