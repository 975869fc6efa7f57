// Ends this machine's part in a connection without a word to the peer (A16): a socket in repair sends neither FIN nor RST when it is closed.
import type { Socket } from "node:net";
import { freeze } from "./dump.ts";

/** The descriptor of a connected socket of Node; undefined once it is closed. Node does not document where it is. */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & {
    readonly _handle?: { readonly fd?: number } | null;
  };
  const fd = handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}

export function closeSilently(socket: Socket): void {
  const fd = descriptorOf(socket);
  if (fd !== undefined) freeze(fd);
  socket.destroy();
}
