// docs/reference/api.md, written from the contract.
import type { TSchema } from "typebox";
import { CONTRACT, Problem, type Route } from "./contract.ts";
import { HTTP_STATUS } from "./problem.ts";
import { MAX_FOLLOWERS } from "./event-stream.ts";
import { DEFAULT_SOCKET, FOLLOW_EVENTS } from "./routes.ts";

/** The parts of a JSON Schema that our shapes use. */
interface Shape {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Shape[];
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
}

const shapeOf = (schema: TSchema): Shape => schema;

const INTRODUCTION = `# The agent's API

Written from \`src/api/contract.ts\` by \`node tools/reference.ts\`; a test holds it to the contract.

The agent listens on the Unix socket \`${DEFAULT_SOCKET}\`, which belongs to root: who may open it may do everything.
It speaks HTTP and JSON. \`pan\` uses this API and nothing else.

    curl --unix-socket ${DEFAULT_SOCKET} http://pan/v1/status

Besides the operations below there are \`GET /metrics\` (Prometheus text format 0.0.4, the numbers of the status) and
\`GET /openapi.json\` (this contract as OpenAPI 3.1).

\`GET ${FOLLOW_EVENTS}\` does not end: it answers with one JSON object a line, each an event ([events.md](events.md)) as it happens.
Its query may have \`after\` (a \`seq\`; otherwise only what happens from now on) and \`types\`. An empty line comes every ten
seconds. \`{"missed": n}\` stands for events that made room for later ones before the client had taken them. A client that takes
nothing for a minute is cut off; more than ${MAX_FOLLOWERS} at a time are refused.

A change may be asked of any node; it is answered when the master has accepted it, with the configuration that
contains it. Fields that a request must not have are refused, not ignored.
`;

/** The page, ending in a line break. */
export function apiReference(): string {
  const routes: readonly Route[] = Object.values(CONTRACT);
  const shapes = new Map<string, Shape>();
  const sections = routes.map((route) => operation(route, shapes));
  shapes.set("Problem", shapeOf(Problem));
  return [
    INTRODUCTION,
    "## Operations\n",
    ...sections,
    failures(),
    "## Shapes\n",
    ...fields(shapes),
  ].join("\n");
}

function operation(
  { method, path, summary, params, query, body, reply }: Route,
  shapes: Map<string, Shape>,
): string {
  const named = (schema: TSchema): string => {
    const shape = shapeOf(schema);
    const title = shape.title ?? "";
    shapes.set(title, shape);
    return `[${title}](#${title.toLowerCase()})`;
  };
  const given = [
    ...(params === undefined ? [] : [`path: ${Object.keys(params.properties).join(", ")}`]),
    ...(query === undefined ? [] : [`query: ${named(query)}`]),
    ...(body === undefined ? [] : [`body: ${named(body)}`]),
    `answer: ${named(reply)}`,
  ];
  return `### ${method} ${path}\n\n${summary}.\n\n${given.map((line) => `- ${line}`).join("\n")}\n`;
}

function failures(): string {
  const rows = Object.entries(HTTP_STATUS).map(([code, status]) => `| \`${code}\` | ${status} |`);
  return `## Failures

Every failure is a [Problem](#problem). Its code decides the HTTP status; codes that are not listed are 500. What the
codes mean is in [errors.md](errors.md).

| code | status |
|---|---|
${rows.join("\n")}
`;
}

function fields(shapes: ReadonlyMap<string, Shape>): string[] {
  return [...shapes].map(([title, shape]) => {
    const rows = rowsOf(shape, "").map((cells) => `| ${cells.join(" | ")} |`);
    return `### ${title}\n\n| field | type | meaning |\n|---|---|---|\n${rows.join("\n")}\n`;
  });
}

/** One row a leaf: "members[].name". An optional field ends in "?". */
function rowsOf(shape: Shape, prefix: string): string[][] {
  return Object.entries(shape.properties ?? {}).flatMap(([name, field]) => {
    const optional = shape.required?.includes(name) === true ? "" : "?";
    const path = `${prefix}${name}${optional}`;
    const inner = field.items ?? field;
    const inside = `${path}${field.items === undefined ? "" : "[]"}`;
    const row = [`\`${inside}\``, typeName(inner), field.description ?? inner.description ?? ""];
    return inner.properties === undefined ? [row] : rowsOf(inner, `${inside}.`);
  });
}

function typeName(shape: Shape): string {
  if (shape.const !== undefined) return `\`${JSON.stringify(shape.const)}\``;
  if (shape.anyOf !== undefined) return shape.anyOf.map(typeName).join(" or ");
  const { minimum, maximum } = shape;
  const low = minimum === undefined ? "" : ` ≥ ${minimum}`;
  const range = minimum !== undefined && maximum !== undefined ? ` ${minimum} … ${maximum}` : low;
  return `${shape.type ?? "any"}${range}`;
}
