// The membership machine as a table: what each message does in each phase.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message } from "#wire/cluster/message.ts";
import { MESSAGES, type PhaseName, PHASES, shown } from "./testing/subject.ts";

type Row = { readonly [T in Message["type"]]: readonly string[] };

/** For each phase, what each message from node 1 (unless it says otherwise) makes it do. */
const TABLE: { readonly [P in PhaseName]: { readonly [T in Message["type"]]: readonly string[] } } =
  {
    joining: {
      "join-request": [],
      "join-accepted": ["admitted-by"],
      "join-refused": ["refused"],
      "join-wait": [],
      offer: [],
      "offer-accepted": [],
      "other-master-exists": [],
      "exit-request": [],
      "master-keepalive": [],
      "member-keepalive": [],
      probe: [],
      goodbye: [],
    },
    admitted: {
      "join-request": [],
      "join-accepted": ["ignored unexpected"],
      "join-refused": [],
      "join-wait": [],
      offer: [],
      "offer-accepted": [],
      "other-master-exists": [],
      "exit-request": ["view joining"],
      "master-keepalive": [],
      "member-keepalive": [],
      probe: [],
      goodbye: ["view joining"],
    },
    following: {
      "join-request": [],
      "join-accepted": [],
      "join-refused": [],
      "join-wait": [],
      offer: [],
      "offer-accepted": [],
      "other-master-exists": [],
      "exit-request": ["view joining"],
      "master-keepalive": [],
      "member-keepalive": [],
      probe: ["member-keepalive > 1"],
      goodbye: ["offer > all"],
    },
    orphaned: {
      "join-request": [],
      "join-accepted": [],
      "join-refused": [],
      "join-wait": [],
      offer: [],
      "offer-accepted": [],
      "other-master-exists": ["view joining"],
      "exit-request": ["view joining"],
      "master-keepalive": ["member-keepalive > 1"],
      "member-keepalive": [],
      probe: [],
      goodbye: [],
    },
    offering: {
      "join-request": ["offer > 1"],
      "join-accepted": [],
      "join-refused": [],
      "join-wait": [],
      offer: ["view joining"],
      "offer-accepted": ["ignored unexpected"],
      "other-master-exists": [],
      "exit-request": [],
      "master-keepalive": ["view joining"],
      "member-keepalive": [],
      probe: [],
      goodbye: [],
    },
    inheriting: {
      "join-request": ["offer > 1"],
      "join-accepted": [],
      "join-refused": [],
      "join-wait": [],
      offer: ["offer > 1"],
      "offer-accepted": ["ignored unexpected"],
      "other-master-exists": [],
      "exit-request": [],
      "master-keepalive": ["member-keepalive > 1"],
      "member-keepalive": [],
      probe: [],
      goodbye: [],
    },
    governing: {
      "join-request": ["join-accepted > 1"],
      "join-accepted": ["ignored unexpected"],
      "join-refused": ["ignored unexpected"],
      "join-wait": ["ignored unexpected"],
      offer: ["other-master-exists > 1", "master-keepalive > 1"],
      "offer-accepted": ["ignored unexpected"],
      "other-master-exists": ["other-master-exists > 1"],
      "exit-request": ["ignored unexpected"],
      "master-keepalive": ["other-master-exists > 1"],
      "member-keepalive": ["exit-request > 1"],
      probe: ["master-keepalive > 1"],
      goodbye: [],
    },
  };

describe("membership: each message in each phase", () => {
  for (const [phase, row] of Object.entries(TABLE) as [PhaseName, Row][]) {
    for (const [type, effects] of Object.entries(row)) {
      test(`${phase}: ${type}`, () => {
        const subject = PHASES[phase]();
        const message = MESSAGES[type as Message["type"]];
        assert.deepEqual(subject.hears(1, message).map(shown), effects);
      });
    }
  }
});
