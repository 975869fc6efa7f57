// The C library's calls that Node does not offer, through koffi, for every driver. Calls are synchronous:
// what is created inside another network namespace (inNetns) therefore belongs to that namespace for good.
import koffi from "koffi";
import { PanError } from "#base/error-codes.ts";

/** An address in this process's memory. Null in, null out. */
export type Pointer = bigint;
/** What may stand for `void *`: bytes (kept referenced by the caller during the call) or an address. */
export type Memory = Uint8Array | Pointer | null;

const library = koffi.load("libc.so.6");
const func = (prototype: string): ReturnType<typeof library.func> => library.func(prototype);

const binding = {
  syscall: func("long syscall(long nr, long a, long b, long c, long d, long e, long f)") as (
    nr: number,
    a: number | Pointer,
    b: number | Pointer,
    c: number | Pointer,
    d: number | Pointer,
    e: number | Pointer,
    f: number | Pointer,
  ) => number,
  open: func("int open(const char *path, int flags, uint32_t mode)") as (
    path: string,
    flags: number,
    mode: number,
  ) => number,
  close: func("int close(int fd)") as (fd: number) => number,
  read: func("long read(int fd, void *buffer, size_t size)") as (
    fd: number,
    buffer: Memory,
    size: number,
  ) => number,
  write: func("long write(int fd, void *buffer, size_t size)") as (
    fd: number,
    buffer: Memory,
    size: number,
  ) => number,
  dup: func("int dup(int fd)") as (fd: number) => number,
  flock: func("int flock(int fd, int operation)") as (fd: number, operation: number) => number,
  fcntl: func("int fcntl(int fd, int command, long argument)") as (
    fd: number,
    command: number,
    argument: number,
  ) => number,
  ioctl: func("int ioctl(int fd, unsigned long request, void *argument)") as (
    fd: number,
    request: number,
    argument: Memory,
  ) => number,
  poll: func("int poll(void *fds, unsigned long count, int timeoutMs)") as (
    fds: Uint8Array,
    count: number,
    timeoutMs: number,
  ) => number,
  ppoll: func("int ppoll(void *fds, unsigned long count, void *timeout, void *mask)") as (
    fds: Uint8Array,
    count: number,
    timeout: Memory,
    mask: Memory,
  ) => number,
  eventfd: func("int eventfd(uint32_t v, int flags)") as (initial: number, flags: number) => number,
  mmap: func(
    "void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)",
  ) as (
    address: Memory,
    length: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ) => Pointer | null,
  munmap: func("int munmap(void *address, size_t length)") as (
    address: Pointer,
    length: number,
  ) => number,
  mount: func(
    "int mount(const char *s, const char *t, const char *type, unsigned long f, const char *data)",
  ) as (
    source: string,
    target: string,
    type: string | null,
    flags: number,
    options: string | null,
  ) => number,
  umount2: func("int umount2(const char *target, int flags)") as (
    target: string,
    flags: number,
  ) => number,
  setns: func("int setns(int fd, int type)") as (fd: number, type: number) => number,
  unshare: func("int unshare(int flags)") as (flags: number) => number,
  ifNameToIndex: func("uint32_t if_nametoindex(const char *name)") as (name: string) => number,
  prctl: func(
    "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)",
  ) as (option: number, a: number, b: number, c: number, d: number) => number,
  capset: func("int capset(void *header, const void *sets)") as (
    header: Uint8Array,
    sets: Uint8Array,
  ) => number,
  gettid: func("int gettid()") as () => number,
  schedSetscheduler: func("int sched_setscheduler(int pid, int policy, void *parameters)") as (
    pid: number,
    policy: number,
    parameters: Uint8Array,
  ) => number,
  schedSetaffinity: func("int sched_setaffinity(int pid, size_t size, void *mask)") as (
    pid: number,
    size: number,
    mask: Uint8Array,
  ) => number,
  clockGettime: func("int clock_gettime(int clock, void *time)") as (
    clock: number,
    time: Uint8Array,
  ) => number,
};

const socketBinding = {
  socket: func("int socket(int domain, int type, int protocol)") as (
    domain: number,
    type: number,
    protocol: number,
  ) => number,
  bind: func("int bind(int fd, void *address, uint32_t length)") as (
    fd: number,
    address: Uint8Array,
    length: number,
  ) => number,
  connect: func("int connect(int fd, void *address, uint32_t length)") as (
    fd: number,
    address: Uint8Array,
    length: number,
  ) => number,
  listen: func("int listen(int fd, int backlog)") as (fd: number, backlog: number) => number,
  accept4: func("int accept4(int fd, void *address, void *length, int flags)") as (
    fd: number,
    address: Memory,
    length: Memory,
    flags: number,
  ) => number,
  shutdown: func("int shutdown(int fd, int how)") as (fd: number, how: number) => number,
  getsockname: func("int getsockname(int fd, void *address, void *length)") as (
    fd: number,
    address: Uint8Array,
    length: Uint8Array,
  ) => number,
  getpeername: func("int getpeername(int fd, void *address, void *length)") as (
    fd: number,
    address: Uint8Array,
    length: Uint8Array,
  ) => number,
  setsockopt: func(
    "int setsockopt(int fd, int level, int option, void *value, uint32_t length)",
  ) as (fd: number, level: number, option: number, value: Memory, length: number) => number,
  getsockopt: func("int getsockopt(int fd, int level, int option, void *value, void *length)") as (
    fd: number,
    level: number,
    option: number,
    value: Memory,
    length: Uint8Array,
  ) => number,
  send: func("long send(int fd, void *bytes, size_t size, int flags)") as (
    fd: number,
    bytes: Memory,
    size: number,
    flags: number,
  ) => number,
  sendto: func(
    "long sendto(int fd, void *bytes, size_t size, int flags, void *address, uint32_t length)",
  ) as (
    fd: number,
    bytes: Memory,
    size: number,
    flags: number,
    address: Memory,
    length: number,
  ) => number,
  sendmsg: func("long sendmsg(int fd, void *message, int flags)") as (
    fd: number,
    message: Uint8Array,
    flags: number,
  ) => number,
  recv: func("long recv(int fd, void *buffer, size_t size, int flags)") as (
    fd: number,
    buffer: Memory,
    size: number,
    flags: number,
  ) => number,
  recvfrom: func(
    "long recvfrom(int fd, void *buffer, size_t size, int flags, void *address, void *length)",
  ) as (
    fd: number,
    buffer: Memory,
    size: number,
    flags: number,
    address: Memory,
    length: Memory,
  ) => number,
  recvmsg: func("long recvmsg(int fd, void *message, int flags)") as (
    fd: number,
    message: Uint8Array,
    flags: number,
  ) => number,
};

