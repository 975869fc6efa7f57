// What the servers that are shipped have in common: they start, and listen to what they are told.
import type { ReplicaCount } from "./replicas.ts";
import { createSessionServer, type SessionServer, type SessionServerOptions } from "./server.ts";
import type { Session } from "./session.ts";

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Where a server listens, and whom it belongs to. */
export interface ServerPlace {
  readonly listen: readonly Endpoint[];
  readonly interface: string;
  readonly bundle: string;
  readonly applicationsSocket: string;
  /** Of the streams between members. */
  readonly port?: number;
  /** How many other members hold each session. */
  readonly replicas?: ReplicaCount;
}

export interface ServerOptions extends SessionServerOptions {
  readonly listen: readonly Endpoint[];
}

/** Listening, when it resolves. */
export async function startServer(
  { listen, ...options }: ServerOptions,
  onSession: (session: Session) => void,
): Promise<SessionServer> {
  const server = await createSessionServer(options, onSession);
  for (const { address, port } of listen) await server.listen(address, port);
  return server;
}
