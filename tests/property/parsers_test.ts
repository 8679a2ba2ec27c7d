/**
 * Every parser of what strangers send: no input makes one throw anything but its own error, and none takes more than linear
 * time. What each makes of its input is tested elsewhere.
 */

import { assert } from "@std/assert";
import { ProxyHeaderParser } from "../../lib/smtp/proxy_header.ts";
import { parseAddressList } from "../../lib/mail/address_list.ts";
import { countFields, fieldValue, headerFields } from "../../lib/mail/header.ts";
import { normalizeDomain, parseMailbox } from "../../lib/mail/mailbox.ts";
import { findForeignAuthor } from "../../lib/policy/authors.ts";
import { parseCidr } from "../../lib/policy/cidr.ts";
import { decodeBase64, decodeInitialResponse } from "../../lib/sasl/base64.ts";
import { DovecotProtocolError, parseServerLine } from "../../lib/sasl/dovecot/line.ts";
import { parsePasswordHash } from "../../lib/sasl/hashes/parse_hash.ts";
import { parseOauthBearer, parseXoauth2 } from "../../lib/sasl/oauth/client_message.ts";
import { parseClientFinal, parseClientFirst } from "../../lib/sasl/scram/messages.ts";
import { parseVerifier } from "../../lib/sasl/scram/verifier.ts";
import { parseExtensions } from "../../lib/smtp/client/extensions.ts";
import { parseCommand } from "../../lib/smtp/command.ts";
import { parseEnvid, parseNotify, parseOrcpt } from "../../lib/smtp/parameters/dsn.ts";
import { parsePriority } from "../../lib/smtp/parameters/priority.ts";
import { parseBy, parseHoldFor, parseHoldUntil } from "../../lib/smtp/parameters/times.ts";
import { parseXclient } from "../../lib/smtp/parameters/xclient.ts";
import { SmtpError } from "../../lib/smtp/reply.ts";
import { decodeXtext } from "../../lib/smtp/xtext.ts";
import { octetsOf } from "../support/fuzz/play.ts";
import { Random } from "../support/fuzz/random.ts";
import { utf8 } from "../support/fuzz/words.ts";

interface Parser {
  /** Text of one octet a character; parsers of text get it as Latin-1, whose letters serve as any others. */
  readonly parse: (text: string) => unknown;
  /** What it may throw. */
  readonly error?: new (...parameters: never[]) => Error;
  /** Beginnings that lead deep into it. */
  readonly starts: readonly string[];
}

const PARSERS: Readonly<Record<string, Parser>> = {
  command: {
    parse: (text) => parseCommand(octetsOf(text)),
    error: SmtpError,
    starts: [
      ...["MAIL FROM:<", 'RCPT TO:<"', "RCPT TO:<@", "MAIL FROM:<a@b> A=", "MAIL FROM:<a@b> ", "EHLO ", "AUTH PLAIN "],
      ...["BDAT ", "XCLIENT NAME=", "ETRN @", "VRFY ", " "],
    ],
  },
  xclient: { parse: parseXclient, error: SmtpError, starts: ["ADDR=", "HELO=", "LOGIN=a@", "ADDR=IPV6:", "PORT="] },
  mailbox: { parse: parseMailbox, starts: ["a@", '"', "a.", "a@[", "a@[IPv6:", "a@xn--"] },
  domain: { parse: normalizeDomain, starts: ["", "a.", "xn--", "\xe9"] },
  cidr: { parse: parseCidr, starts: ["192.0.2.0/", "::", "1:", "[::]/"] },
  "address list": { parse: parseAddressList, starts: ["a@b, ", '"', "(", "(((", "a:", "<", "<@a,@b:"] },
  "header section": {
    parse: (text) => countFields(octetsOf(text), "received"),
    starts: ["Received: ", "Received", "\r\n", " ", "From: "],
  },
  "field value": {
    parse: (text) => {
      const octets = octetsOf(text);
      return Array.from(headerFields(octets), (field) => fieldValue(octets, field));
    },
    starts: ["Delivered-To: ", "X:a", "a:\r\n "],
  },
  authors: {
    parse: (text) => findForeignAuthor(octetsOf(text), () => false),
    starts: ["From: ", "Sender: <", 'From: "'],
  },
  orcpt: {
    parse: (text) => parseOrcpt(text, true),
    error: SmtpError,
    starts: ["rfc822;", "utf-8;", "utf-8;\\x{", "+"],
  },
  envid: { parse: parseEnvid, error: SmtpError, starts: ["", "+2", "a"] },
  notify: { parse: parseNotify, error: SmtpError, starts: ["", "SUCCESS,", "NEVER"] },
  "hold for": { parse: (text) => parseHoldFor(text, 0), error: SmtpError, starts: ["", "1"] },
  "hold until": {
    parse: parseHoldUntil,
    error: SmtpError,
    starts: ["", "2026-01-01T00:00:00.", "9999-12-31T23:59:60"],
  },
  by: { parse: (text) => parseBy(text, 0), error: SmtpError, starts: ["", "1;", "-1"] },
  priority: { parse: parsePriority, error: SmtpError, starts: ["", "-"] },
  xtext: { parse: decodeXtext, starts: ["", "+", "+2B"] },
  base64: { parse: decodeBase64, starts: ["", "AAAA", "="] },
  "initial response": { parse: decodeInitialResponse, starts: ["", "=", "AAAA"] },
  "SCRAM first": {
    parse: (text) => parseClientFirst(octetsOf(text)),
    starts: ["n,,n=", "p=", "n,a=", "n,,n=a,r=b,x="],
  },
  "SCRAM final": {
    parse: (text) => parseClientFinal(octetsOf(text)),
    starts: ["c=biws,r=", "c=", "c=biws,r=a,x=b,", "p="],
  },
  OAUTHBEARER: {
    parse: (text) => parseOauthBearer(octetsOf(text)),
    starts: ["n,,\x01auth=Bearer ", "n,a=", "n,,\x01"],
  },
  XOAUTH2: { parse: (text) => parseXoauth2(octetsOf(text)), starts: ["user=a\x01auth=Bearer ", "user=", "user=a\x01"] },
  "Dovecot line": {
    parse: (text) => parseServerLine(octetsOf(text)),
    error: DovecotProtocolError,
    starts: ["OK\t1\t", "FAIL\t1\t", "CONT\t1\t", "MECH\t", "VERSION\t", "OK\t"],
  },
  "password hash": {
    parse: parsePasswordHash,
    starts: ["$scrypt$", "$6$rounds=", "$argon2id$v=19$", "{SSHA}", "{", "$2b$"],
  },
  "SCRAM verifier": { parse: parseVerifier, starts: ["SCRAM-SHA-256$", "{SCRAM-SHA-256}", "SCRAM-SHA-256$4096:"] },
  "PROXY header": {
    parse: (text) => new ProxyHeaderParser().push(octetsOf(text)),
    starts: ["PROXY TCP4 ", "PROXY UNKNOWN", "\r\n\r\n\0\r\nQUIT\n\x21\x11", "PROXY TCP6 ::"],
  },
  "EHLO reply": {
    parse: (text) => parseExtensions({ code: 250, lines: ["mx.test", ...text.split("\n")] }),
    starts: ["SIZE ", "AUTH ", "LIMITS A=", "\n"],
  },
};

