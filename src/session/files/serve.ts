// The file server (A16): sessions of the cluster, each a conversation with one client.
import { statSync } from "node:fs";
import { PanError } from "#base/error-codes.ts";
import { type ServerPlace, startServer } from "../listening.ts";
import type { SessionServer } from "../server.ts";
import { Conversation } from "./conversation.ts";

export interface ServeFilesOptions extends ServerPlace {
  readonly folder: string;
}

const say = (error: Error): void => void process.stderr.write(`${error.message}\n`);

export async function serveFiles({
  folder,
  ...options
}: ServeFilesOptions): Promise<SessionServer> {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    const message = `${folder} is no folder. Name one with the files to serve.`;
    throw new PanError("PAN_NOT_FOUND", message);
  }
  return startServer(
    { ...options, name: "serve-files", onTrouble: say },
    (session) => void new Conversation(session, { folder, onTrouble: say }),
  );
}
