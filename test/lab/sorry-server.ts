// A sorry server of a lab host: `node sorry-server.ts PORT`. Answers every request with "sorry", and keeps connections open.
import { createServer } from "node:http";

const server = createServer((_request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end("sorry\n");
});
server.keepAliveTimeout = 600_000;
server.listen(Number(process.argv[2]), "::");
