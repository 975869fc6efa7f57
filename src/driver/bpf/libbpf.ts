// libbpf.so.1 and the few structures of the kernel's interface that its calls take. Only declarations and errors;
// what they are used for is in the files beside.
import koffi, { type LibraryHandle } from "koffi";
import { PanError } from "#base/error-codes.ts";
import { addressOf, ErrnoError, type Memory, type Pointer } from "../libc.ts";

type Handle = Pointer | null;

type Declare = (prototype: string) => ReturnType<LibraryHandle["func"]>;

/** Compiled objects and their programs. */
const declareObjects = (func: Declare) => ({
  setPrint: func("void *libbpf_set_print(void *f)") as (callback: null) => Handle,
  possibleCpus: func("int libbpf_num_possible_cpus()") as () => number,
  openMem: func("void *bpf_object__open_mem(void *bytes, size_t size, void *options)") as (
    bytes: Uint8Array,
    size: number,
    options: Uint8Array,
  ) => Handle,
  load: func("int bpf_object__load(void *object)") as (object: Pointer) => number,
  closeObject: func("void bpf_object__close(void *object)") as (object: Pointer) => void,
  nextMap: func("void *bpf_object__next_map(void *object, void *map)") as (
    object: Pointer,
    map: Handle,
  ) => Handle,
  nextProgram: func("void *bpf_object__next_program(void *object, void *program)") as (
    object: Pointer,
    program: Handle,
  ) => Handle,
  programName: func("const char *bpf_program__name(void *program)") as (p: Pointer) => string,
  programFd: func("int bpf_program__fd(void *program)") as (program: Pointer) => number,
  setProgramFlags: func("int bpf_program__set_flags(void *program, uint32_t flags)") as (
    program: Pointer,
    flags: number,
  ) => number,
  setLog: func("int bpf_program__set_log_buf(void *program, void *bytes, size_t size)") as (
    program: Pointer,
    bytes: Uint8Array,
    size: number,
  ) => number,
});

/** Maps, before and after they are made. */
const declareMaps = (func: Declare) => ({
  mapName: func("const char *bpf_map__name(void *map)") as (map: Pointer) => string,
  mapFd: func("int bpf_map__fd(void *map)") as (map: Pointer) => number,
  mapType: func("uint32_t bpf_map__type(void *map)") as (map: Pointer) => number,
  mapKeySize: func("uint32_t bpf_map__key_size(void *map)") as (map: Pointer) => number,
  mapValueSize: func("uint32_t bpf_map__value_size(void *map)") as (map: Pointer) => number,
  mapMaxEntries: func("uint32_t bpf_map__max_entries(void *map)") as (map: Pointer) => number,
  mapFlags: func("uint32_t bpf_map__map_flags(void *map)") as (map: Pointer) => number,
  setMaxEntries: func("int bpf_map__set_max_entries(void *map, uint32_t count)") as (
    map: Pointer,
    count: number,
  ) => number,
  setInitialValue: func("int bpf_map__set_initial_value(void *map, void *v, size_t size)") as (
    map: Pointer,
    value: Uint8Array,
    size: number,
  ) => number,
  reuseFd: func("int bpf_map__reuse_fd(void *map, int fd)") as (map: Pointer, fd: number) => number,
  updateElem: func("int bpf_map_update_elem(int fd, void *key, void *value, uint64_t f)") as (
    fd: number,
    key: Uint8Array,
    value: Uint8Array,
    flags: number,
  ) => number,
  lookupElem: func("int bpf_map_lookup_elem(int fd, void *key, void *value)") as (
    fd: number,
    key: Uint8Array,
    value: Uint8Array,
  ) => number,
  deleteElem: func("int bpf_map_delete_elem(int fd, void *key)") as (
    fd: number,
    key: Uint8Array,
  ) => number,
  lookupBatch: func(
    "int bpf_map_lookup_batch(int fd, void *in, void *out, void *k, void *v, void *n, void *o)",
  ) as (
    fd: number,
    inBatch: Memory,
    outBatch: Uint8Array,
    keys: Uint8Array,
    values: Uint8Array,
    count: Uint32Array,
    options: null,
  ) => number,
});

