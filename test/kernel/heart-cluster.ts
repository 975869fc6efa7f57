// Hearts in network namespaces on one bridge, each in a process of its own, for tests and for measuring.
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type IpAddress, ip, mac } from "#base/address.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import type { HeartEvent, HeartSettings } from "#daemon/heart-protocol.ts";
import { DEFAULT_DETECTION } from "#core/membership/protocol.ts";
import type { View } from "#core/membership/types.ts";
import { createCa, issueNode } from "#driver/identity/authority.ts";
import type { NodeBundle } from "#driver/identity/bundle.ts";
import type { NodeOrder, NodeReport } from "./heart-node.ts";
import { run } from "./netns.ts";

export const GROUP_KEY = new Uint8Array(32).fill(42);
const PORT = 7450;
/** Long enough for the slowest machine; only a test that fails waits for it. */
const LIMIT_MS = 30_000;

export class HeartNode {
  readonly id: NodeId;
  readonly address: IpAddress;
  readonly namespace: string;
  readonly reports: NodeReport[] = [];
  readonly settings: HeartSettings;
  #process: ChildProcess | undefined;
  #wake = new Set<() => void>();

  constructor(settings: HeartSettings, namespace: string) {
    this.settings = settings;
    this.id = settings.self.id;
    this.address = settings.self.address;
    this.namespace = namespace;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** The last view that the node has published. */
  get view(): View | undefined {
    return this.all("view-changed").at(-1)?.view;
  }

  all<T extends HeartEvent["type"]>(type: T): Extract<HeartEvent, { type: T }>[] {
    return this.reports
      .map(({ event }) => event)
      .filter((event): event is Extract<HeartEvent, { type: T }> => event.type === type);
  }

  start(): void {
    this.reports.length = 0;
    const child = fork(new URL("./heart-node.ts", import.meta.url), { serialization: "advanced" });
    this.#process = child;
    child.on("message", (report: NodeReport) => {
      this.reports.push(report);
      for (const wake of this.#wake) wake();
    });
    this.order({ type: "start", settings: this.settings, key: GROUP_KEY });
  }

  order(order: NodeOrder): void {
    this.#process?.send(order);
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(name);
  }

  /** SIGKILL, as a crash of the agent. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  /** Waits until the condition holds; it is looked at after each event. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const until = Date.now() + LIMIT_MS;
    while (!condition()) {
      if (Date.now() > until) {
        const shown = JSON.stringify(this.reports.slice(-8), (_key, value: unknown) =>
          typeof value === "bigint" ? `${value}` : value,
        );
        throw new Error(`node ${this.id}: ${what} did not come; last: ${shown}`);
      }
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#wake.delete(done);
          resolve();
        };
        const timer = setTimeout(done, 100);
        this.#wake.add(done);
      });
    }
  }

  async untilView(what: string, condition: (view: View) => boolean): Promise<void> {
    await this.until(what, () => this.view !== undefined && condition(this.view));
  }
}

export class HeartCluster {
  readonly nodes: HeartNode[] = [];
  readonly #prefix: string;
  readonly #folder: string;
  #bundles: NodeBundle[] = [];

  private constructor(label: string) {
    this.#prefix = `pt-${label}-${process.pid}`;
    this.#folder = mkdtempSync(path.join(tmpdir(), `${this.#prefix}-`));
  }

  /** Namespaces and identities for nodes 1 … size; starts nothing. */
  static async create(
    size: number,
    intervalMs = DEFAULT_DETECTION.intervalMs,
    label = "heart",
  ): Promise<HeartCluster> {
    const cluster = new HeartCluster(label);
    try {
      cluster.#buildSwitch();
      await cluster.#issue(size);
      for (let index = 0; index < size; index++) cluster.#addNode(index, intervalMs);
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
  }

  node(id: number): HeartNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new RangeError(`there is no node ${id}`);
    return node;
  }

  /** Starts them all; the lowest id first, which becomes master, so that tests know who it is. */
  async start(): Promise<void> {
    const [first, ...others] = this.nodes;
    first?.start();
    await first?.untilView("mastership", ({ role }) => role === "master");
    for (const node of others) node.start();
    await this.untilAll(this.nodes);
  }

  /** Until these nodes, and no others, see each other under one master. */
  async untilAll(nodes: readonly HeartNode[]): Promise<void> {
    const ids = nodes.map(({ id }) => id).join();
    for (const node of nodes) {
      await node.untilView(`a view of ${ids}`, ({ role, members }) => {
        const listed = members.map(({ id }) => id).sort((a, b) => a - b);
        return (role === "member" || role === "master") && listed.join() === ids;
      });
    }
    // who was frozen may still show the view that it had before
    const masters = (): Set<number> => new Set(nodes.map(({ view }) => view?.master ?? 0));
    await nodes[0]?.until("one master in all views", () => masters().size === 1);
  }

  async remove(): Promise<void> {
    for (const node of this.nodes) {
      node.signal("SIGCONT");
      await node.kill();
    }
    for (const name of [...this.nodes.map(({ namespace }) => namespace), this.namespace("sw")]) {
      try {
        run("ip", "netns", "del", name);
      } catch {
        // not made yet, when building failed
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  namespace(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  #buildSwitch(): void {
    const name = this.namespace("sw");
    run("ip", "netns", "add", name);
    run("ip", "-n", name, "link", "add", "br0", "type", "bridge");
    run("ip", "-n", name, "link", "set", "br0", "up");
  }

  async #issue(size: number): Promise<void> {
    const folder = path.join(this.#folder, "ca");
    await createCa(folder, "hearts");
    for (let id = 1; id <= size; id++) {
      const request = { name: `n${id}`, id: nodeId(id), address: ip(`10.9.7.${id}`), days: 1 };
      this.#bundles.push(await issueNode(folder, request));
    }
  }

  #addNode(index: number, intervalMs: number): void {
    const id = index + 1;
    const [name, namespace] = [`n${id}`, this.namespace(`n${id}`)];
    run("ip", "netns", "add", namespace);
    const peer = ["peer", "name", name, "netns", this.namespace("sw")];
    run("ip", "-n", namespace, "link", "add", "eth0", "type", "veth", ...peer);
    run("ip", "-n", namespace, "addr", "add", `10.9.7.${id}/24`, "dev", "eth0");
    run("ip", "-n", namespace, "link", "set", "eth0", "up");
    run("ip", "-n", this.namespace("sw"), "link", "set", name, "master", "br0", "up");
    this.nodes.push(new HeartNode(this.#settings(index, namespace, intervalMs), namespace));
  }

  #settings(index: number, namespace: string, intervalMs: number): HeartSettings {
    const content = this.#bundles[index]?.content;
    if (content === undefined) throw new RangeError(`node ${index + 1} has no bundle`);
    const nodes = this.#bundles.map((bundle) => bundle.content.node);
    const admitted = nodes.map((node) => ({
      id: nodeId(node.id),
      name: node.name,
      address: ip(node.address),
    }));
    const self = admitted[index];
    if (self === undefined) throw new RangeError(`node ${index + 1} is not admitted`);
    return {
      self: { ...self, mac: mac(`02:00:00:00:07:${self.id.toString(16).padStart(2, "0")}`) },
      interface: "eth0",
      port: PORT,
      netns: `/run/netns/${namespace}`,
      epoch: 0,
      together: [],
      config: { counter: 1, digest: "00112233445566aa" },
      detection: { ...DEFAULT_DETECTION, intervalMs },
      admitted,
      credentials: {
        certificate: content.certificate,
        privateKey: content.privateKey,
        caCertificate: content.caCertificate,
      },
      revoked: [],
    };
  }
}
