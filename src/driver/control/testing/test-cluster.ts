// Identities of throw-away clusters for the tests of the control channel, issued by the CA that operators use.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { serialText } from "#base/serial-number.ts";
import { X509Certificate } from "node:crypto";
import { createCa, issueNode } from "../../identity/authority.ts";
import type { ControlIdentity } from "../peer-trust.ts";

export interface TestIdentity extends ControlIdentity {
  readonly serial: string;
}

export interface TestCluster {
  /** Valid for a day from `now`, by default from now on. */
  issue(id: number, now?: Date): Promise<TestIdentity>;
}

/** Its folder is removed after the test. */
export async function testCluster(context: TestContext, name = "lab"): Promise<TestCluster> {
  const folder = mkdtempSync(path.join(tmpdir(), "panoply-control-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const ca = path.join(folder, "ca");
  await createCa(ca, name, new Date(Date.now() - 30 * 24 * 3_600_000));
  return {
    issue: async (id, now = new Date()) => {
      const address = ip(`10.9.0.${id}`);
      const request = { name: `n${id}`, id: nodeId(id), address, days: 1 };
      const { content: bundle } = await issueNode(ca, request, now);
      return {
        id: nodeId(id),
        certificatePem: bundle.certificate,
        privateKeyPem: bundle.privateKey,
        caPem: bundle.caCertificate,
        serial: serialText(new X509Certificate(bundle.certificate).serialNumber),
      };
    },
  };
}

export const longAgo = (): Date => new Date(Date.now() - 20 * 24 * 3_600_000);