/** What is in the kernel, and where it is attached. */
const declareAttachment = (func: Declare) => ({
  progFdById: func("int bpf_prog_get_fd_by_id(uint32_t id)") as (id: number) => number,
  mapFdById: func("int bpf_map_get_fd_by_id(uint32_t id)") as (id: number) => number,
  infoByFd: func("int bpf_obj_get_info_by_fd(int fd, void *info, void *length)") as (
    fd: number,
    info: Uint8Array,
    length: Uint32Array,
  ) => number,
  xdpAttach: func("int bpf_xdp_attach(int ifindex, int fd, uint32_t flags, void *options)") as (
    ifindex: number,
    fd: number,
    flags: number,
    options: Memory,
  ) => number,
  xdpDetach: func("int bpf_xdp_detach(int ifindex, uint32_t flags, void *options)") as (
    ifindex: number,
    flags: number,
    options: Memory,
  ) => number,
  xdpQuery: func("int bpf_xdp_query(int ifindex, int flags, void *options)") as (
    ifindex: number,
    flags: number,
    options: Uint8Array,
  ) => number,
  tcHookCreate: func("int bpf_tc_hook_create(void *hook)") as (hook: Uint8Array) => number,
  tcHookDestroy: func("int bpf_tc_hook_destroy(void *hook)") as (hook: Uint8Array) => number,
  tcAttach: func("int bpf_tc_attach(void *hook, void *options)") as (
    hook: Uint8Array,
    options: Uint8Array,
  ) => number,
  tcDetach: func("int bpf_tc_detach(void *hook, void *options)") as (
    hook: Uint8Array,
    options: Uint8Array,
  ) => number,
  tcQuery: func("int bpf_tc_query(void *hook, void *options)") as (
    hook: Uint8Array,
    options: Uint8Array,
  ) => number,
  testRun: func("int bpf_prog_test_run_opts(int fd, void *options)") as (
    fd: number,
    options: Uint8Array,
  ) => number,
});

function declare(library: LibraryHandle) {
  const func: Declare = (prototype) => library.func(prototype);
  return { ...declareObjects(func), ...declareMaps(func), ...declareAttachment(func) };
}

export type Libbpf = ReturnType<typeof declare>;

let loaded: Libbpf | undefined;

/** The library, loaded at its first use. PAN_NO_LIBBPF where it is not installed. */
export function libbpf(): Libbpf {
  if (loaded !== undefined) return loaded;
  try {
    loaded = declare(koffi.load("libbpf.so.1"));
  } catch (cause) {
    throw new PanError(
      "PAN_NO_LIBBPF",
      "Cannot load libbpf.so.1, which the packet program needs. Install the package libbpf1.",
      { cause },
    );
  }
  // it would write to standard error; what it has to say is in errno and in the verifier's log
  loaded.setPrint(null);
  return loaded;
}

/** libbpf 1 answers with a negative errno. Gives the result back, or throws PAN_NO_BPF. */
export function bpfCheck(result: number, action: string): number {
  if (result >= 0) return result;
  throw bpfError(-result, action);
}

export function bpfError(errno: number, action: string, detail = ""): PanError {
  const cause = new ErrnoError(errno);
  const hint =
    cause.code === "EPERM" || cause.code === "EACCES"
      ? " Root is needed, or CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN."
      : "";
  return new PanError("PAN_NO_BPF", `Cannot ${action}: ${cause.code}.${hint}${detail}`, { cause });
}

/** A structure of the kernel's interface: little-endian fields written one after another. */
export class Structure {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** Keeps what pointers refer to alive as long as the structure. */
  readonly #referenced: Uint8Array[] = [];

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  u64(offset: number, value: number | bigint): this {
    this.#view.setBigUint64(offset, BigInt(value), true);
    return this;
  }

  pointer(offset: number, target: Uint8Array): this {
    this.#referenced.push(target);
    return this.u64(offset, addressOf(target));
  }

  readU32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  readText(offset: number, length: number): string {
    const bytes = this.bytes.subarray(offset, offset + length);
    const end = bytes.indexOf(0);
    return Buffer.from(bytes.subarray(0, end < 0 ? length : end)).toString("latin1");
  }
}
