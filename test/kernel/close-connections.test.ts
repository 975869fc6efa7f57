// Connections of this kernel are closed from outside, both sides hear of it, and no others are touched (B7).
import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { test } from "node:test";
import { closeConnections } from "#driver/netlink/close-connections.ts";

const skip = process.getuid?.() === 0 ? false : "closing the connections of others needs root";

async function pair(
  host: string,
): Promise<{ server: net.Server; client: net.Socket; socket: net.Socket }> {
  const server = net.createServer().listen(0, host);
  await once(server, "listening");
  const client = net.connect((server.address() as AddressInfo).port, host);
  const [[socket]] = (await Promise.all([once(server, "connection"), once(client, "connect")])) as [
    [net.Socket],
    unknown,
  ];
  return { server, client, socket };
}

for (const host of ["127.0.0.1", "::1"]) {
  test(
    `B7: a connection that is closed ends on both sides, another one stays: ${host}`,
    { skip },
    async (t) => {
      const [meant, other] = [await pair(host), await pair(host)];
      t.after(() => {
        for (const { server, client } of [meant, other]) {
          client.destroy();
          server.close();
        }
      });
      const { port } = meant.server.address() as AddressInfo;
      const errors = [meant.client, meant.socket].map((end) => once(end, "error"));
      assert.equal(
        closeConnections(({ destinationPort }) => destinationPort === port),
        1,
      );
      const [atClient, atServer] = (await Promise.all(errors)) as [
        [NodeJS.ErrnoException],
        [NodeJS.ErrnoException],
      ];
      assert.equal(atClient[0].code, "ECONNRESET");
      assert.equal(atServer[0].code, "ECONNABORTED");
      other.client.write("still here");
      const [text] = (await once(other.socket, "data")) as [Buffer];
      assert.equal(text.toString(), "still here");
      assert.equal(
        closeConnections(({ destinationPort }) => destinationPort === port),
        0,
      );
    },
  );
}
