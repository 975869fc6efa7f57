// Health checks in the configuration (B7): what a group's `health` may say, and its meaning as values. Which keys go with which type of
// check is a rule (health-rules.ts), so that one list of keys serves all types.
import { type Static, Type } from "typebox";

export const HEALTH_LIMITS = {
  checksPerGroup: 8,
  intervalMs: 3_600_000,
  timeoutMs: 600_000,
  slowStartMs: 3_600_000,
  streak: 100,
  argumentCount: 64,
  textCharacters: 1024,
} as const;

export const CHECK_TYPES = ["tcp", "http", "https", "udp", "script"] as const;
export type CheckType = (typeof CHECK_TYPES)[number];

const closed = { additionalProperties: false } as const;
const text = `^[^\\u0000]{1,${HEALTH_LIMITS.textCharacters}}$`;
const Text = (description: string, hint = "1 to 1024 characters") =>
  Type.Optional(Type.String({ pattern: text, hint, description }));

const Check = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        hint: "1 to 63 lower-case letters, digits and inner hyphens",
        description: "Name of the check, unique in its group; the type where it is left out.",
      }),
    ),
    type: Type.Enum(CHECK_TYPES, {
      description:
        "`tcp`: a connection is accepted. `http`, `https`: the answer has the expected status and text. " +
        "`udp`: a datagram is answered. `script`: a program ends with status 0.",
    }),
    target: Type.Optional(
      Type.String({
        format: "check-target",
        description:
          "What is asked, always from the node itself: `vip`, the group's first service that fits, as the node has it " +
          "on its loopback; `local`, 127.0.0.1; `node`, the node's dedicated address; or an address. Default: `vip`.",
      }),
    ),
    port: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description: "Port that is asked. Default: that of the group's first service that fits.",
      }),
    ),
    path: Type.Optional(
      Type.String({
        pattern: "^/[\\x21-\\x7e]{0,1023}$",
        hint: "a path that begins with a slash, without spaces",
        description: "`http`, `https`: path and query. Default: `/`.",
      }),
    ),
    host: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9.:\\[\\]_-]{1,255}$",
        hint: "a host name or an address, with :port where it is needed",
        description:
          "`http`, `https`: Host header, and with `https` the name that the certificate is for. Default: the address.",
      }),
    ),
    status: Type.Optional(
      Type.String({
        format: "status-codes",
        description:
          '`http`, `https`: expected status, as "200" or "200,204,300-399". Default: "200-399".',
      }),
    ),
    body: Text("`http`, `https`: text that the first 64 KiB of the answer contain."),
    verify: Type.Optional(
      Type.Boolean({
        description: "`https`: whether the server's certificate must be valid. Default: true.",
      }),
    ),
    send: Text("`udp`: text that is sent. Default: an empty datagram."),
    expect: Text("`udp`: text that the answer contains. Default: any answer will do."),
    command: Type.Optional(
      Type.Array(
        Type.String({
          pattern: text,
          hint: "1 to 1024 characters",
          description: "Program (its full path) and arguments; no shell sees them.",
        }),
        {
          minItems: 1,
          maxItems: HEALTH_LIMITS.argumentCount,
          description: "`script`: what is run, as root.",
        },
      ),
    ),
  },
  { ...closed, description: "One check. All checks of a group must pass on a node (B7)." },
);

export const Health = Type.Object(
  {
    checks: Type.Array(Check, {
      minItems: 1,
      maxItems: HEALTH_LIMITS.checksPerGroup,
      description: "Every node that may serve the group runs them on itself.",
    }),
    intervalMs: Type.Integer({
      minimum: 100,
      maximum: HEALTH_LIMITS.intervalMs,
      default: 2000,
      description: "From one run of a check to the next, in milliseconds.",
    }),
    timeoutMs: Type.Integer({
      minimum: 10,
      maximum: HEALTH_LIMITS.timeoutMs,
      default: 1000,
      description: "A run without a result after so long has failed, in milliseconds.",
    }),
    rise: Type.Integer({
      minimum: 1,
      maximum: HEALTH_LIMITS.streak,
      default: 2,
      description: "Successes in a row after which a failing check passes again.",
    }),
    fall: Type.Integer({
      minimum: 1,
      maximum: HEALTH_LIMITS.streak,
      default: 3,
      description: "Failures in a row after which a passing check fails.",
    }),
    slowStartMs: Type.Integer({
      minimum: 0,
      maximum: HEALTH_LIMITS.slowStartMs,
      default: 0,
      description:
        "An instance that comes back takes its share in ten steps over so long, in milliseconds; 0: at once.",
    }),
  },
  { ...closed, description: "When the group's instance on a node counts as working (B7)." },
);

export type RawHealth = Static<typeof Health>;
type Mutable = RawHealth["checks"][number];
export type CheckConfig = Readonly<Omit<Mutable, "command">> & {
  readonly command?: readonly string[];
};

export interface HealthConfig extends Readonly<Omit<RawHealth, "checks">> {
  readonly checks: readonly CheckConfig[];
}

export const checkName = ({ name, type }: Pick<CheckConfig, "name" | "type">): string =>
  name ?? type;

/** A copy whose lists are its own. */
export const rawHealth = ({ checks, ...rest }: HealthConfig): RawHealth => ({
  ...rest,
  checks: checks.map(({ command, ...check }) => ({
    ...check,
    ...(command === undefined ? {} : { command: [...command] }),
  })),
});
