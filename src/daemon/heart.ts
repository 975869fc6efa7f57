// The main thread's end of the heart (docs/adr/0002).
import type { HeartCommand, HeartEvent, HeartSettings } from "./heart-protocol.ts";

export declare class Heart {
  /** Starts the thread; resolves when its socket is open. Throws PanError. */
  static start(settings: HeartSettings, onEvent: (event: HeartEvent) => void): Promise<Heart>;
  command(command: HeartCommand): void;
  /** Ends the thread without a goodbye (send `leave` first for one). */
  stop(): Promise<void>;
}
