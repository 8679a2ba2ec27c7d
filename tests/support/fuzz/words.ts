/** What generated clients say: right, nearly right and wrong. Text of one octet a character. */

import { ALICE } from "../test_logins.ts";
import type { Random } from "./random.ts";

const encoder = new TextEncoder();

/** Text as octets of UTF-8, one a character. */
export function utf8(text: string): string {
  return String.fromCharCode(...encoder.encode(text));
}

const LABEL_63 = "a".repeat(63);

const SENDERS = [
  ...["<bob@client.test>", "<>", "<alice@example.org>", "<alice+tag@example.org>", "<ALICE@EXAMPLE.ORG>"],
  ...['<"alice"@example.org>', '<"a b\\"c@d>"@client.test>', "<@a.test,@b.test:bob@client.test>", "<bob@[192.0.2.1]>"],
  ...["<bob@[IPv6:2001:db8::1]>", "<bob@xn--mnchen-3ya.test>", utf8("<bøb@münchen.test>"), "<bob@client>"],
];
const BAD_SENDERS = [
  ...["bob", "<bob>", "<bob@>", "<@client.test>", "<bob@client.test", "bob@client.test", "< bob@client.test>", "<<>>"],
  ...[
    "<bob@client..test>",
    "<bob@-client.test>",
    "<bob@[300.1.1.1]>",
    '<"bob@client.test>',
    "<bob(c)@client.test>",
    "<",
  ],
  ...[
    `<${"x".repeat(65)}@client.test>`,
    `<bob@${`${LABEL_63}.`.repeat(4)}test>`,
    `<bob@${LABEL_63}a.test>`,
    "<\x7f@a.test>",
  ],
  ...[utf8("<bob@\u{ad}\u{301}.test>"), "<bob@client.test>x", `<${"@a.test,".repeat(300)}:bob@client.test>`, "\xff<>"],
];
const RECIPIENTS = [
  ...["<alice@example.org>", "<alice@example.org>", "<team@example.org>", "<postmaster>", "<PostMaster>"],
  ...['<"alice"@example.org>', "<Alice@Example.Org>", utf8("<älice@example.org>"), "<@relay.test:alice@example.org>"],
];
const OTHER_RECIPIENTS = [
  ...[
    "<carol@elsewhere.test>",
    "<nobody@example.org>",
    "<carol@elsewhere>",
    "<carol@[192.0.2.9]>",
    utf8("<c@münchen>"),
  ],
  ...[
    "<alice%example.org@elsewhere.test>",
    "<elsewhere.test!carol@example.org>",
    '<"carol@elsewhere.test"@example.org>',
  ],
  ...[
    "<@example.org:carol@elsewhere.test>",
    "<alice@example.org.>",
    "<postmaster@elsewhere.test>",
    "<carol@EXAMPLE.org>",
  ],
];

/** An address for MAIL. */
export function sender(random: Random): string {
  return random.percent(12) ? random.pick(BAD_SENDERS) : random.pick(SENDERS);
}

/** An address for RCPT. */
export function recipient(random: Random): string {
  if (random.percent(8)) return random.pick(BAD_SENDERS);
  return random.percent(25) ? random.pick(OTHER_RECIPIENTS) : random.pick(RECIPIENTS);
}

