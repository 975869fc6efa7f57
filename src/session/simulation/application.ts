// The application of the simulation: each line comes back with its number, and a line of digits brings so many bytes more, which are
// made again rather than kept. Its output is a function of its input.
import type { Session } from "../session.ts";

/** The same for everybody: byte number `at` of the answer to line `line`. */
const made = (line: number, at: number): number => 97 + ((line * 7 + at * 3 + (at >> 5)) % 26);

/** What comes back for these lines, from the first on. */
export function answerTo(line: string, number: number): Uint8Array {
  const length = /^\d+$/.test(line) ? Number(line) : 0;
  const head = Buffer.from(`${number} ${line}\n`, "latin1");
  const body = Uint8Array.from({ length }, (_, at) => made(number, at));
  return Buffer.concat([head, body]);
}

export function serveLines(session: Session): void {
  const [count = "0", kept = ""] = Buffer.from(session.state ?? "0 ")
    .toString("latin1")
    .split(" ");
  let lines = Number(count);
  let rest = kept;
  session.on("data", (bytes) => {
    const parts = (rest + Buffer.from(bytes).toString("latin1")).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) session.write(answerTo(part, ++lines));
    session.state = Buffer.from(`${lines} ${rest}`, "latin1");
  });
  session.on("end", () => session.end());
  session.on("error", () => {}); // "close" follows
}

/**
 * The same, as a relay does that gives no request to a backend twice: a line is given away when every replica holds that it is, and one
 * that a member before has given, or was about to, is not given again. The answer goes into the log, though it is known beforehand.
 */
export const giveLines =
  (give: (port: number, line: number) => void) =>
  (session: Session): void => {
    let lines = Number(Buffer.from(session.state ?? "0").toString("latin1"));
    let rest = "";
    session.on("data", (bytes) => {
      const parts = (rest + Buffer.from(bytes).toString("latin1")).split("\n");
      rest = parts.pop() ?? "";
      for (const [at, part] of parts.entries()) {
        const number = ++lines;
        const output = answerTo(part, number);
        const state = Buffer.from(String(number), "latin1");
        const unread = [...parts.slice(at + 1), rest].join("\n").length;
        session.commit({ state, output, unread, held: () => give(session.key.peerPort, number) });
      }
    });
    session.on("end", () => session.end());
    session.on("error", () => {}); // "close" follows
  };
