// What strangers and forgers send to a living cluster: forged, replayed, truncated, of another cluster or version, with a
// certificate of another CA, expired or revoked. Each is dropped and counted by its reason, and moves nothing (A2).
import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { ClusterAuth } from "#driver/cluster/auth.ts";
import { createCa, issueNode, readCa } from "#driver/identity/authority.ts";
import type { NodeBundle } from "#driver/identity/bundle.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { DATAGRAM_VERSION, decodeDatagram, encodeProved } from "#wire/cluster/datagram.ts";
import { typeOfCode } from "#wire/cluster/body.ts";
import type { Message } from "#wire/cluster/message.ts";
import { CALM, endAgent, labName, skip, standing, startAgent, until } from "./agent-bench.ts";

const PORT = 7450;
const DAY_MS = 86_400_000;
const VERSION_AT = 4;
const TYPE_AT = 5;
const CLUSTER_AT = 8;
const name = labName("forged");
const JOIN: Message = {
  type: "join-request",
  request: 1,
  epoch: 1_000_000,
  config: { counter: 99, digest: "0123456789abcdef" },
  mac: mac("02:00:00:00:00:99"),
};

interface Captured {
  readonly from: string;
  readonly bytes: Buffer;
}

describe("what forgers send", { skip }, () => {
  let cluster: LabCluster;
  const captured: Captured[] = [];
  let calm: Status;

  before(async () => {
    cluster = await LabCluster.up({ name, members: 2, extraConfig: CALM, downOnExit: true });
    await cluster.settled();
    // m1 hears m2 leave, join and live
    const argv = ["tcpdump", "-i", "eth0", "-U", "-w", "-", "--immediate-mode", `udp port ${PORT}`];
    const dump = cluster.lab.spawn("m1", argv, { stdio: ["ignore", "pipe", "pipe"] });
    const chunks: Buffer[] = [];
    let said = "";
    dump.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    dump.stderr?.on("data", (text) => (said += String(text)));
    await until("tcpdump listens", () => said.includes("listening on"));
    await endAgent(cluster, "m2", "SIGTERM");
    await cluster.settled(["m1"]);
    await startAgent(cluster, "m2");
    await cluster.settled();
    await until("both have been heard", () => {
      captured.splice(0, Infinity, ...datagramsIn(Buffer.concat(chunks)));
      return ["join-request", "member-keepalive", "master-keepalive"].every((type) =>
        captured.some(({ bytes }) => typeOf(bytes) === type),
      );
    });
    const ended = new Promise((resolve) => dump.once("close", resolve));
    dump.kill("SIGINT");
    await ended;
    calm = await cluster.settled();
  });
  after(() => cluster?.down());

  const heard = (type: string, from = "10.77.0.12"): Buffer => {
    const found = captured.findLast((each) => each.from === from && typeOf(each.bytes) === type);
    assert.ok(found, `no ${type} from ${from}`);
    return found.bytes;
  };

  const dropsOf = (status: Status, reason: string): number =>
    status.membership.drops.find((drop) => drop.reason === reason)?.count ?? 0;

  /** m1 drops all of them for this reason, and the cluster is as it was. */
  async function dropped(
    reason: string,
    datagrams: readonly Uint8Array[],
    from: string = STANDARD.client,
  ): Promise<void> {
    const before = dropsOf(await cluster.status("m1"), reason);
    const argv = [path.join(import.meta.dirname, "udp-send.ts"), String(PORT), "10.77.0.11"];
    const input = datagrams.map((bytes) => Buffer.from(bytes).toString("hex")).join("\n");
    const sent = await cluster.lab.exec(from, [process.execPath, ...argv], { input });
    assert.equal(sent.status, 0, sent.stderr);
    const status = await cluster.until(
      `it has dropped ${datagrams.length} for ${reason}`,
      (now) => dropsOf(now, reason) >= before + datagrams.length,
    );
    assert.equal(dropsOf(status, reason), before + datagrams.length, reason);
    assert.deepEqual(standing(status), standing(calm));
  }

  const changed = (bytes: Uint8Array, at: number, mask = 0xff): Buffer => {
    const copy = Buffer.from(bytes);
    const index = at < 0 ? copy.length + at : at;
    copy[index] = (copy[index] ?? 0) ^ mask;
    return copy;
  };

  test("Truncated: every message cut at any length is dropped", async () => {
    for (const type of ["member-keepalive", "join-request"]) {
      const whole = heard(type);
      const cuts = [1, 4, 20, 35, 36, 40, whole.length - 17, whole.length - 1];
      await dropped(
        "incomplete",
        cuts.map((length) => whole.subarray(0, length)),
      );
    }
    const more = Buffer.concat([heard("member-keepalive"), Buffer.of(0)]);
    await dropped("malformed", [more, changed(heard("member-keepalive"), 0)]);
  });

  test("Foreign version, unknown type and foreign cluster are dropped", async () => {
    const whole = heard("member-keepalive");
    assert.equal(whole[VERSION_AT], DATAGRAM_VERSION);
    await dropped("unsupported", [changed(whole, VERSION_AT), changed(whole, TYPE_AT)]);
    const foreign = [changed(whole, CLUSTER_AT), changed(heard("join-request"), CLUSTER_AT)];
    await dropped("foreign-cluster", foreign);
  });

  test("Forged: a keepalive or a join request of which one bit was changed is dropped", async () => {
    const keepalive = heard("member-keepalive");
    const lastOfBody = keepalive.length - 17;
    const bits = [16, 24, 40, lastOfBody, -1].map((at) => changed(keepalive, at, 1));
    await dropped("bad-mac", bits, "m2");
    await dropped("unknown-key", [changed(keepalive, 7, 1)], "m2");
    const join = heard("join-request");
    await dropped("bad-signature", [changed(join, -1, 1), changed(join, 16, 1)], "m2");
  });

  test("Replayed: what was once true is dropped, from the same machine and from any other", async () => {
    const [keepalive, join] = [heard("member-keepalive"), heard("join-request")];
    await dropped("replayed", [keepalive, keepalive, join], "m2");
    await dropped("wrong-address", [keepalive]);
    await dropped("wrong-certificate", [join]);
  });

  interface Forger {
    readonly bundle: NodeBundle;
    /** Signed with this key instead of the bundle's own. */
    readonly key?: ReturnType<typeof createPrivateKey>;
  }

  /** A join request with our cluster's id, whatever CA its certificate comes from. */
  function joinBy({ bundle, key }: Forger): Uint8Array {
    const { content } = bundle;
    const header = {
      cluster: readCa(path.join(cluster.folder, "ca")).clusterId,
      boot: BigInt(Date.now()) * 1000n,
      counter: 1,
      sender: nodeId(content.node.id),
    };
    const certificate = new Uint8Array(new X509Certificate(content.certificate).raw);
    const proved = encodeProved(header, JOIN, certificate);
    const signature = sign(null, proved, key ?? createPrivateKey(content.privateKey));
    return Buffer.concat([proved, signature]);
  }

  const issue = (ca: string, number: number, now = new Date()): Promise<NodeBundle> =>
    issueNode(
      ca,
      { name: `m${number}`, id: nodeId(number), address: ip("10.77.0.2"), days: 1 },
      now,
    );

  test("A2: a join request with a certificate of another CA, or an expired one, is dropped", async () => {
    const foreign = path.join(cluster.folder, "foreign-ca");
    await createCa(foreign, name);
    const ours = path.join(cluster.folder, "ca");
    const expired = await issue(ours, 8, new Date(Date.now() - 2 * DAY_MS));
    await dropped("bad-certificate", [
      joinBy({ bundle: await issue(foreign, 7) }),
      joinBy({ bundle: expired }),
    ]);
    // and with all of its own: it is of another cluster then, whatever it calls itself
    const { content } = await issue(foreign, 7);
    const auth = new ClusterAuth({
      id: nodeId(7),
      boot: 1n,
      certificate: content.certificate,
      privateKey: content.privateKey,
      caCertificate: content.caCertificate,
      revoked: [],
    });
    const sealed = auth.seal(JOIN);
    assert.ok(sealed);
    await dropped("foreign-cluster", [sealed]);
  });

  test("A2: whoever copies a valid certificate, which is no secret, cannot sign with it", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const stolen = await issue(path.join(cluster.folder, "ca"), 9);
    await dropped("bad-signature", [joinBy({ bundle: stolen, key: privateKey })]);
  });

  test("A2: a revoked certificate is dropped as soon as the configuration says so", async () => {
    const bundle = await issue(path.join(cluster.folder, "ca"), 6);
    const serial = new X509Certificate(bundle.content.certificate).serialNumber;
    const yaml = `${readFileSync(path.join(cluster.folder, "cluster.yaml"), "utf8")}revoked: ["${serial}"]\n`;
    await cluster.client("m2").putConfig({ body: { yaml } });
    calm = await cluster.until(
      "the configuration is there",
      (now) => now.cluster.config.counter === 2,
    );
    calm = await cluster.settled();
    await dropped("bad-certificate", [joinBy({ bundle })]);
  });

  test("A flood of garbage is counted and moves nothing", async () => {
    const garbage = Array.from({ length: 2000 }, (_, index) =>
      Buffer.alloc(1 + (index % 1300), index),
    );
    const short = garbage.filter((bytes) => bytes.length < 36);
    const long = garbage.filter((bytes) => bytes.length >= 36);
    await dropped("incomplete", short);
    await dropped("malformed", long);
  });
});

const typeOf = (bytes: Uint8Array): string | undefined => typeOfCode(bytes[TYPE_AT] ?? 0);

/** The UDP datagrams of a capture (pcap, Ethernet, IPv4 without options) that are messages of ours. */
function datagramsIn(pcap: Buffer): Captured[] {
  const [fileHeader, recordHeader, headers] = [24, 16, 14 + 20 + 8];
  const found: Captured[] = [];
  for (let at = fileHeader; at + recordHeader <= pcap.length;) {
    const length = pcap.readUInt32LE(at + 8);
    const frame = pcap.subarray(at + recordHeader, at + recordHeader + length);
    at += recordHeader + length;
    if (frame.length < length || length <= headers) continue;
    const bytes = frame.subarray(headers);
    if (decodeDatagram(bytes).ok) found.push({ from: frame.subarray(26, 30).join("."), bytes });
  }
  return found;
}