const TOKENS = [
  ...[
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\x01",
    "\t",
    " ",
    "<",
    ">",
    '"',
    "\\",
    "(",
    ")",
    "@",
    ".",
    ",",
    ";",
    ":",
    "=",
    "+",
    "-",
    "*",
  ],
  ...[
    "$",
    "{",
    "}",
    "/",
    "[",
    "]",
    "a",
    "1",
    "0",
    "9".repeat(25),
    "+2B",
    "=2C",
    "\\x{E4}",
    "\xe9",
    utf8("é"),
    "\xff",
    "\x7f",
  ],
  ...["__proto__", "constructor", "IPv6:", "::", "xn--", "SIZE=", "a@b.test", "p=", "r=", "c="],
];
const CASES = 4000;

for (const [name, { parse, error, starts }] of Object.entries(PARSERS)) {
  Deno.test(`no input makes the parser of ${name} throw anything but its own error`, () => {
    const seed = Number(Deno.env.get("POSTHORN_FUZZ_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
    for (let index = 0; index < CASES; index++) {
      const text = makeInput(new Random(seed, index), starts);
      try {
        parse(text);
      } catch (thrown) {
        const isOwn = error !== undefined && thrown instanceof error;
        assert(isOwn, `${JSON.stringify(text)} made it throw ${thrown}; POSTHORN_FUZZ_SEED=${seed}`);
      }
    }
  });

  Deno.test(`the parser of ${name} takes linear time`, () => {
    for (const start of starts) {
      for (const piece of [...TOKENS, "a.", "a,", "a ", '\\"', "()", "a=b ", "<>", "\r\n ", "x: y\r\n", ",a=b", "a:"]) {
        const octets = 100_000;
        const text = start + piece.repeat(Math.ceil(octets / piece.length));
        for (const input of [text, `${text}>`]) checkTime(() => parse(input), `${start}${piece}`);
      }
    }
  });
}

function makeInput(random: Random, starts: readonly string[]): string {
  let text = random.percent(70) ? random.pick(starts) : "";
  for (let count = random.below(12); count > 0; count--) {
    text += random.percent(80) ? random.pick(TOKENS) : random.octets(4);
  }
  return text;
}

/** A parser with quadratic time takes many seconds for this length, one with linear time some milliseconds. */
function checkTime(work: () => unknown, what: string): void {
  const startMs = performance.now();
  try {
    work();
  } catch {
    // Its own error, or the test above finds it.
  }
  const tookMs = performance.now() - startMs;
  assert(tookMs < 2000, `${JSON.stringify(what)} repeated took ${Math.round(tookMs)} ms`);
}
