// Ends this machine's part in a connection without a word to the peer (A16): a socket in repair sends neither FIN nor RST when it is closed.
import type { Duplex } from "node:stream";
import { libc } from "../libc.ts";
import { descriptorOf } from "./descriptor.ts";
import { freeze } from "./dump.ts";

export function closeSilently(socket: Duplex): void {
  const fd = descriptorOf(socket);
  if (fd !== undefined) freeze(fd);
  socket.destroy();
}

/** Of a socket in repair that Node does not know. */
export function closeDescriptor(fd: number): void {
  libc.close(fd);
}
