// A16: a part of a file on its way to a client, through buffers that are used again.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { FRESH, type SessionStart } from "../session.ts";
import { Scene, text } from "../testing/scene.ts";
import { sendPart } from "./sending.ts";

const SIZE = 5 * 1024 * 1024 + 777;
const bytes = randomBytes(SIZE);
const folder = mkdtempSync(path.join(tmpdir(), "pan-sending-"));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(path.join(folder, "file"), bytes);

/** Answers all that the client gets while the part is sent. @param late what happens before the client begins to read */
async function received(
  part: { readonly first: number; readonly length: number },
  start: SessionStart = FRESH,
  late: () => Promise<void> | void = () => {},
): Promise<Buffer> {
  const scene = await Scene.begin(start);
  scene.session.begin();
  const file = await open(path.join(folder, "file"));
  const chunks: Buffer[] = [];
  const sent = (async () => {
    await sendPart(scene.session, file, { path: "file", size: SIZE, ...part });
    scene.session.end();
    scene.acknowledge();
  })();
  await late();
  scene.client.on("data", (chunk: Buffer) => chunks.push(chunk));
  await sent;
  await once(scene.client, "end");
  await file.close();
  return Buffer.concat(chunks);
}

test("A16: a part of a file arrives whole, whether the client reads at once or late", async () => {
  const parts = [
    { first: 0, length: SIZE },
    { first: 300_001, length: 2_000_003 },
    { first: SIZE - 1, length: 1 },
  ];
  for (const part of parts) {
    const due = bytes.subarray(part.first, part.first + part.length);
    assert.ok((await received(part)).equals(due));
    const late = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok((await received(part, FRESH, late)).equals(due));
  }
});

test("A16: pieces that wait behind copied output stay as they were read", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  session.commit({ state: text("1"), output: text("first ") });
  session.begin();
  const file = await open(path.join(folder, "file"));
  const sent = sendPart(session, file, { path: "file", size: SIZE, first: 0, length: SIZE });
  while (session.unsent < 1024 * 1024) await new Promise((resolve) => setTimeout(resolve, 5));
  scene.acknowledge();
  const chunks: Buffer[] = [];
  client.on("data", (chunk: Buffer) => chunks.push(chunk));
  await sent;
  session.end();
  scene.acknowledge();
  await once(client, "end");
  await file.close();
  assert.ok(Buffer.concat(chunks).equals(Buffer.concat([text("first "), bytes])));
});

test("A16: after a takeover what the client has is not sent again", async () => {
  const start = { ...FRESH, resumed: true, states: 1, state: text("s"), delivered: 1_000_001 };
  const all = await received({ first: 0, length: SIZE }, start);
  assert.ok(all.equals(bytes.subarray(1_000_001)));
});

test("A16: a file that is another one here, or becomes shorter, is not sent on", async () => {
  const { session } = await Scene.begin(FRESH);
  const file = await open(path.join(folder, "file"));
  const part = { path: "file", first: 0, length: 10 };
  await assert.rejects(
    sendPart(session, file, { ...part, size: 9 }),
    /file has 5243657 bytes here, not 9/,
  );
  const beyond = { ...part, size: SIZE, first: SIZE, length: 10 };
  await assert.rejects(sendPart(session, file, beyond), /became shorter/);
  await file.close();
});