const MAIL_PARAMETERS = [
  ...[
    "SIZE=100",
    "size=2999",
    "BODY=8BITMIME",
    "BODY=7BIT",
    "body=8bitmime",
    "BODY=BINARYMIME",
    "SMTPUTF8",
    "SMTPUTF8",
  ],
  ...["RET=FULL", "RET=hdrs", "ENVID=a+2Bb", "REQUIRETLS", "HOLDFOR=60", "HOLDUNTIL=2026-01-02T00:00:00Z"],
  ...[
    "HOLDUNTIL=2020-01-02T00:00:60Z",
    "BY=3600;R",
    "BY=-5;N",
    "BY=1;NT",
    "MT-PRIORITY=3",
    "MT-PRIORITY=-9",
    "AUTH=<>",
  ],
];
const BAD_MAIL_PARAMETERS = [
  ...["SIZE=3001", "SIZE=", "SIZE", "SIZE=99999999999999999999", "SIZE=-1", "BODY=x", "BODY", "SMTPUTF8=1", "RET=X"],
  ...["ENVID=+2", "ENVID=", `ENVID=${"e".repeat(101)}`, "REQUIRETLS=x", "HOLDFOR=9999999999", "HOLDFOR=x"],
  ...["HOLDUNTIL=9999-12-31T23:59:59Z", "HOLDUNTIL=x", "BY=0;R", "BY=;", "MT-PRIORITY=10", "AUTH=alice+40x", "AUTH"],
  ...["XFOO=1", "X", "=", "a=b=c", `${"K".repeat(600)}=1`, "\xe9=1", utf8("ſIZE=1"), utf8("BODY=7BıT"), utf8("X=é")],
];
const RCPT_PARAMETERS = [
  ...["NOTIFY=NEVER", "NOTIFY=SUCCESS,FAILURE,DELAY", "notify=success", "ORCPT=rfc822;alice+40example.org"],
  ...["ORCPT=utf-8;\\x{E4}lice@example.org", utf8("ORCPT=utf-8;älice@example.org")],
];
const BAD_RCPT_PARAMETERS = [
  ...["NOTIFY=NEVER,SUCCESS", "NOTIFY=", "NOTIFY", "ORCPT=rfc822;a+zz", "ORCPT=;", "ORCPT", "SIZE=1", "XFOO"],
  ...[`ORCPT=rfc822;${"o".repeat(501)}`, utf8("NOTIFY=ſUCCESS"), "ORCPT=rfc822;+0D+0Ax", "ORCPT=utf-8;\\x{110000}"],
];

/** None to four parameters, each behind a blank. */
export function parameters(random: Random, verb: "MAIL" | "RCPT"): string {
  if (random.percent(55)) return "";
  const good = verb === "MAIL" ? MAIL_PARAMETERS : RCPT_PARAMETERS;
  const bad = verb === "MAIL" ? BAD_MAIL_PARAMETERS : BAD_RCPT_PARAMETERS;
  let text = "";
  for (let count = random.pick([1, 1, 1, 2, 2, 3, 4]); count > 0; count--) {
    text += `${random.percent(3) ? "  " : " "}${random.pick(random.percent(85) ? good : bad)}`;
  }
  return text;
}

/** Content in the form that DATA wants without its end, most often with nothing wrong in it. */
export function content(random: Random): string {
  const pieces = random.percent(20) ? DIRTY : CLEAN;
  let text = random.percent(40) ? random.pick(HEADERS) : "";
  for (let count = random.below(8); count > 0; count--) text += random.pick(pieces);
  if (random.percent(3)) text += "x".repeat(random.between(2900, 3100));
  return text;
}

const CLEAN = [
  "text\r\n",
  "\r\n",
  "a",
  ".",
  "..",
  "\r\n..\r\n",
  "MAIL FROM:<eve@client.test>\r\n",
  "QUIT\r\n",
  "\xe9",
  "DATA",
];
const DIRTY = [...CLEAN, "\n", "\r", "\0", "\n.\n", "\r\n.\r\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\r\n", "\xff\xfe"];
const HEADERS = [
  ...[
    "Subject: x\r\n\r\n",
    "From: alice@example.org\r\nSubject: x\r\n\r\n",
    "From: eve@client.test\r\n\r\n",
    "From: <\r\n\r\n",
  ],
  ...["Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@a.test>\r\n\r\n", "Received: x\r\n".repeat(101), "\r\n"],
  ...[
    "a: b\r\n".repeat(125),
    `X: ${"h".repeat(1600)}\r\n\r\n`,
    "No header\r\n",
    " folded\r\n\t\r\n",
    "From: a@b,\r\n\tc@d\r\n\r\n",
  ],
];

const b64 = (text: string): string => btoa(text);
const SCRAM_FIRST = `n,,n=${ALICE.address},r=fyko+d2lbbFgONRv9qkxdawL`;
/** The proof for the nonce that the tests' server always sends. */
const SCRAM_FINAL =
  "c=biws,r=fyko+d2lbbFgONRv9qkxdawLAAAAAAAAAAAAAAAAAAAAAAAA,p=+QSJ/vWnLadwUivRoHJjC+aJQ4DJv6gip3kdtjCBO3s=";
