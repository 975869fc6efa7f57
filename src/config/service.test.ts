// B2: services read from text and written back in one form.
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatService, parseService } from "./service.ts";

test("B2: protocol, virtual address and port, in both families", () => {
  const cases: [string, string, string, number | "any"][] = [
    ["tcp 10.77.0.100:80", "tcp", "10.77.0.100", 80],
    [" UDP   [FD77::0100]:53 ", "udp", "fd77::100", 53],
    ["tcp 10.77.0.100:*", "tcp", "10.77.0.100", "any"],
    ["udp [::1]:65535", "udp", "::1", 65_535],
    ["any 10.77.0.100", "any", "10.77.0.100", "any"],
    [" ANY  FD77::0100 ", "any", "fd77::100", "any"],
    ["any [fd77::100]", "any", "fd77::100", "any"],
  ];
  for (const [text, protocol, vip, port] of cases) {
    const parsed = parseService(text);
    assert.deepEqual(parsed, { ok: true, service: { protocol, vip, port } });
    assert.ok(parsed.ok);
    assert.deepEqual(parseService(formatService(parsed.service)), parsed);
  }
});

test("B2: what is not a service is refused with what to write", () => {
  const cases: [string, RegExp][] = [
    ["", /write it like/],
    ["10.77.0.100:80", /write it like/],
    ["tcp 10.77.0.100", /write it like/],
    ["sctp 10.77.0.100:80", /not tcp or udp; .* "any", without a port: "any 10\.77\.0\.100"/],
    ["icmp 10.77.0.100", /"icmp" is not tcp or udp; .*ICMP.* "any", without a port/],
    ["tcp 10.77.0:80", /not an IP address/],
    ["tcp example:80", /not an IP address/],
    ["any", /without a port/],
    ["any 10.77.0.100:80", /without a port/],
    ["any example", /"any 10\.77\.0\.100"/],
    ["tcp fd77::100:80", /brackets/],
    ["tcp [10.77.0.100]:80", /brackets/],
    ["tcp 10.77.0.100:0", /1 to 65535/],
    ["tcp 10.77.0.100:65536", /1 to 65535/],
    ["tcp 10.77.0.100:", /1 to 65535/],
    ["tcp 10.77.0.100:http", /1 to 65535/],
    ["tcp 10.77.0.100:-1", /1 to 65535/],
  ];
  for (const [text, words] of cases) {
    const parsed = parseService(text);
    assert.ok(!parsed.ok, text);
    assert.match(parsed.reason, words);
  }
});
