// The page of `pan status`, and its numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { STATUS } from "#api/testing/fake-agent.ts";
import {
  parseDuration,
  formatByteRate,
  formatCount,
  formatDuration,
  formatRatio,
} from "./quantity.ts";
import { renderStatus } from "./status-screen.ts";
import { formatTable } from "./table.ts";

const PAGE = `Cluster demo  master alpha, secondary beta
  epoch 3, configuration 7 (00112233aabbccdd), tables 3.12, keepalive every 67 ms
  delivery unicast, cluster MAC 02:bf:0a:4d:00:64; peers at masked MACs
Node beta  10.77.0.2, member, up 1h 02m
  tc on eth0, tables 3.12 in force, may answer for VIPs
  connections are closed in 34.0 s, 3 slots wait to move, 40 connections are pinned, 2 frames are held

Members
  NAME   ADDRESS    STATE           HEARD    LOSS  PACKETS/S    BYTES/S  CONNECTIONS
  alpha  10.77.0.1  master          31 ms  1.25 %      1.23k  5.60 MB/s           41
  beta   10.77.0.2  member drained      –       –          0      0 B/s            –
  gamma  10.77.0.3  departed            –       –          –          –            –
  packets: of beta those that it took, of the others those that it sent there

Service groups
  NAME  POLICY    PACKETS/S  SLOTS  OWNERS                                                SERVICES
  web   weighted      1.23k   1024  alpha 1024 (home 512), weight 1, up (takes 30 %)      tcp 10.77.0.100:80
                                    beta 0 (home 512), weight 1, down (http: status 503)  tcp [fd77::100]:*

Packets and messages
  REASON                              COUNT
  forward-owner                     1500012
  keepalives sent                       900
  keepalives received                  1800
  watchdog expiries                       1
  message refused: bad-signature          4
  connection refused: not-admitted        2

Sessions that outlive their member
  SERVER  SERVED  UNPROTECTED  HELD        REPLICAS     LAG           COMMIT  TAKEN OVER            PAUSE
  relay       12            3    25          1 of 2  2.0 ms  0.4 ms … 2.1 ms           4  3.5 ms … 250 ms
  files        0            0     0  2 of 2, 1 each  0.0 ms                –           0                –
  relay: 2 unprotected: no other member holds them (the server runs on 1 of 2 others)
  relay: 1 unprotected: more input came than is kept of a session
  files: 3 under-replicated: fewer than 1 other members hold them
  files: has said nothing for 11.0 s

Health checks of this node
  GROUP  CHECK  STATE  PASSED  FAILED  LAST FOUND
  web    http   fails      40       3  status 503

Departures, newest first
  AT                        NODE   REASON    TOOK
  2026-11-21T09:00:00.000Z  gamma  silent  212 ms
`;

test("status: the page", () => {
  assert.equal(renderStatus(STATUS, false), PAGE);
});

test("status: colours change nothing but the colours", () => {
  const coloured = renderStatus(STATUS, true);
  assert.notEqual(coloured, PAGE);
  assert.equal(stripVTControlCharacters(coloured), PAGE);
});

test("status: a node alone, without services, packets or departures", () => {
  const { datapath, membership, cluster } = STATUS;
  const { master: _master, secondary: _secondary, ...leaderless } = cluster;
  const page = renderStatus(
    {
      ...STATUS,
      cluster: leaderless,
      members: [],
      groups: [],
      failovers: [],
      datapath: { ...datapath, hook: "none", counters: [], leaseValid: false },
      membership: { ...membership, drops: [] },
    },
    false,
  );
  assert.match(page, /master –, secondary –/);
  assert.match(page, /no packet program, .*may not answer for VIPs/);
  assert.doesNotMatch(page, /Service groups|Departures/);
});

test("A16: status says when sessions of this node may not speak, and where they do", () => {
  const { membership } = STATUS;
  const silent = { ...STATUS, membership: { ...membership, sessionsMaySpeak: false } };
  const page = renderStatus(silent, false);
  assert.match(page, /^ {2}silent: sessions speak where most of m1, m2, m3 are, who were/m);
  assert.doesNotMatch(renderStatus({ ...silent, sessions: [] }, false), /silent: sessions/);
});

test("quantities: counts keep three digits", () => {
  const cases: [number, string][] = [
    [0, "0"],
    [999, "999"],
    [999.6, "1.00k"],
    [1000, "1.00k"],
    [999_499, "999k"],
    [999_600, "1.00M"],
    [5_600_000, "5.60M"],
    [3e15, "3.00P"],
  ];
  for (const [value, text] of cases) assert.equal(formatCount(value), text);
  assert.equal(formatByteRate(1_500_000_000), "1.50 GB/s");
  assert.equal(formatByteRate(12), "12 B/s");
});

test("quantities: durations have their two largest units", () => {
  const cases: [number, string][] = [
    [0.4, "0 ms"],
    [999, "999 ms"],
    [999.9, "1.0 s"],
    [4250, "4.2 s"],
    [185_000, "3m 05s"],
    [3_723_000, "1h 02m"],
    [183_600_000, "2d 03h"],
  ];
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text);
  assert.equal(formatRatio(1 / 3), "33.33 %");
});

test("table: widths follow the cells, colours do not count", () => {
  const lines = formatTable(
    [{ title: "A" }, { title: "N", align: "right" }],
    [
      ["\u001b[31mred\u001b[39m", "1"],
      ["b", "100"],
    ],
  );
  assert.deepEqual(lines.map(stripVTControlCharacters), ["  A      N", "  red    1", "  b    100"]);
});

test("B7: a time is read with its unit, and not without", () => {
  assert.deepEqual(
    ["500ms", "60s", "10m", "2h"].map(parseDuration),
    [500, 60_000, 600_000, 7_200_000],
  );
  for (const text of ["60", "1.5s", "-1s", "1d", "", "s", "9999999999s"]) {
    assert.throws(() => parseDuration(text), /a whole number and ms, s, m or h/, text);
  }
});
