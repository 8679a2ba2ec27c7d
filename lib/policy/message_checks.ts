/**
 * Finds out who really sent a message, while it comes in: SPF and the name of the client are looked up during the session, the
 * keys of signatures as soon as the header section is there, and the body is hashed as it passes. Nothing is read twice.
 */

import { ArcValidator } from "../msgauth/arc/validate.ts";
import { type AuthenticationResults, resultsOf } from "../msgauth/authentication_results/results.ts";
import { formatResults } from "../msgauth/authentication_results/format.ts";
import { BodyHasher } from "../msgauth/dkim/body_hash.ts";
import { indexHeader } from "../msgauth/dkim/header_hash.ts";
import { SIGNED_BODY } from "../msgauth/dkim/sign.ts";
import { DkimVerifier } from "../msgauth/dkim/verify.ts";
import { evaluateDmarc } from "../msgauth/dmarc/evaluate.ts";
import type { DkimFinding, DmarcFinding, Findings, IprevFinding, SpfFinding } from "../msgauth/findings.ts";
import { endingResolver } from "../msgauth/bounded.ts";
import { checkIprev } from "../msgauth/iprev.ts";
import { checkSpf } from "../msgauth/spf/check.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { Clock } from "../system/clock.ts";
import { LookupLimits } from "./lookup_limits.ts";
import { describeDecision, type DmarcDecision, type DmarcPolicy } from "./dmarc_policy.ts";

/** Which checks are made. */
export interface CheckSettings {
  /** The `msgauth` section: what our field begins with. */
  readonly authservId: string;
  /** Check SPF. */
  readonly spf: boolean;
  /** Verify DKIM signatures, and ARC chains. */
  readonly dkim: boolean;
  /** What follows from DMARC; absent: it is not looked up. */
  readonly dmarc?: DmarcPolicy;
  /** A seal may follow, for which the body is hashed also where no signature needs it. */
  readonly maySeal: boolean;
}

/** Who brought a message, and in whose name. */
export interface CheckedMail {
  /** Without port; absent: it has none, as on a Unix socket, or a proxy did not tell it. */
  readonly clientAddress?: string;
  /** What the client said it is. */
  readonly helo: string;
  /** Canonical text; empty for the null reverse-path. */
  readonly reversePath: string;
  /** Non-ASCII text may stand in its header section. */
  readonly isSmtpUtf8: boolean;
}

/** What checks work with. */
export interface MessageChecksOptions {
  /** For what DMARC asks for, and for all else where there is no other. */
  readonly resolver: Resolver;
  /** For the names that the sender chooses: those of SPF, of the client and of keys. Absent: the one above. */
  readonly evidenceResolver?: Resolver;
  /** For times and time limits. */
  readonly clock: Clock;
  /** For `pct`: from 0 up to 1. */
  readonly random: () => number;
  /** Ours. */
  readonly hostname: string;
  /** Of one reading of the configuration. */
  readonly settings: CheckSettings;
  /** Watches over the lookups of all messages. Absent: of this one. */
  readonly limits?: LookupLimits;
}

/** What was found out, and what follows. */
export interface Checked {
  /** All of it. */
  readonly findings: Findings;
  /** What becomes of the message. */
  readonly decision: DmarcDecision;
  /** What our field says, for a seal. */
  readonly results: AuthenticationResults;
  /** The field, CRLF ended, to put in front of the message (RFC 8601 §4.1). */
  readonly field: string;
  /** SHA-256 of the relaxed body, for a seal; empty where the settings want none. */
  readonly bodyHash: Uint8Array;
}

/**
 * From the end of the header section on, all lookups of the sender's evidence together; and then once more for DMARC. What is
 * not known then is a temporary error. Both for themselves, because the sender says how long the first ones take: a body that
 * comes slowly, or a server of his that does not answer, must not leave the policy of the author without time.
 */
const TIME_LIMIT_MS = 20_000;

/** Made once: an exception with its trace for each message would cost more than a lookup. */
const GONE = new DOMException("The message is gone", "AbortError");

const NO_HASH = new Uint8Array(0);

const ACCEPTED: DmarcDecision = { action: "accept", disposition: "none" };

/** Checks one message. */
export class MessageChecks {
  readonly #mail: CheckedMail;
  readonly #options: MessageChecksOptions;
  /** Ends the lookups of SPF, of the client's name and of keys. */
  readonly #evidence = new AbortController();
  /** Ends those of DMARC, once there are any. */
  #policy: AbortController | undefined;
  readonly #limits: LookupLimits;
  #isOver = false;
  readonly #iprev: Promise<IprevFinding | undefined>;
  readonly #spf: Promise<readonly SpfFinding[]>;
  #header: Uint8Array = new Uint8Array(0);
  #dkim: DkimVerifier | undefined;
  #arc: ArcValidator | undefined;
  #hasher: BodyHasher | undefined;

