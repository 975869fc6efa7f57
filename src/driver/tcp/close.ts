// Ends this machine's part in a connection without a word to the peer (A16): a socket in repair sends neither FIN nor RST when it is closed.
import type { Socket } from "node:net";
import { descriptorOf } from "./descriptor.ts";
import { freeze } from "./dump.ts";

export function closeSilently(socket: Socket): void {
  const fd = descriptorOf(socket);
  if (fd !== undefined) freeze(fd);
  socket.destroy();
}
