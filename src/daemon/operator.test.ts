// Changes that operators ask for, at the master and at a member: who makes them, and what comes back when they cannot be made.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Output } from "#api/contract.ts";
import { fakeEvents } from "#api/testing/fake-events.ts";
import { ip } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { configVersion } from "#config/config.ts";
import { requireConfig } from "#config/load.ts";
import type { JsonValue } from "#wire/control/json.ts";
import { Operator, type OperatorHost } from "./operator.ts";

const YAML = `cluster: { name: small, interface: eth0 }
nodes: [{ name: a, id: 1, address: 10.0.0.1 }, { name: b, id: 2, address: 10.0.0.2 }]
groups: [{ name: web, services: ["tcp 10.0.0.100:80"] }]
`;
const config = requireConfig(YAML, "test");
const inForce = { version: configVersion(1, config), yaml: YAML, config };

function operator(change: Partial<OperatorHost>): { operator: Operator; reported: unknown[] } {
  const reported: unknown[] = [];
  const host: OperatorHost = {
    isMaster: () => true,
    config: () => inForce,
    edit: (edit) => {
      const next = edit(config);
      return { version: configVersion(2, next), yaml: YAML, config: next };
    },
    replace: () => inForce,
    agreed: async () => {},
    waiting: () => ["peering"],
    status: () => assert.fail("nobody asks"),
    events: fakeEvents(),
    applications: () => assert.fail("nobody asks"),
    peers: () => undefined,
    doctor: () => assert.fail("nobody asks"),
    askMaster: () => assert.fail("nobody asks"),
    report: (error) => reported.push(error),
    ...change,
  };
  return { operator: new Operator(host), reported };
}

const drainA = { params: { node: "a" } };

test("B8: the master makes a change itself, and for a member, with the same outcome", async () => {
  const { operator: master } = operator({});
  const own: Output<"drain"> = await master.port.drain(drainA);
  assert.equal(own.config.counter, 2);
  assert.deepEqual(own.waiting, ["peering"], "what is followed only after a new start is said");
  assert.deepEqual(await master.answer("drain", drainA), { status: 200, body: own });
});

test("B8: a member passes the change on, and the master's refusal comes back as it was", async () => {
  const { operator: master } = operator({});
  const asked: string[] = [];
  const { operator: member } = operator({
    isMaster: () => false,
    edit: () => assert.fail("members change nothing"),
    askMaster: async (method, body) => {
      asked.push(method);
      return master.answer(method, body);
    },
  });
  assert.equal((await member.port.drain(drainA)).config.counter, 2);
  const refused = { code: "PAN_NOT_FOUND", message: /no node "c"/ };
  await assert.rejects(member.port.drain({ params: { node: "c" } }), refused);
  assert.deepEqual(asked, ["drain", "drain"]);
});

test("What a member asks is answered whatever it is: no request makes the master fail", async () => {
  const { operator: master, reported } = operator({});
  const codeOf = async (method: string, body: JsonValue): Promise<unknown> =>
    ((await master.answer(method, body)).body as { code: unknown }).code;
  assert.equal(await codeOf("status", {}), "PAN_REQUEST_INVALID");
  assert.equal(await codeOf("constructor", {}), "PAN_REQUEST_INVALID");
  assert.equal(reported.length, 0);
  assert.equal(await codeOf("setWeight", null), "PAN_INTERNAL");
  assert.equal(reported.length, 1, "the log tells what the member is not told");
});

test("A node that is not the master any more says so", async () => {
  const { operator: former } = operator({ isMaster: () => false });
  const { status, body } = await former.answer("drain", drainA);
  assert.equal(status, 409);
  assert.equal((body as { code: string }).code, "PAN_NOT_MASTER");
});

test("B8: a change is answered once the members hold it, at the master and for a member", async () => {
  const steps: string[] = [];
  const { operator: master } = operator({
    agreed: async ({ counter }) => {
      await Promise.resolve();
      steps.push(`members hold ${counter}`);
    },
  });
  await master.port.drain(drainA);
  steps.push("answered");
  await master.answer("drain", drainA);
  steps.push("answered");
  assert.deepEqual(steps, ["members hold 2", "answered", "members hold 2", "answered"]);
});

test("C9: a configuration that would starve members is refused whoever is asked, unless the operator insists", async () => {
  const taken: string[] = [];
  const replace: OperatorHost["replace"] = (given, _asked, check) => {
    check(requireConfig(given, "test"));
    taken.push(given);
    return inForce;
  };
  const { operator: master } = operator({
    replace,
    peers: () => ({
      queriers: () => ({ igmp: ip("10.0.0.254") }),
      report: () => assert.fail("nobody asks"),
    }),
  });
  const yaml = `${YAML}delivery: { method: unicast }\npeering: { primary: 10.0.0.100, mac: multicast }\n`;
  await assert.rejects(master.port.putConfig({ body: { yaml } }), { code: "PAN_CONFLICT" });
  assert.equal((await master.answer("putConfig", { body: { yaml } })).status, 409);
  assert.deepEqual(taken, []);
  await master.port.putConfig({ body: { yaml, force: true } });
  assert.deepEqual(taken, [yaml]);
  await operator({ replace }).operator.port.putConfig({ body: { yaml } });
  assert.deepEqual(taken, [yaml, yaml], "without peers no querier is heard");
});

test("A failure to store the change is reported, and the change has not happened", async () => {
  const broken = new PanError("PAN_SYSCALL", "no space left");
  const { operator: master } = operator({
    edit: () => {
      throw broken;
    },
  });
  await assert.rejects(master.port.drain(drainA), broken);
});
