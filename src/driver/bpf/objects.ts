// Programs and maps that already live in the kernel: found by id, described, opened. A program keeps its maps, so
// whoever finds the program on an interface has found the maps too.
import { libc } from "../libc.ts";
import { bpfCheck, libbpf, Structure } from "./libbpf.ts";

const PROGRAM_INFO_SIZE = 128;
const MAP_INFO_SIZE = 64;
const MOST_MAPS = 64;

export interface MapShape {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

export interface LiveMap extends MapShape {
  readonly id: number;
  readonly name: string;
  readonly fd: number;
}

export interface LiveProgram {
  readonly fd: number;
  readonly name: string;
  readonly maps: readonly LiveMap[];
}

function info(fd: number, structure: Structure, what: string): Structure {
  const length = Uint32Array.of(structure.bytes.byteLength);
  bpfCheck(libbpf().infoByFd(fd, structure.bytes, length), `ask the kernel about ${what}`);
  return structure;
}

export function describeMap(fd: number): LiveMap {
  const found = info(fd, new Structure(MAP_INFO_SIZE), "a map");
  return {
    fd,
    id: found.readU32(4),
    name: found.readText(24, 16),
    type: found.readU32(0),
    keySize: found.readU32(8),
    valueSize: found.readU32(12),
    maxEntries: found.readU32(16),
    flags: found.readU32(20),
  };
}

/** Only the name; the descriptor is closed again. Undefined when it is gone. */
export function programName(id: number): string | undefined {
  const fd = libbpf().progFdById(id);
  if (fd < 0) return undefined;
  try {
    return info(fd, new Structure(PROGRAM_INFO_SIZE), "a program").readText(64, 16);
  } finally {
    libc.close(fd);
  }
}

/** Opens a program and all of its maps; close with closeProgram(). */
export function openProgram(id: number): LiveProgram {
  const bpf = libbpf();
  const fd = bpfCheck(bpf.progFdById(id), `open packet program ${id}`);
  const ids = new Structure(MOST_MAPS * 4);
  const asked = new Structure(PROGRAM_INFO_SIZE).u32(52, MOST_MAPS).pointer(56, ids.bytes);
  const found = info(fd, asked, "a program");
  const maps: LiveMap[] = [];
  for (let index = 0; index < Math.min(found.readU32(52), MOST_MAPS); index++) {
    const mapFd = bpfCheck(bpf.mapFdById(ids.readU32(index * 4)), "open a map of the program");
    maps.push(describeMap(mapFd));
  }
  return { fd, name: found.readText(64, 16), maps };
}

export function closeProgram(program: LiveProgram): void {
  for (const { fd } of [program, ...program.maps]) libc.close(fd);
}
