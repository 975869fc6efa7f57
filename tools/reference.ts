// `node tools/reference.ts`: writes the reference pages that are made from the command line, the API and the applications' protocol.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { applicationsReference } from "#apps/reference.ts";
import { eventsReference } from "#api/event-reference.ts";
import { apiReference } from "#api/reference.ts";
import { cliReference } from "#cli/reference.ts";
import { root } from "./steps.ts";

const write = (name: string, text: string): void =>
  writeFileSync(path.join(root, "docs/reference", name), text);

write("api.md", apiReference());
write("applications.md", applicationsReference());
write("events.md", eventsReference());
write("cli.md", await cliReference());
