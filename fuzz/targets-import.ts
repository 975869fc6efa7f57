// What operators bring along from other load balancers. Files of theirs may be damaged, but are not hostile; all the same nothing in them
// may throw, and what is imported without complaint must be a configuration that our own loader takes.
import assert from "node:assert/strict";
import { ip } from "#base/address.ts";
import { compose, type ComposeOptions } from "#config/import/compose.ts";
import { readIpvs } from "#config/import/ipvs.ts";
import { readKeepalived } from "#config/import/keepalived.ts";
import type { Imported } from "#config/import/model.ts";
import { loadConfig } from "#config/load.ts";
import { encodeUtf8 } from "#wire/utf8.ts";
import type { Target } from "./target.ts";

const OPTIONS: ComposeOptions = {
  clusterName: "fuzz",
  interface: "eth0",
  source: "fuzz\nfile",
  nodes: [{ name: "n2", address: ip("10.0.0.12"), others: [ip("fd00::12")] }],
};

function check(imported: Imported): string {
  const { yaml, notes } = compose(imported, OPTIONS);
  for (const { file, line, text } of notes) {
    assert.ok(file !== "" && line > 0 && text !== "", "every note has a place and says something");
  }
  const wrong = notes.filter(({ kind }) => kind === "wrong").length;
  if (wrong > 0) return `wrong ${Math.min(wrong, 3)}`;
  const loaded = loadConfig(yaml, "fuzz");
  assert.ok(loaded.ok, `${JSON.stringify(loaded)}\n${yaml}`);
  return `ok ${Math.min(loaded.config.groups.length, 3)} ${Math.min(notes.length, 5)}`;
}

const target = (
  name: string,
  seeds: readonly string[],
  read: (text: string) => Imported,
): Target => ({
  name,
  seeds: seeds.map(encodeUtf8),
  // as keepalived does: bytes are characters, whatever they are
  run: (bytes) => check(read(Buffer.from(bytes).toString("latin1"))),
});

const IPVS = [
  "-A -t 10.0.0.100:80 -s wrr\n-a -t 10.0.0.100:80 -r 10.0.0.11:80 -g -w 3\n",
  "-A -t 10.0.0.100:0 -s sh -b sh-port -p 50 -M 255.0.0.0\n-a -t 10.0.0.100:0 -r 10.0.0.12:0 -m -w 0 -x 1 -y 2\n",
  "ipvsadm --add-service --udp-service=[fd00::100]:53 --ops\nipvsadm -a -u [fd00::100]:53 -r [fd00::12] -i\n-A -f 1\n",
];

const KEEPALIVED = [
  'vrrp_instance a {\ninterface eth1\nvirtual_ipaddress {\n10.0.0.100/24 dev eth1 # x\n}\nnotify "a b"\n}\n',
  "$A=10.0.0.100\nvirtual_server_group g {\n${A}-102 80\nfwmark 3\n}\nvirtual_server group g {\nlb_algo rr\nreal_server 10.0.0.11 80 {\nweight 2\n}\n}\n",
  "include other\nvirtual_server fd00::100 53\n{\nprotocol UDP\nlb_kind TUN\npersistence_timeout 9\nreal_server fd00::12 53 { TCP_CHECK { x } }\n}\n",
];

KEEPALIVED.push(
  'virtual_server 10.0.0.100 80 {\ndelay_loop 2\nsorry_server 10.0.0.20 80\nreal_server 10.0.0.11 80 {\nHTTP_GET {\nurl {\npath /x\nstatus_code 200\n}\nretry 3\n}\nMISC_CHECK {\nmisc_path "/bin/a b"\n}\n}\n}\n',
);

const OTHER = "virtual_server 10.0.0.101 81 {\nreal_server 10.0.0.12 81 {\n}\n}\ninclude other\n";

export const IMPORT_TARGETS: readonly Target[] = [
  target("import-ipvs", IPVS, (text) => readIpvs(text, "fuzz")),
  target("import-keepalived", KEEPALIVED, (text) =>
    readKeepalived(text, "fuzz", (pattern) =>
      pattern.includes("other") ? [{ file: "other", text: OTHER }] : undefined,
    ),
  ),
];
