/** SASLprep: brings a password into the form from which SCRAM derives its keys (RFC 4013). */

/** RFC 3454 table C.1.2, mapped to the ASCII space (RFC 4013 §2.1). */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
/** RFC 3454 table B.1, "commonly mapped to nothing". */
const NOTHING = /[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/g;

/**
 * Maps and normalizes (RFC 4013 §2.1 and §2.2). What it prohibits (§2.3) is not refused: such a password works with every
 * other mechanism, and whether it does with SCRAM is up to the client. Unicode is that of the runtime, not version 3.2.
 */
export function saslPrep(text: string): string {
  return text.replace(SPACES, " ").replace(NOTHING, "").normalize("NFKC");
}
