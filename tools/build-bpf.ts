// Compiles the packet programs and generates src/driver/bpf/abi.gen.ts from the type information of the object.
// Both are committed, so that neither clang nor bpftool is needed to run or install Panoply.
// `node tools/build-bpf.ts`; build-bpf.test.ts fails when what is committed is stale.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "./steps.ts";

interface Program {
  readonly object: string;
  readonly source: string;
  readonly defines: readonly string[];
}

export const PROGRAMS: readonly Program[] = [
  { object: "steer-xdp.o", source: "bpf/steer.bpf.c", defines: ["HOOK_XDP"] },
  { object: "steer-tc.o", source: "bpf/steer.bpf.c", defines: ["HOOK_TC"] },
  { object: "mask.o", source: "bpf/mask.bpf.c", defines: [] },
  { object: "peer.o", source: "bpf/peer.bpf.c", defines: [] },
  { object: "session.o", source: "bpf/session.bpf.c", defines: [] },
  { object: "generator.o", source: "bpf/bench/generator.bpf.c", defines: [] },
  { object: "empty.o", source: "bpf/bench/empty.bpf.c", defines: [] },
  { object: "lab-loss.o", source: "bpf/lab/loss.bpf.c", defines: [] },
  { object: "lab-tag.o", source: "bpf/lab/tag.bpf.c", defines: [] },
];

/** What is generated from the type information of an object. */
export interface Layout {
  readonly object: string;
  readonly header: string;
  readonly file: string;
  readonly structs: RegExp;
  /** Names of the enums of constants and of reasons; constants keep the name behind this prefix. */
  readonly constants: string;
  readonly prefix: RegExp;
  readonly reasons: string;
}

const folder = path.join(root, "src/driver/bpf");
export const LAYOUTS: readonly Layout[] = [
  {
    object: "steer-tc.o", // any of the two hooks: they share every map
    header: "bpf/abi.h",
    file: path.join(folder, "abi.gen.ts"),
    structs:
      /^(service4_key|service6_key|service|udp_session_key|udp_session|service_bucket|bucket_vips|former|address|node|tunnel|node_path|node_paths|fragment_key|decision|held_header|counter|state|config)$/,
    constants: "abi",
    prefix: /^ABI_/,
    reasons: "reason",
  },
  {
    object: "peer.o",
    header: "bpf/peer-abi.h",
    file: path.join(folder, "peer-abi.gen.ts"),
    structs: /^(peer|peer_counter|peer_leak|peer_config)$/,
    constants: "peer_abi",
    prefix: /^$/,
    reasons: "peer_reason",
  },
  {
    object: "session.o",
    header: "bpf/session.h",
    file: path.join(folder, "session.gen.ts"),
    structs: /^session_(key|listener|control|wire|event|config)$/,
    constants: "session_abi",
    prefix: /^SESSION_/,
    reasons: "",
  },
];

export const OBJECT_FOLDER = path.join(root, "bpf/build");

const FLAGS =
  "-O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -fdebug-compilation-dir=.".split(
    " ",
  );

interface BtfMember {
  readonly name: string;
  readonly bits_offset: number;
}

interface BtfType {
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly members?: readonly BtfMember[];
  readonly values?: readonly { readonly name: string; readonly val: number }[];
}

/** The multiarch folder of the kernel's headers; the objects do not depend on the machine that compiles. */
function machineHeaders(): string {
  const machine = execFileSync("uname", ["-m"], { encoding: "utf8" }).trim();
  return `/usr/include/${machine}-linux-gnu`;
}

/** Writes one object into the folder; the same source gives the same bytes on every machine. */
export function compile(program: Program, folder: string): string {
  const output = path.join(folder, program.object);
  execFileSync(
    "clang-19",
    [
      ...FLAGS,
      `-ffile-prefix-map=${root}=.`,
      "-isystem",
      machineHeaders(),
      ...program.defines.map((name) => `-D${name}`),
      "-c",
      program.source,
      "-o",
      output,
    ],
    { cwd: root, stdio: ["ignore", "inherit", "inherit"] },
  );
  execFileSync("llvm-strip-19", ["-g", output]);
  return output;
}

const constantCase = (name: string): string => name.toUpperCase();
const camelCase = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

function renderStruct(type: BtfType): string {
  const members = (type.members ?? []).map(
    ({ name, bits_offset: bits }) => `  ${camelCase(name)}: ${bits / 8},\n`,
  );
  return `/** struct ${type.name}: size and offsets in bytes. */
export const ${constantCase(type.name)} = {
  size: ${type.size ?? 0},
${members.join("")}} as const;
`;
}

function renderConstants(type: BtfType, prefix: RegExp): string {
  return (type.values ?? [])
    .map(({ name, val }) => `export const ${name.replace(prefix, "")} = ${val};\n`)
    .join("");
}

function renderReasons(type: BtfType): string {
  const prefix = `${constantCase(type.name)}_`;
  const names = (type.values ?? [])
    .filter(({ name }) => name !== `${prefix}COUNT`)
    .map(({ name }) => `  "${name.replace(prefix, "").toLowerCase().replaceAll("_", "-")}",\n`);
  return `/** Why a frame got its verdict, by counter index. */
export const ${prefix}NAMES = [
${names.join("")}] as const;
`;
}

/** The text of a file of layouts for a compiled object. */
export function renderAbi(layout: Layout, objects: string): string {
  const object = path.join(objects, layout.object);
  const dump = execFileSync("bpftool", ["btf", "dump", "-j", "file", object], { encoding: "utf8" });
  const { types } = JSON.parse(dump) as { readonly types: readonly BtfType[] };
  const enums = types.filter(({ kind }) => kind === "ENUM");
  const structs = types.filter(({ kind, name }) => kind === "STRUCT" && layout.structs.test(name));
  return [
    `// Generated by tools/build-bpf.ts from the type information of the packet program (${layout.header}). Do not edit.\n`,
    ...enums
      .filter(({ name }) => name === layout.constants)
      .map((type) => renderConstants(type, layout.prefix)),
    ...enums.filter(({ name }) => name === layout.reasons).map(renderReasons),
    ...structs.map(renderStruct),
  ].join("\n");
}

export function build(): void {
  mkdirSync(OBJECT_FOLDER, { recursive: true });
  for (const program of PROGRAMS) console.log(path.relative(root, compile(program, OBJECT_FOLDER)));
  for (const layout of LAYOUTS) {
    writeFileSync(layout.file, renderAbi(layout, OBJECT_FOLDER));
    console.log(path.relative(root, layout.file));
  }
}

if (import.meta.main) build();
