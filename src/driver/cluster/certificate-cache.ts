// Certificates that came with discovery messages and have been checked. Checking one costs two public-key
// operations, so strangers get a budget: a flood of them must not delay keepalives.
import { createHash } from "node:crypto";
import { verifyCertificate } from "../identity/certificate.ts";
import type { CertificateVerdict, TrustAnchor } from "../identity/identity.ts";

/** Beyond it the oldest is checked again when it comes next. */
export const MAX_CERTIFICATES = 1024;
/** A certificate may expire while it is remembered. */
const FRESH_MS = 60_000;
/** New certificates a second; a cluster of 512 that starts at once takes three. */
export const CHECKS_PER_SECOND = 200;

interface Known {
  readonly verdict: CertificateVerdict;
  readonly until: number;
}

export class CertificateCache {
  readonly #ca: TrustAnchor;
  #revoked: ReadonlySet<string>;
  readonly #known = new Map<string, Known>();
  #windowStart = 0;
  #checks = 0;

  constructor(ca: TrustAnchor, revoked: ReadonlySet<string>) {
    this.#ca = ca;
    this.#revoked = revoked;
  }

  set revoked(revoked: ReadonlySet<string>) {
    this.#revoked = revoked;
    this.#known.clear();
  }

  /** @returns undefined when the budget is spent */
  verify(der: Uint8Array, nowMs: number): CertificateVerdict | undefined {
    const key = createHash("sha256").update(der).digest("base64");
    const known = this.#known.get(key);
    if (known !== undefined && nowMs < known.until) return known.verdict;
    if (!this.#spend(nowMs)) return undefined;
    const verdict = verifyCertificate(der, {
      ca: this.#ca,
      now: new Date(),
      revoked: this.#revoked,
    });
    this.#remember(key, { verdict, until: nowMs + FRESH_MS });
    return verdict;
  }

  #spend(nowMs: number): boolean {
    if (nowMs - this.#windowStart >= 1000) {
      this.#windowStart = nowMs;
      this.#checks = 0;
    }
    this.#checks += 1;
    return this.#checks <= CHECKS_PER_SECOND;
  }

  /** Refusals are remembered too, but never in place of a certificate that was found good. */
  #remember(key: string, known: Known): void {
    this.#known.delete(key);
    if (this.#known.size >= MAX_CERTIFICATES) {
      if (!known.verdict.ok) return;
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(key, known);
  }
}
