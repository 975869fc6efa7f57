// A network namespace for one test, removed with everything in it.
import { execFileSync } from "node:child_process";

export const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

export class TestNetns {
  readonly name: string;
  readonly path: string;

  /** @param part of the product, for a name that no other test uses */
  constructor(part: string) {
    this.name = `pt-${part}-${process.pid}`;
    this.path = `/run/netns/${this.name}`;
    run("ip", "netns", "add", this.name);
    this.ip("link", "set", "lo", "up");
  }

  /** `ip -n <this>` with arguments. */
  ip(...args: string[]): string {
    return run("ip", "-n", this.name, ...args);
  }

  /** Any command inside. */
  exec(command: string, ...args: string[]): string {
    return run("nsenter", `--net=${this.path}`, command, ...args);
  }

  remove(): void {
    run("ip", "netns", "del", this.name);
  }
}