const BEARER = (token: string): string => `n,a=${ALICE.address},\x01auth=Bearer ${token}\x01\x01`;
const XOAUTH = (token: string): string => `user=${ALICE.address}\x01auth=Bearer ${token}\x01\x01`;

/** Exchanges that log alice in, if TLS is there; line by line. */
const GOOD_LOGINS: readonly (readonly string[])[] = [
  [`AUTH PLAIN ${b64(`\0${ALICE.address}\0${ALICE.password}`)}`],
  [`auth plain`, b64(`\0${ALICE.address}\0${ALICE.password}`)],
  ["AUTH LOGIN", b64(ALICE.address), b64(ALICE.password)],
  [`AUTH LOGIN ${b64(ALICE.address)}`, b64(ALICE.password)],
  [`AUTH SCRAM-SHA-256 ${b64(SCRAM_FIRST)}`, b64(SCRAM_FINAL), ""],
  ["AUTH SCRAM-SHA-256", b64(SCRAM_FIRST), b64(SCRAM_FINAL), ""],
  [`AUTH OAUTHBEARER ${b64(BEARER("good"))}`],
  ["AUTH OAUTHBEARER", b64(BEARER("good"))],
  [`AUTH XOAUTH2 ${b64(XOAUTH("good"))}`],
  ["AUTH EXTERNAL ="],
  [`AUTH EXTERNAL ${b64(ALICE.address)}`],
];
const BAD_LOGINS: readonly (readonly string[])[] = [
  [`AUTH PLAIN ${b64(`\0${ALICE.address}\0wrong`)}`],
  [`AUTH PLAIN ${b64(`\0busy\0x`)}`],
  [`AUTH PLAIN ${b64(`x\0${ALICE.address}\0${ALICE.password}`)}`],
  ["AUTH PLAIN =", "AUTH PLAIN", "*"],
  ["AUTH PLAIN !!!"],
  ["AUTH PLAIN", "AAA"],
  ["AUTH LOGIN", b64("down"), b64("x")],
  ["AUTH LOGIN", b64(ALICE.address), "*"],
  ["AUTH LOGIN", "x".repeat(12_300), "NOOP"],
  ["AUTH LOGIN", `a\nb`],
  [`AUTH SCRAM-SHA-256 ${b64(SCRAM_FIRST)}`, b64(SCRAM_FINAL.replace("+QSJ", "AAAA"))],
  [`AUTH SCRAM-SHA-256 ${b64(SCRAM_FIRST)}`, b64(SCRAM_FINAL), "AAAA"],
  [`AUTH SCRAM-SHA-256 ${b64(SCRAM_FIRST)}`, "*"],
  [`AUTH SCRAM-SHA-256 ${b64(SCRAM_FIRST.replace("alice", "nobody"))}`, b64(SCRAM_FINAL)],
  [`AUTH SCRAM-SHA-256-PLUS ${b64(`p=tls-server-end-point${SCRAM_FIRST.slice(1)}`)}`, b64(SCRAM_FINAL)],
  [`AUTH OAUTHBEARER ${b64(BEARER("stale"))}`, "AQ=="],
  [`AUTH OAUTHBEARER ${b64(BEARER("down"))}`],
  [`AUTH XOAUTH2 ${b64(XOAUTH("stale"))}`, ""],
  [`AUTH XOAUTH2 ${b64(XOAUTH("busy"))}`],
  ["AUTH CRAM-MD5"],
  ["AUTH"],
  ["AUTH PLAIN x y"],
  ["AUTH __proto__ ="],
];

/** An exchange of AUTH, line by line. */
export function login(random: Random, isRight: boolean): readonly string[] {
  return random.pick(isRight ? GOOD_LOGINS : BAD_LOGINS);
}

