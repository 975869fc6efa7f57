// Requests and answers of the file server (RFC 9110, RFC 9112): what is understood, and what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { answerTo, refusal } from "./answer.ts";
import { parseRequest, rangeOf } from "./request.ts";

const parse = (text: string): ReturnType<typeof parseRequest> =>
  parseRequest(Buffer.from(text, "latin1"));
const GET = "GET /a%20b.txt?x=1 HTTP/1.1\r\nHost: h\r\n";

test("A16: a request is its method, decoded path, range and whether the connection stays", () => {
  assert.deepEqual(parse(`${GET}Range: bytes=2-5\r\n\r\nGET /next`), {
    type: "request",
    request: { method: "GET", path: "/a b.txt", range: "bytes=2-5", keepAlive: true },
    length: GET.length + "Range: bytes=2-5\r\n\r\n".length,
  });
  const closing = parse(`${GET}Connection: close\r\n\r\n`);
  assert.equal(closing.type === "request" && closing.request.keepAlive, false);
  const old = parse("GET / HTTP/1.0\r\n\r\n");
  assert.equal(old.type === "request" && old.request.keepAlive, false);
  assert.deepEqual(parse(GET), { type: "incomplete" });
});

test("A16: what is no request for a file is refused with its status", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["hello\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\n\r\n", 400], // without Host
    ["GET /../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["GET /%2e%2e/x HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost h\r\n\r\n", 400],
    ["GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505],
    ["POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 501],
    ["POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 501],
    [`GET /${"a".repeat(9000)} HTTP/1.1\r\nHost: h\r\n\r\n`, 414],
    [`GET / HTTP/1.1\r\nHost: ${"a".repeat(17_000)}`, 431],
  ];
  for (const [text, status] of cases) {
    assert.deepEqual(parse(text), { type: "refused", status }, text.slice(0, 60));
  }
});

test("RFC 9110 14.2: ranges", () => {
  const cases: readonly (readonly [string | undefined, ReturnType<typeof rangeOf>])[] = [
    [undefined, "whole"],
    ["bytes=0-99", { first: 0, last: 99 }],
    ["bytes=90-", { first: 90, last: 99 }],
    ["bytes=-10", { first: 90, last: 99 }],
    ["bytes=-1000", { first: 0, last: 99 }],
    ["bytes=50-1000", { first: 50, last: 99 }],
    ["bytes=100-", "unsatisfiable"],
    ["bytes=9-3", "whole"],
    ["bytes=0-1,3-4", "whole"],
    ["lines=1-2", "whole"],
  ];
  for (const [header, expected] of cases) assert.deepEqual(rangeOf(header, 100), expected, header);
});

test("A16: an answer has no time in it: every member gives the same", () => {
  const parsed = parse(`${GET}Range: bytes=2-5\r\n\r\n`);
  assert.ok(parsed.type === "request");
  const { request } = parsed;
  assert.deepEqual(answerTo(request, "/a b.txt", 100), {
    head:
      "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n" +
      "Accept-Ranges: bytes\r\nContent-Range: bytes 2-5/100\r\nConnection: keep-alive\r\n\r\n",
    body: { path: "/a b.txt", size: 100, first: 2, length: 4 },
    keepAlive: true,
  });
  assert.match(answerTo(request, "/a b.txt", undefined).head, /^HTTP\/1\.1 404 /);
  assert.match(answerTo({ ...request, method: "PUT" }, "/", 1).head, /^HTTP\/1\.1 405 /);
  assert.match(answerTo({ ...request, range: "bytes=500-" }, "/", 100).head, /^HTTP\/1\.1 416 /);
  const head = answerTo({ ...request, method: "HEAD", range: undefined }, "/", 100);
  assert.match(head.head, /^HTTP\/1\.1 200 OK\r\n.*Content-Length: 100\r\n/s);
  assert.equal(head.body, undefined);
  const empty = answerTo({ ...request, range: undefined }, "/empty", 0);
  assert.match(empty.head, /Content-Length: 0/);
  assert.equal(empty.body, undefined);
  assert.match(refusal(431, false).head, /Connection: close\r\n\r\n$/);
});

test("A16: arbitrary bytes never make the parser throw, and a request never takes more than came", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const parsed = parseRequest(Buffer.concat([Buffer.from("GET /"), bytes]));
      if (parsed.type === "request") assert.ok(parsed.length <= bytes.byteLength + 5);
    }),
  );
});
