/** Generated messages, and what happens to them on the way, for comparing implementations of DKIM. */

/** A source of numbers from 0 to 1. */
export type Random = () => number;

/** Chooses one. */
export function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

const WORDS = [
  "Hello",
  "world",
  "tea",
  "Gr\xc3\xbc\xc3\x9fe",
  "=20",
  "a.b",
  "x:y",
  "1;2",
  '"q"',
  "\xe9",
  "<z@example.net>",
];
const GAPS = [" ", " ", " ", "  ", "\t", " \t "];
const FOLDS = ["\r\n ", "\r\n\t", " \r\n  ", "\t\r\n \t"];
const LINES = [
  "",
  "",
  " ",
  "\t ",
  ".",
  "..",
  ". ",
  "--",
  "text",
  "text ",
  "a  b\tc",
  " indented",
  "\xff\xfe",
  "From here",
  "=3D",
];
const NAMES = [
  "Subject",
  "SUBJECT",
  "subject",
  "To",
  "Cc",
  "Date",
  "Message-ID",
  "Reply-To",
  "X-Long-Name",
  "List-Id",
  "Comments",
];

/** A value of a field: words, white space, folds, 8-bit octets, blanks at the end. */
function fieldText(random: Random): string {
  let text = pick(random, ["", "", " ", "  ", "\t"]);
  for (let count = Math.floor(random() * 6) + 1; count > 0; count--) {
    text += pick(random, WORDS) + (count > 1 ? pick(random, random() < 0.2 ? FOLDS : GAPS) : "");
  }
  return text + pick(random, ["", "", "", " ", "\t", "  "]);
}

function bodyText(random: Random): string {
  const kind = random();
  if (kind < 0.08) return "";
  if (kind < 0.12) return pick(random, ["\r\n", "\r\n\r\n", " \r\n", "\t", " ", "\r\n \r\n", " \t\r\n\r\n"]);
  let text = "";
  for (let count = Math.floor(random() * 12) + 1; count > 0; count--) {
    text += random() < 0.05 ? "long ".repeat(300) : pick(random, LINES);
    text += "\r\n";
  }
  if (random() < 0.2) text += "\r\n".repeat(Math.floor(random() * 5));
  if (random() < 0.1) text += "no line end";
  return text;
}

/** Makes a message of any shape with one From field. One octet a character. */
export function makeMessage(random: Random): string {
  const fields = [`From:${pick(random, [" ", "", "\t"])}Ann <ann@example.org>\r\n`];
  for (let count = Math.floor(random() * 8); count > 0; count--) {
    fields.splice(Math.floor(random() * (fields.length + 1)), 0, `${pick(random, NAMES)}:${fieldText(random)}\r\n`);
  }
  return `${fields.join("")}\r\n${bodyText(random)}`;
}

/** Names for `h=`: From, some that are there, some that are not, some once more. */
export function makeNames(random: Random): string[] {
  const names = ["from"];
  for (let count = Math.floor(random() * 6); count > 0; count--) {
    names.push(
      pick(random, ["to", "subject", "cc", "date", "message-id", "reply-to", "x-long-name", "list-id", "subject"]),
    );
  }
  if (random() < 0.3) names.push("from");
  return names;
}

/** Something that may happen on the way. */
type Change = (message: string, random: Random) => string;

const CHANGES: Readonly<Record<string, Change>> = {
  "lines at the end": (message, random) => message + "\r\n".repeat(1 + Math.floor(random() * 3)),
  "text at the end": (message) => `${message}${message.endsWith("\r\n") ? "" : "\r\n"}added\r\n`,
  "blanks at line ends": (message) => replaceInBody(message, (body) => body.replace(/(?<=\S)\r\n/g, " \r\n")),
  "blanks inside": (message) => replaceInBody(message, (body) => body.replace(/ /g, "  ")),
  "an octet of the body": (message, random) => replaceInBody(message, (body) => flip(body, random)),
  "an octet anywhere": (message, random) => {
    const end = message.indexOf("\r\n\r\n");
    return flip(message.slice(0, end), random) + message.slice(end);
  },
  "a name in another case": (message) => message.replace(/^(subject|to|from):/im, (name) => name.toUpperCase()),
  "a fold": (message) => message.replace(/^(Subject:.*?) (?=\S)/im, "$1\r\n "),
  "a field in front": (message) => `Received: by here\r\n${message}`,
  "a signed field in front": (message) => `Subject: other\r\n${message}`,
  "a field at the end": (message) => message.replace("\r\n\r\n", "\r\nSubject: other\r\n\r\n"),
  "a field lost": (message) => message.replace(/^(?:Subject|To|Date):.*\r\n(?:[ \t].*\r\n)*/im, ""),
  "no signature left": (message) => message.replace(/b=[^;:]{4}/, "b="),
  "another body hash": (message) => message.replace(/bh=./, "bh=A"),
  "another key": (message) => message.replace(/([ \t;])s=[a-z0-9-]+/, "$1s=missing"),
  "another version": (message) => message.replace(/v=1;/, "v=2;"),
  "a version twice": (message) => message.replace(/v=1;/, "v=1; v=1;"),
  "expired": (message) => message.replace(/v=1;/, "v=1; x=1000;"),
  "an unknown tag": (message) => message.replace(/v=1;/, "v=1; unknown=1;"),
  "another domain": (message) => message.replace(/([ \t;])d=example\.org/, "$1d=example.com"),
  "an identity elsewhere": (message) => message.replace(/([ \t;])i=@?[^;]*/, "$1i=@example.com"),
};

function replaceInBody(message: string, change: (body: string) => string): string {
  const start = message.indexOf("\r\n\r\n") + 4;
  return message.slice(0, start) + change(message.slice(start));
}

/** Changes one letter or digit into another. */
function flip(text: string, random: Random): string {
  const places = [...text.matchAll(/[A-Za-z0-9]/g)].map(({ index }) => index);
  if (places.length === 0) return text;
  const at = pick(random, places);
  return text.slice(0, at) + (text[at] === "q" ? "r" : "q") + text.slice(at + 1);
}

/** Does one of many things to a message, and says what. */
export function changeMessage(message: string, random: Random): { readonly message: string; readonly what: string } {
  const [what, change] = pick(random, Object.entries(CHANGES));
  return { message: change(message, random), what };
}
