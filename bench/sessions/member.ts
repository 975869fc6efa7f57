// What each member of the benchmark serves: files and dialogues, on protected ports as sessions, on plain ports by the same code without
// protection. `node member.ts SETTINGS` (JSON, see MemberSettings). Says on standard output what happens, each line with the time.
import net from "node:net";
import { joinIn } from "#apps/client.ts";
import { ip } from "#base/address.ts";
import { Conversation } from "#session/files/conversation.ts";
import { keyOf } from "#session/key-text.ts";
import { createSessionServer } from "#session/server.ts";
import { UNPROTECTED } from "#session/serving.ts";
import { FRESH, Session } from "#session/session.ts";
import { monotonicMs } from "../failover-attempts.ts";
import { type MemberSettings, PORTS } from "./ports.ts";

const REPORT_MS = 250;

const settings = JSON.parse(process.argv[2] ?? "{}") as MemberSettings;
const { folder, addresses, interface: device, bundle, applicationsSocket } = settings;

function say(what: string, more: object = {}): void {
  process.stdout.write(`${JSON.stringify({ at: monotonicMs(), what, ...more })}\n`);
}

const onTrouble = (error: Error): void => say("trouble", { message: error.message });

/** Each line comes back with its number. The state is the number, and what came of the next line. */
function dialogue(session: Session): void {
  const state = Buffer.from(session.state ?? "0 ").toString("latin1");
  const space = state.indexOf(" ");
  let lines = Number(state.slice(0, space));
  let rest = state.slice(space + 1);
  session.on("data", (bytes) => {
    const parts = (rest + Buffer.from(bytes).toString("latin1")).split("\n");
    rest = parts.pop() ?? "";
    const answer = parts.map((line) => `${++lines} ${line}\n`).join("");
    if (answer !== "") session.write(Buffer.from(answer, "latin1"));
    session.state = Buffer.from(`${lines} ${rest}`, "latin1");
  });
  session.on("end", () => session.end());
}

function begin(session: Session, port: number): void {
  if (session.resumed) say("resumed", { port: session.key.peerPort });
  if (port === PORTS.files || port === PORTS.plainFiles) {
    // oxlint-disable-next-line no-new -- it lives as long as its session
    new Conversation(session, { folder, onTrouble });
  } else dialogue(session);
}

function listenPlainly(address: string, port: number): void {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const key = keyOf(ip(address), port, socket);
    if (key === undefined) return void socket.destroy();
    const session = new Session(key, socket, UNPROTECTED, FRESH);
    session.exposed();
    begin(session, port);
    session.begin();
  });
  server.listen({ host: address, port, ipv6Only: address.includes(":") });
}

joinIn({
  name: "bench",
  socketPath: applicationsSocket,
  onEvent: (event) => {
    if (event.type === "member-left") say("left", { member: event.member.name });
  },
});
const server = await createSessionServer(
  { interface: device, bundle, applicationsSocket, onTrouble },
  (session) => begin(session, session.key.port),
);
for (const address of addresses) {
  await server.listen(address, PORTS.lines);
  await server.listen(address, PORTS.files);
  // the VIPs are here by now
  for (const port of [PORTS.plainFiles, PORTS.plainLines]) listenPlainly(address, port);
}
let last = "";
setInterval(() => {
  const counts = JSON.stringify(server.counts);
  if (counts !== last) say("counts", server.counts);
  last = counts;
}, REPORT_MS);
say("ready");
