/**
 * Addresses in header fields such as From (RFC 5322 §3.4). Strict: what another program could read in another way is no
 * address list, so that all who read a field find the same addresses in it. Of the obsolete forms (§4.4) only blanks and
 * comments between the parts of an address, dots in names, and empty entries of a list are taken.
 */

import { type Mailbox, parseMailbox } from "./mailbox.ts";

/** Much longer than any From; the time for one field is bounded by it. */
const MAX_CHARACTERS = 64 * 1024;

/** A special is one of `<>@,;:`; white space and comments are gone. */
interface Token {
  readonly kind: "word" | "quoted" | "literal" | "special" | "end";
  /** As it stands in the field, with its quotes or brackets. */
  readonly text: string;
}

const END: Token = { kind: "end", text: "" };

// Each begins where the last one ended. A word is a dot-atom, an encoded word, or loose dots of a name, and UTF-8 too.
const SPACE = /[ \t\r\n]+/y;
const WORD = /[^\x00-\x20\x7f-\x9f()<>[\]:;@\\,"]+/y;
const QUOTED = /"(?:[^"\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"/y;
const LITERAL = /\[[^[\]\\\x00-\x1f\x7f]*\]/y;
const SPECIAL = /[<>@,;:]/y;

/**
 * Reads the value of a From, Sender or To field.
 *
 * ```abnf
 * address-list = (address *("," address))
 * address      = mailbox / group
 * mailbox      = name-addr / addr-spec
 * name-addr    = [display-name] [CFWS] "<" addr-spec ">" [CFWS]
 * group        = display-name ":" [group-list] ";" [CFWS]
 * ```
 *
 * @param value Without the name of the field; folded or not. Encoded words are left as they are.
 * @returns The mailboxes in order, those of groups too: none where there are only empty groups. Undefined where the
 * value is no address list.
 */
export function parseAddressList(value: string): readonly Mailbox[] | undefined {
  const tokens = value.length > MAX_CHARACTERS ? undefined : tokenize(value);
  return tokens === undefined ? undefined : new ListReader(tokens).read();
}

/** Cuts the value into tokens; undefined where it cannot be cut. */
function tokenize(value: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const text = pattern.exec(value)?.[0];
    if (text !== undefined) at += text.length;
    return text;
  };
  const push = (kind: Token["kind"], text: string | undefined): boolean => {
    if (text !== undefined) tokens.push({ kind, text });
    return text !== undefined;
  };
  while (at < value.length) {
    if (value[at] === "(") {
      const end = commentEnd(value, at);
      if (end === undefined) return undefined;
      at = end;
      continue;
    }
    if (take(SPACE) !== undefined) continue;
    const isToken = push("word", take(WORD)) || push("special", take(SPECIAL)) || push("quoted", take(QUOTED)) ||
      push("literal", take(LITERAL));
    if (!isToken) return undefined;
  }
  return tokens;
}

/** The index behind a comment; comments nest (RFC 5322 §3.2.2). */
function commentEnd(value: string, start: number): number | undefined {
  let depth = 0;
  for (let at = start; at < value.length; at++) {
    const character = value[at];
    if (character === "\\") at++;
    else if (character === "(") depth++;
    else if (character === ")" && --depth === 0) return at + 1;
  }
  return undefined;
}

/** Reads addresses from tokens, from left to right. */
class ListReader {
  readonly #tokens: readonly Token[];
  readonly #mailboxes: Mailbox[] = [];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  read(): readonly Mailbox[] | undefined {
    let isEmpty = true;
    for (;;) {
      if (!this.#isAt(",") && this.#peek().kind !== "end") {
        if (!this.#address()) return undefined;
        isEmpty = false;
      }
      if (this.#skip(",")) continue;
      return isEmpty || this.#peek().kind !== "end" ? undefined : this.#mailboxes;
    }
  }

  /** A mailbox or a group; false where it is neither. */
  #address(): boolean {
    const start = this.#at;
    if (this.#phrase() && this.#skip(":")) return this.#groupRest();
    this.#at = start;
    return this.#mailbox();
  }

  #groupRest(): boolean {
    while (!this.#skip(";")) {
      if (this.#skip(",")) continue;
      if (!this.#mailbox() || !(this.#isAt(",") || this.#isAt(";"))) return false;
    }
    return true;
  }

  #mailbox(): boolean {
    const start = this.#at;
    this.#phrase();
    if (this.#skip("<")) return this.#addrSpec() && this.#skip(">");
    this.#at = start;
    return this.#addrSpec();
  }

  /** Words of a name; false where there are none. */
  #phrase(): boolean {
    const start = this.#at;
    while (this.#peek().kind === "word" || this.#peek().kind === "quoted") this.#at++;
    return this.#at > start;
  }

  #addrSpec(): boolean {
    const local = this.#next();
    if (local.kind !== "word" && local.kind !== "quoted") return false;
    if (!this.#skip("@")) return false;
    const domain = this.#next();
    if (domain.kind !== "word" && domain.kind !== "literal") return false;
    const mailbox = parseMailbox(`${local.text}@${domain.text}`);
    if (mailbox === undefined) return false;
    this.#mailboxes.push(mailbox);
    return true;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? END;
  }

  #next(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }

  #isAt(special: string): boolean {
    const { kind, text } = this.#peek();
    return kind === "special" && text === special;
  }

  #skip(special: string): boolean {
    const isThere = this.#isAt(special);
    if (isThere) this.#at++;
    return isThere;
  }
}
