// Asks the VIPs for a tiny page again and again, each time over a new TCP connection, and prints what became of
// each attempt. Runs inside the client's namespace: `node failover-prober.ts PERIOD_MS LIMIT_MS ADDRESS…`.
// Attempts do not wait for each other: one that a dead machine does not answer must not hide the next.
import { connect } from "node:net";
import { monotonicMs, printAttempt } from "./failover-attempts.ts";

const REQUEST = "GET /whoami HTTP/1.0\r\n\r\n";
/** Output is written in portions, so that printing costs the prober no time of its own. */
const FLUSH_EVERY_MS = 50;
/** More at a time than limit / period can only come from a machine that is too slow; then attempts are skipped. */
const MOST_AT_A_TIME = 400;

const [period = "2", limit = "150", ...addresses] = process.argv.slice(2);
const periodMs = Number(period);
const limitMs = Number(limit);
let printed = "";
let underWay = 0;

function attempt(address: string): void {
  if (underWay >= MOST_AT_A_TIME) return;
  underWay += 1;
  const startedAt = monotonicMs();
  let answer = "";
  const socket = connect({ host: address, port: 80 });
  const timer = setTimeout(() => finish(undefined), limitMs);
  let finished = false;
  function finish(server: string | undefined): void {
    if (finished) return;
    finished = true;
    underWay -= 1;
    clearTimeout(timer);
    socket.destroy();
    printed += printAttempt({ address, startedAt, endedAt: monotonicMs(), server });
  }
  socket.setEncoding("latin1");
  socket.on("connect", () => socket.write(REQUEST));
  socket.on("data", (text: string) => {
    answer += text;
  });
  socket.on("end", () => finish(serverOf(answer)));
  socket.on("error", () => finish(undefined));
}

/** The body is the server's name and a line feed; anything else than a complete 200 is a failure. */
const serverOf = (answer: string): string | undefined =>
  /^HTTP\/1\.1 200 .*\r\n\r\n(\S+)\n$/s.exec(answer)?.[1];

let next = monotonicMs();
function tick(): void {
  for (const address of addresses) attempt(address);
  next += periodMs;
  const now = monotonicMs();
  // whoever was kept from running does not make up for it with a burst
  if (next < now) next = now;
  setTimeout(tick, next - now);
}

setInterval(() => {
  if (printed !== "") process.stdout.write(printed);
  printed = "";
}, FLUSH_EVERY_MS);
tick();
