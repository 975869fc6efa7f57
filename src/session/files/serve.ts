// The file server (A16): sessions of the cluster, each a conversation with one client.
import { statSync } from "node:fs";
import { createSessionServer, type SessionServer } from "../server.ts";
import { Conversation } from "./conversation.ts";

export interface ServeFilesOptions {
  readonly folder: string;
  readonly listen: readonly { readonly address: string; readonly port: number }[];
  readonly interface: string;
  readonly bundle: string;
  readonly applicationsSocket: string;
  readonly port?: number;
}

const say = (error: Error): void => void process.stderr.write(`${error.message}\n`);

export async function serveFiles(options: ServeFilesOptions): Promise<SessionServer> {
  if (!statSync(options.folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new RangeError(`${options.folder} is no folder. Name one with the files to serve.`);
  }
  const { interface: device, bundle, applicationsSocket, port, folder } = options;
  const server = await createSessionServer(
    {
      interface: device,
      bundle,
      applicationsSocket,
      ...(port === undefined ? {} : { port }),
      onTrouble: say,
    },
    (session) => new Conversation(session, { folder, onTrouble: say }),
  );
  for (const { address, port: where } of options.listen) await server.listen(address, where);
  return server;
}
