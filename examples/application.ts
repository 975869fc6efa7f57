// An application that takes part in a Panoply cluster: it prints what happens on its node, and lets only nodes join whose names stand on
// its command line. `node examples/application.ts [--socket FILE] [NAME …]`; without names it does not vote. Ctrl-C ends it.
// With the package installed the import is "panoply/applications".
import { parseArgs } from "node:util";
import { type ApplicationOptions, joinIn } from "#apps/client.ts";

const { values, positionals: welcome } = parseArgs({
  allowPositionals: true,
  options: { socket: { type: "string" } },
});

const votes: Pick<ApplicationOptions, "onJoinVote"> =
  welcome.length === 0
    ? {}
    : {
        onJoinVote: ({ node }) =>
          welcome.includes(node.name)
            ? { accept: true }
            : { accept: false, reason: `${node.name} is not on the list` },
      };

const application = joinIn({
  name: "example",
  ...(values.socket === undefined ? {} : { socketPath: values.socket }),
  onSnapshot: ({ role, members, groups }, { cluster, node }) => {
    const names = members.map(({ name }) => name).join(", ");
    console.log(`${node.name} is ${role} in ${cluster}, with ${names}`);
    for (const { group, count, total } of groups) {
      console.log(`${node.name} serves ${count} of ${total} work sets of ${group}`);
    }
  },
  onEvent: (event) => console.log(JSON.stringify(event)),
  onTrouble: ({ message }) => console.error(message),
  ...votes,
});

process.once("SIGINT", () => application.close());