  /** Begins what needs no more than the envelope. */
  constructor(mail: CheckedMail, options: MessageChecksOptions) {
    this.#mail = mail;
    const { clock, resolver: all, evidenceResolver = all, limits = new LookupLimits(clock) } = options;
    this.#limits = limits;
    const { signal } = this.#evidence;
    // All lookups end with the signal, so that no check needs a time limit of its own.
    const resolver = endingResolver(evidenceResolver, signal);
    this.#options = { ...options, evidenceResolver: resolver };
    const { clientAddress: ip } = mail;
    const iprev = ip === undefined ? undefined : checkIprev({ ip, resolver, clock, signal, timeLimitMs: Infinity });
    this.#iprev = iprev ?? Promise.resolve(undefined);
    this.#spf = options.settings.spf ? this.#checkSpf() : Promise.resolve([]);
  }

  /** Takes the whole header section as it came: whole lines, without the empty one. Kept until the end. */
  header(section: Uint8Array): void {
    const { clock, settings, evidenceResolver: resolver = this.#options.resolver } = this.#options;
    this.#header = section;
    this.#limits.start(this.#evidence, TIME_LIMIT_MS);
    if (settings.dkim) {
      const indexed = indexHeader(section);
      const options = { resolver, nowMs: clock.now(), signal: this.#evidence.signal };
      this.#dkim = new DkimVerifier(indexed, options);
      this.#arc = new ArcValidator(indexed, options);
    }
    this.#hasher = new BodyHasher([
      ...settings.maySeal ? [SIGNED_BODY] : [],
      ...this.#dkim?.bodyHashes ?? [],
      ...this.#arc?.bodyHashes ?? [],
    ]);
  }

  /** Takes the next octets of the body, as they came, behind the empty line. */
  body(piece: Uint8Array): void {
    this.#hasher?.push(piece);
  }

  /** The message is complete. Never rejected, and takes no longer than the time limits. */
  async finish(): Promise<Checked> {
    if (this.#hasher === undefined) this.header(this.#header);
    const hasher = this.#hasher as BodyHasher;
    const [iprev, spf, dkim, arc] = await Promise.all([
      this.#iprev,
      this.#spf,
      this.#dkim?.finish(hasher) ?? [],
      this.#arc?.finish(hasher),
    ]);
    const dmarc = await this.#checkDmarc(spf, dkim);
    // Nothing is being looked up any more.
    this.#end();
    const findings: Findings = {
      ...(iprev === undefined ? {} : { iprev }),
      spf,
      dkim,
      ...(arc === undefined || arc.result === "none" ? {} : { arc }),
      ...(dmarc === undefined ? {} : { dmarc }),
    };
    const bodyHash = this.#options.settings.maySeal ? hasher.hash(SIGNED_BODY).sha256 : undefined;
    return this.#conclude(findings, bodyHash ?? NO_HASH);
  }

  /** Ends all lookups. Does nothing the second time. */
  abort(): void {
    if (this.#isOver) return;
    this.#end();
    this.#evidence.abort(GONE);
    this.#policy?.abort(GONE);
  }

  #end(): void {
    this.#isOver = true;
    this.#limits.stop(this.#evidence);
    if (this.#policy !== undefined) this.#limits.stop(this.#policy);
  }

  #conclude(findings: Findings, bodyHash: Uint8Array): Checked {
    const { settings } = this.#options;
    const { clientAddress, isSmtpUtf8 } = this.#mail;
    const address = clientAddress === undefined ? {} : { address: clientAddress };
    const decision = settings.dmarc?.(findings, { ...address, isOurs: false }) ?? ACCEPTED;
    const results = resultsOf({
      authservId: settings.authservId,
      findings,
      isDkimChecked: settings.dkim,
      ...(clientAddress === undefined ? {} : { clientAddress }),
      ...(findings.dmarc === undefined ? {} : { dmarcComment: describeDecision(decision) }),
    });
    return {
      findings,
      decision,
      results,
      field: formatResults(results, { isInternationalized: isSmtpUtf8 }),
      bodyHash,
    };
  }

  /** RFC 7208 §2.3 wants HELO checked, too; where the reverse-path is null, it is all that there is (§2.4). */
  async #checkSpf(): Promise<readonly SpfFinding[]> {
    const { clock, hostname: receiver, evidenceResolver: resolver = this.#options.resolver } = this.#options;
    const { clientAddress: ip, helo, reversePath } = this.#mail;
    const { signal } = this.#evidence;
    const common = { ip, helo, reversePath, receiver, resolver, clock, signal, timeLimitMs: Infinity };
    const identities = reversePath === "" ? ["helo"] as const : ["helo", "mailfrom"] as const;
    return await Promise.all(identities.map((identity) => checkSpf({ ...common, identity })));
  }

  async #checkDmarc(
    spf: readonly SpfFinding[],
    dkim: readonly DkimFinding[],
  ): Promise<DmarcFinding | undefined> {
    const { resolver: all, random, settings } = this.#options;
    if (settings.dmarc === undefined || this.#isOver) return undefined;
    const { signal } = this.#policy = new AbortController();
    const resolver = endingResolver(all, signal);
    this.#limits.start(this.#policy, TIME_LIMIT_MS);
    return await evaluateDmarc({ headerSection: this.#header, spf, dkim, resolver, random, signal });
  }
}
