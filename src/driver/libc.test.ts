// The bindings that every driver stands on: results, errors, shared memory, waiting.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FdWatch } from "./fd-watch.ts";
import { check, errnoCode, libc, O_CLOEXEC } from "./libc.ts";

test("libc: a failed call becomes PAN_SYSCALL with the name of its errno", () => {
  assert.throws(
    () => check(libc.open("/nowhere/at/all", O_CLOEXEC, 0), "open /nowhere/at/all"),
    (error: unknown) => {
      assert.equal((error as { code: string }).code, "PAN_SYSCALL");
      assert.equal((error as Error).message, "Cannot open /nowhere/at/all: ENOENT");
      assert.equal(errnoCode(error), "ENOENT");
      return true;
    },
  );
});

test("libc: a watch reports an eventfd and survives a throwing callback", async () => {
  const fd = check(libc.eventfd(0, 0), "make an eventfd");
  const eight = new Uint8Array(8);
  const thrown: unknown[] = [];
  let reads = 0;
  await new Promise<void>((resolve) => {
    const watch = new FdWatch(
      fd,
      () => {
        check(libc.read(fd, eight, 8), "read the eventfd");
        reads++;
        if (reads === 1) {
          check(libc.write(fd, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8), "write the eventfd");
          throw new Error("first");
        }
        watch.close();
        resolve();
      },
      (error) => thrown.push((error as Error).message),
    );
    check(libc.write(fd, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8), "write the eventfd");
  });
  libc.close(fd);
  assert.equal(reads, 2);
  assert.deepEqual(thrown, ["first"]);
});
