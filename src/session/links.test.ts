// A16: streams between session servers over real TLS on loopback addresses: who counts as heard, whose records are current, and what becomes of
// one that does not answer.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createServer } from "node:tls";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { openedAs } from "#core/takeover/testing/samples.ts";
import { tlsMaterial } from "#driver/control/peer-trust.ts";
import { createCa, issueNode } from "#driver/identity/authority.ts";
import { writeBundle } from "#driver/identity/bundle.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import { openBundle } from "#driver/identity/open-bundle.ts";
import { Links, type MemberAddress } from "./links.ts";

const PATIENCE_MS = 20_000;
const [ONE, TWO, THREE] = [1, 2, 3].map((id): MemberAddress => ({
  id: nodeId(id),
  address: ip(`127.0.0.${id}`),
})) as [MemberAddress, MemberAddress, MemberAddress];

async function until(what: string, holds: () => boolean): Promise<void> {
  const limit = performance.now() + PATIENCE_MS;
  while (!holds()) {
    assert.ok(performance.now() < limit, `waited in vain until ${what}`);
    await pause(5);
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}

async function scene(t: TestContext) {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-links-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const ca = path.join(folder, "ca");
  await createCa(ca, "lab");
  const identityOf = async ({ id, address }: MemberAddress): Promise<NodeIdentity> => {
    const bundle = path.join(mkdtempSync(path.join(folder, "node-")), "bundle");
    writeBundle(bundle, await issueNode(ca, { name: `n${id}`, id, address, days: 1 }));
    return openBundle(bundle, { now: new Date(), revoked: [] });
  };
  const port = await freePort();
  const start = async (member: MemberAddress) => {
    const happened: string[] = [];
    const links = new Links({
      identity: await identityOf(member),
      port,
      events: {
        replica: (id, isThere) => happened.push(`${id} ${isThere ? "there" : "not there"}`),
        released: (id) => happened.push(`${id} released`),
        dropped: (id, limitMs) => happened.push(`${id} dropped after ${limitMs}`),
        answered: () => {},
        ownerBegan: (id) => happened.push(`${id} began`),
        told: (id, messages) =>
          happened.push(`${id} told ${messages.map(({ type }) => type).join()}`),
        trouble: (error) => assert.fail(error),
      },
    });
    t.after(() => links.close());
    await links.listen();
    return { links, happened };
  };
  return { identityOf, port, start };
}

test("A16: two servers hear each other, take what the other one told for current, and hear again when they are to", async (t) => {
  const { start } = await scene(t);
  const [one, two] = [await start(ONE), await start(TWO)];
  one.links.setMembers([ONE, TWO]);
  assert.deepEqual(one.links.unheard, [TWO.id]);
  assert.equal(one.links.isCurrent(TWO.id), false);
  two.links.setMembers([ONE, TWO]);
  await until("both have heard", () => [one, two].every(({ links }) => links.unheard.length === 0));
  assert.ok(one.links.isCurrent(TWO.id) && two.links.isCurrent(ONE.id));
  one.links.hearAgain();
  assert.deepEqual(one.links.unheard, [TWO.id]);
  await until("it has heard again", () => one.links.unheard.length === 0);
  one.links.tell(TWO.id, openedAs(1));
  await until("it is told", () => two.happened.includes("1 told opened"));
  two.links.setMembers([TWO]);
  assert.ok(two.links.isCurrent(ONE.id), "it was when it left");
  two.links.setMembers([ONE, TWO]);
  assert.equal(two.links.isCurrent(ONE.id), false, "who comes back may have done without");
});

test("A16: a server that takes a stream and does not answer on it is dropped after the limit, once, and tried again", async (t) => {
  const { start, identityOf, port } = await scene(t);
  const { links, happened } = await start(ONE);
  const identity = await identityOf(TWO);
  const hanging = createServer({ ...tlsMaterial(identity), requestCert: true });
  hanging.on("secureConnection", (socket) => socket.on("error", () => {}));
  hanging.listen(port, TWO.address);
  t.after(() => hanging.close());
  links.limitMs = 300;
  links.setMembers([ONE, TWO]);
  await until("it is dropped", () => happened.some((each) => each.includes("dropped")));
  await until("it is tried again", () => happened.filter((each) => each === "2 there").length > 1);
  assert.deepEqual(happened.slice(0, 4), [
    "2 there",
    "2 dropped after 300",
    "2 not there",
    "2 released",
  ]);
});

test("A16: a machine on which nobody listens is not waited for; one that says nothing is", async (t) => {
  const { start, port } = await scene(t);
  const { links } = await start(ONE);
  const silent = net.createServer().listen(port, THREE.address);
  t.after(() => silent.close());
  silent.on("connection", (socket) => socket.on("error", () => {}));
  links.setMembers([ONE, TWO, THREE]);
  await until("2 is known to run no server", () => links.unheard.join() === `${THREE.id}`);
  links.hearAgain();
  assert.deepEqual(links.unheard, [TWO.id, THREE.id], "it may have been started since");
  await until("that is known anew", () => links.unheard.join() === `${THREE.id}`);
  links.setMembers([ONE, TWO]);
});
