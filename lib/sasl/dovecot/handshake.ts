/** What Dovecot says first: that it speaks our version of the protocol, and which mechanisms it offers. */

import { DovecotProtocolError, type ServerLine } from "./line.ts";

/** A mechanism that Dovecot offers. */
export interface DovecotMechanism {
  /** As registered, in upper case. */
  readonly name: string;
  /** It shows the password to whoever reads along. */
  readonly isPlaintext: boolean;
}

const MAJOR_VERSION = 1;
/** More than there are; each is a line. */
const MAX_LINES = 100;
/** Flags of what is not for clients (`private`), names nobody (`anonymous`), or needs what we do not pass on. */
const UNUSABLE_FLAGS = ["private", "anonymous", "channel-binding"];

/** The server's half of the handshake, line by line. */
export class Handshake {
  readonly #mechanisms: DovecotMechanism[] = [];
  #lines = 0;
  #isDone = false;

  /** What may be offered to clients, in Dovecot's order; undefined before the handshake is done. */
  get mechanisms(): readonly DovecotMechanism[] | undefined {
    return this.#isDone ? this.#mechanisms : undefined;
  }

  /** Takes the next line. @throws {DovecotProtocolError} For what cannot come here. */
  take(line: ServerLine): void {
    if (++this.#lines > MAX_LINES) throw new DovecotProtocolError("it sends a handshake without an end");
    if ((this.#lines === 1) !== (line.kind === "version")) {
      throw new DovecotProtocolError("it does not speak the authentication protocol");
    }
    switch (line.kind) {
      case "version":
        if (line.major === MAJOR_VERSION) return;
        throw new DovecotProtocolError(`it speaks version ${line.major} of the authentication protocol`);
      case "mech":
        return this.#offer(line);
      case "done":
        this.#isDone = true;
        return;
      case "other": // SPID, CUID and COOKIE are for login processes of its own.
        return;
      default:
        throw new DovecotProtocolError("it answers before it was asked");
    }
  }

  #offer({ name, flags }: ServerLine & { kind: "mech" }): void {
    // Channel binding (RFC 5802 §6) is done by who ends the TLS.
    if (name === "ANONYMOUS" || name.endsWith("-PLUS") || UNUSABLE_FLAGS.some((flag) => flags.includes(flag))) return;
    if (this.#mechanisms.some((mechanism) => mechanism.name === name)) return;
    this.#mechanisms.push({ name, isPlaintext: flags.includes("plaintext") });
  }
}
