/** Logins by way of the Dovecot that the configuration names; a reload may name another one, or none. */

import type { BindAddress, Config } from "../config/config.ts";
import { formatBind } from "../inbound/bind.ts";
import type { LoginGate } from "../sasl/authenticate.ts";
import { DovecotClient } from "../sasl/dovecot/client.ts";
import type { DovecotSocket } from "../sasl/dovecot/connection.ts";
import { dovecotOffers } from "../sasl/dovecot/mechanisms.ts";
import type { SaslOffer } from "../sasl/mechanisms.ts";

/** What these logins are made from. */
export interface DovecotLoginsOptions extends LoginGate {
  /** The mail address of a user as Dovecot names it; undefined where it has none. */
  readonly addressOf: (user: string) => string | undefined;
  /** Fills with octets that nobody can foresee. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
}

/** Follows the configuration; {@linkcode use} it first. */
export class DovecotBackEnd implements Disposable {
  readonly #options: DovecotLoginsOptions;
  #address = "";
  #client: DovecotClient | undefined;

  /** Does nothing yet. */
  constructor(options: DovecotLoginsOptions) {
    this.#options = options;
  }

  /** What is offered now; undefined where the configuration names no Dovecot. */
  offers(): readonly SaslOffer[] | undefined {
    return this.#client === undefined ? undefined : dovecotOffers({ ...this.#options, client: this.#client });
  }

  /** Connects to the Dovecot that this configuration names, and stays connected where that is the old one. */
  use({ auth: { dovecot } }: Pick<Config, "auth">): void {
    const address = dovecot === undefined ? "" : formatBind(dovecot);
    if (address === this.#address) return;
    this[Symbol.dispose]();
    this.#address = address;
    if (dovecot === undefined) return;
    const { clock, logger, randomOctets } = this.#options;
    this.#client = new DovecotClient({
      address,
      connect: (signal) => connect(dovecot, signal),
      clock,
      logger,
      newClientId: () => {
        const octets = new Uint8Array(4);
        randomOctets(octets);
        return new DataView(octets.buffer).getUint32(0) >>> 1;
      },
    });
    this.#client.start();
  }

  /** Ends the connection; nothing is offered any more. */
  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]();
    this.#client = undefined;
    this.#address = "";
  }
}

async function connect(address: BindAddress, signal: AbortSignal): Promise<DovecotSocket> {
  if (address.kind === "tcp") return await Deno.connect({ hostname: address.host, port: address.port, signal });
  try {
    return await Deno.connect({ transport: "unix", path: address.path });
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new Error("the user that posthorn runs as may not write to the socket", { cause: error });
  }
}
