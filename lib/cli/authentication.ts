/** Puts message authentication together: checks of mail from others, signatures of mail of our users. */

import type { Config } from "../config/config.ts";
import type { Resolver } from "../dns/resolver.ts";
import { ShareResolver } from "../dns/share_resolver.ts";
import type { Authentication } from "../inbound/services.ts";
import { headerSectionEnd } from "../mail/header.ts";
import type { Logger } from "../log/logger.ts";
import { sealArc } from "../msgauth/arc/seal.ts";
import { SigningKeys } from "../msgauth/dkim/signing_keys.ts";
import { makeDmarcPolicy } from "../policy/dmarc_policy.ts";
import { type CheckSettings, MessageChecks } from "../policy/message_checks.ts";
import { LookupLimits } from "../policy/lookup_limits.ts";
import { OutgoingSignature } from "../policy/outgoing_signature.ts";
import type { Clock } from "../system/clock.ts";
import type { Files } from "../system/files.ts";

/**
 * Half of what the resolver does at a time. Names that strangers choose must not keep it from looking up policies, and where our
 * own mail goes: a server that never answers holds a lookup for ten seconds, and a message may name dozens.
 */
const EVIDENCE_LOOKUPS = 128;

/** What it is made from. */
export interface MailAuthenticationOptions {
  /** For all that domains publish. */
  readonly resolver: Resolver;
  /** Reads the keys. */
  readonly files: Files;
  /** For time limits, and for how often the records of keys are looked at. */
  readonly clock: Clock;
  /** Told of keys that are not published. */
  readonly logger: Logger;
  /** For `pct`: from 0 up to 1. */
  readonly random: () => number;
}

/** Message authentication of a running server. */
export class MailAuthentication implements Disposable {
  readonly #options: MailAuthenticationOptions;
  readonly #evidenceResolver: Resolver;
  readonly #limits: LookupLimits;
  #config: Config;
  #settings: CheckSettings;
  #keys: SigningKeys;
  #watch = new AbortController();

  private constructor(config: Config, keys: SigningKeys, options: MailAuthenticationOptions) {
    this.#config = config;
    this.#settings = settingsOf(config);
    this.#options = options;
    this.#evidenceResolver = new ShareResolver(options.resolver, EVIDENCE_LOOKUPS);
    this.#limits = new LookupLimits(options.clock);
    this.#keys = keys;
    void keys.run(this.#watch.signal);
  }

  /** Reads the keys, and begins to look whether they are published. */
  static async start(config: Config, options: MailAuthenticationOptions): Promise<MailAuthentication> {
    return new MailAuthentication(config, await loadKeys(config, options), options);
  }

  /** Takes a new configuration; until its keys are read, the old ones sign. */
  async update(config: Config): Promise<void> {
    this.#config = config;
    this.#settings = settingsOf(config);
    const keys = await loadKeys(config, this.#options);
    if (this.#config !== config || this.#watch.signal.aborted) return;
    this.#watch.abort();
    this.#watch = new AbortController();
    this.#keys = keys;
    void keys.run(this.#watch.signal);
  }

  /** For the next message. */
  current(): Authentication {
    const { hostname, msgauth } = this.#config;
    const settings = this.#settings;
    const hasChecks = settings.spf || settings.dkim || settings.dmarc !== undefined;
    const keys = this.#keys;
    const limits = this.#limits;
    const options = { ...this.#options, limits, evidenceResolver: this.#evidenceResolver, hostname, settings };
    return {
      authservId: msgauth.authservId,
      check: (mail) => hasChecks ? new MessageChecks(mail, options) : undefined,
      sign: () => new OutgoingSignature((domain) => keys.keysFor(domain), (domain) => keys.has(domain)),
      ...(msgauth.arc === "off" ? {} : {
        seal: async (domain, { findings, ...message }): Promise<string | undefined> => {
          const key = (await keys.keysFor(domain)).find(({ algorithm }) => algorithm === "rsa-sha256");
          const chain = findings.arc ?? { result: "none" as const, sealers: [] };
          return key === undefined ? undefined : await sealArc({ ...message, chain, key });
        },
      }),
    };
  }

  /**
   * Signs a report of ours, with the keys of its author's domain, or of the nearest domain of ours above it.
   *
   * @param content The whole message.
   * @returns Fields to put in front; empty where there is no key.
   */
  async signOwn(content: Uint8Array): Promise<string> {
    const keys = this.#keys;
    const signature = new OutgoingSignature(async (author) => {
      for (let domain = author; domain.includes("."); domain = domain.slice(domain.indexOf(".") + 1)) {
        const found = await keys.keysFor(domain);
        if (found.length > 0) return found;
      }
      return [];
    });
    const end = headerSectionEnd(content);
    if (end === undefined) return "";
    // Behind the empty line, which we have written ourselves, with CRLF.
    signature.push(content.subarray(end + 2));
    const headerSection = content.subarray(0, end);
    return await signature.sign({ headerSection, trace: "", nowMs: this.#options.clock.now() });
  }

  /** Ends the looks at DNS. */
  [Symbol.dispose](): void {
    this.#watch.abort();
  }
}

function settingsOf({ msgauth }: Config): CheckSettings {
  const { authservId, spf, dkim, dmarc } = msgauth;
  return {
    authservId,
    spf,
    dkim,
    maySeal: msgauth.arc !== "off",
    ...(dmarc === "off" ? {} : { dmarc: makeDmarcPolicy({ ...msgauth, action: dmarc }) }),
  };
}

async function loadKeys({ domains, data }: Config, options: MailAuthenticationOptions): Promise<SigningKeys> {
  return await SigningKeys.load({ ...options, domains: domains.values(), keysFolder: `${data}/keys` });
}
