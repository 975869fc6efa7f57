// `pan serve-files`: an HTTP server of files whose downloads outlive the member that serves them (A16).
import type { ServerPlace } from "#session/listening.ts";
import { examples, type Register } from "../context.ts";
import { serveUntilStopped, withSessionOptions } from "../session-options.ts";

export const registerServeFiles: Register = (program, context) => {
  const command = program
    .command("serve-files")
    .description("serve a folder's files by HTTP; downloads go on when this member dies")
    .argument("<folder>", "the same files on every member");
  withSessionOptions(command)
    .addHelpText(
      "after",
      "\nRun it on every member. Until Ctrl-C.\n" +
        examples("pan serve-files /srv/www --listen 10.0.0.100:80 --interface eth0"),
    )
    .action(async (folder: string, options: ServerPlace) => {
      const { serveFiles } = await import("#session/files/serve.ts");
      const server = await serveFiles({ folder, ...options });
      await serveUntilStopped(context, `serving ${folder}`, options, server);
    });
};