/** Every call returns what C returns; a negative result leaves the reason in errno: pass it to check(). */
export const libc = { ...binding, ...socketBinding } as const;

export const O_CLOEXEC = 0o2000000;
export const CLONE_NEWNET = 0x40000000;

/** Second names of EAGAIN, EDEADLK and EOPNOTSUPP. */
const ERRNO_ALIASES: readonly string[] = ["EWOULDBLOCK", "EDEADLOCK", "ENOTSUP"];
const errnoNames = new Map(
  Object.entries(koffi.os.errno)
    .filter(([name]) => !ERRNO_ALIASES.includes(name))
    .map(([name, value]) => [value, name]),
);

/** The number that the last failed call left. Only meaningful directly after it. */
export const errno = (): number => koffi.errno();
/** "ENOENT" for 2. */
export const errnoName = (number: number): string => errnoNames.get(number) ?? `errno ${number}`;

/** Why a system call failed; the `cause` of a PanError made by check(). */
export class ErrnoError extends Error {
  override readonly name = "ErrnoError";
  readonly errno: number;
  /** "EPERM", "ENOENT" … */
  readonly code: string;

  constructor(number: number) {
    super(errnoName(number));
    this.errno = number;
    this.code = errnoName(number);
  }
}

/** The name of the errno behind an error made by check(), such as "ENOENT"; undefined for other errors. */
export function errnoCode(error: unknown): string | undefined {
  const cause = error instanceof PanError ? error.cause : error;
  return cause instanceof ErrnoError ? cause.code : undefined;
}

/**
 * Gives back the result of a call, or throws PAN_SYSCALL with the errno's name when it is negative.
 * @param action what was tried, to continue "Cannot …": "open /dev/net/tun"
 */
export function check(result: number, action: string): number {
  if (result >= 0) return result;
  const cause = new ErrnoError(errno());
  throw new PanError("PAN_SYSCALL", `Cannot ${action}: ${cause.code}`, { cause });
}

/** The address of bytes, for structures that contain pointers. The bytes must stay referenced and alive. */
export const addressOf = (bytes: Uint8Array): Pointer => koffi.address(bytes);

/** Shared memory of a file descriptor, mapped for reading and, unless told otherwise, writing. */
export class Mapping {
  readonly bytes: Uint8Array;
  readonly #address: Pointer;
  #mapped = true;

  constructor(fd: number, length: number, options: { writable?: boolean; offset?: number } = {}) {
    const protection = options.writable === false ? 1 : 3;
    const address = libc.mmap(null, length, protection, 1, fd, options.offset ?? 0);
    if (address === null || address === 0xffff_ffff_ffff_ffffn || address === -1n) {
      check(-1, `map ${length} bytes of shared memory`);
    }
    this.#address = address as Pointer;
    this.bytes = new Uint8Array(koffi.view(this.#address, length));
  }

  /** The same memory as numbers of 64 bits; it is as long as a whole number of them. */
  get cells(): BigUint64Array {
    const { buffer, byteOffset, byteLength } = this.bytes;
    return new BigUint64Array(buffer, byteOffset, byteLength / 8);
  }

  /** Neither may be touched afterwards. */
  unmap(): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    check(libc.munmap(this.#address, this.bytes.byteLength), "unmap shared memory");
  }
}

/**
 * Runs a synchronous function with this thread in another network namespace, then comes back. Nothing
 * asynchronous may be started inside (a lookup, a listen by host name): it would run after the return.
 * @param path of the namespace: "/run/netns/name" or "/proc/<pid>/ns/net"
 */
export function inNetns<T>(path: string, run: () => T): T {
  const here = check(libc.open("/proc/thread-self/ns/net", O_CLOEXEC, 0), "open own namespace");
  try {
    const there = check(libc.open(path, O_CLOEXEC, 0), `open the network namespace ${path}`);
    try {
      check(libc.setns(there, CLONE_NEWNET), `enter the network namespace ${path}`);
    } finally {
      libc.close(there);
    }
    try {
      return run();
    } finally {
      check(libc.setns(here, CLONE_NEWNET), "return to the own network namespace");
    }
  } finally {
    libc.close(here);
  }
}