const ATTRIBUTES = [
  ...[
    "NAME=a.test",
    "NAME=[UNAVAILABLE]",
    "ADDR=192.0.2.77",
    "addr=IPV6:2001:db8::1",
    "ADDR=[UNAVAILABLE]",
    "ADDR=10.9.8.7",
  ],
  ...[
    "PORT=1",
    "PORT=x",
    "PORT=99999",
    "PROTO=ESMTP",
    "HELO=a.test",
    "HELO=a+20b",
    `HELO=${"h".repeat(300)}`,
    "HELO=+C3+A9",
  ],
  ...[
    `LOGIN=${ALICE.address}`,
    "LOGIN=[UNAVAILABLE]",
    "LOGIN=alice",
    "DESTADDR=192.0.2.1",
    "DESTPORT=25",
    "X=1",
    "ADDR=",
    "=",
  ],
  ...["HELO=(", "HELO=;+2Bx", utf8("HELO=é"), "ADDR=::1", "ADDR=IPV6:fe80::1%25eth0", "LOGIN=+5B"],
];

/** XCLIENT with some attributes, most often right ones. */
export function xclient(random: Random): string {
  let text = "XCLIENT";
  for (let count = random.pick([1, 1, 2, 3]); count > 0; count--) text += ` ${random.pick(ATTRIBUTES)}`;
  return text;
}

/** A command that stands alone. */
export function odd(random: Random): string {
  return random.percent(30)
    ? `${random.pick(VERBS)}${random.pick([" ", "", "\t", "  "])}${random.octets(12)}`
    : random.pick(ODD);
}

const VERBS = "EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY EXPN HELP AUTH STARTTLS XCLIENT ETRN".split(" ");
const ODD = [
  ...[
    "NOOP",
    "noop ignored",
    "RSET",
    "RSET x",
    "HELP",
    "HELP MAIL",
    "VRFY alice",
    "VRFY",
    "EXPN staff",
    "FOO",
    "",
    " ",
    "QUIT x",
  ],
  ...[
    "XCLIENT NAME=a.test ADDR=192.0.2.77",
    "XCLIENT ADDR=IPV6:2001:db8::1 LOGIN=alice@example.org",
    "XCLIENT",
    "XCLIENT X=1",
  ],
  ...[
    "ETRN example.org",
    "ETRN a.routed.test",
    "ETRN @routed.test",
    "ETRN @example.org",
    "ETRN #x",
    "ETRN",
    "GET / HTTP/1.1",
    "\x16\x03\x01\x02",
    utf8("NOOP é"),
    "NOOP \xff",
  ],
  ...[
    utf8("ſTARTTLS"),
    utf8("MAıL FROM:<>"),
    utf8("ﬅARTTLS"),
    "NOOP \0",
    `NOOP ${"n".repeat(2041)}`,
    `NOOP ${"n".repeat(2040)}`,
  ],
  ...[
    `NOOP ${"n".repeat(12_346)}`,
    `NOOP ${"n".repeat(5000)}`,
    `${"é".repeat(1500)}`,
    "EHLO",
    "EHLO a b",
    "EHLO (",
    "STARTTLS x",
  ],
  ...[
    "MAIL",
    "MAIL FROM",
    "MAIL TO:<>",
    "RCPT FROM:<>",
    "MAIL  FROM:<>",
    "MAIL FROM: <bob@client.test>",
    "DATA x",
    "BDAT",
  ],
  ...[
    "BDAT x",
    "BDAT -1",
    "BDAT 3 FIRST",
    "BDAT 99999999999999999999",
    "BDAT 0",
    "BDAT 0 LAST",
    "EHLO [192.0.2.1]",
    "helo a",
  ],
];

/** Octets that parsers may trip over. */
export const TOKENS: readonly string[] = [
  ...[
    "\r\n",
    "\n",
    "\r",
    "\r\n.\r\n",
    ".",
    "\0",
    "DATA\r\n",
    "é",
    "<",
    ">",
    '"',
    "\\",
    " ",
    "=",
    "BDAT ",
    "BDAT 3\r\n",
  ],
  ...[
    "BDAT 9 LAST\r\n",
    "EHLO a\r\n",
    "RSET\r\n",
    "MAIL FROM:<>\r\n",
    "RCPT TO:<alice@example.org>\r\n",
    "AUTH PLAIN\r\n",
  ],
  ...["*\r\n", "STARTTLS\r\n", "\xff", "\u0080", "QUIT\r\n", "@", ":", ";", ",", "+", "LAST", "0", "9".repeat(20)],
];
