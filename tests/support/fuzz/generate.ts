/** Generated sessions: clients that mostly know what they do, mutated real sessions, and noise. */

import type { Leaving, SessionCase, Setup } from "./session_case.ts";
import type { Random } from "./random.ts";
import { content, login, odd, parameters, recipient, sender, TOKENS, xclient } from "./words.ts";

const LEAVINGS: readonly Leaving[] = [
  ...Array<Leaving>(5).fill("hangs up"),
  ...["resets", "is silent", "is deaf", "is told to go", "is cut off"] as const,
];

/** Any listener. */
export function setup(random: Random): Setup {
  return {
    service: random.pick(["mx", "submission", "lmtp"]),
    isTrusted: random.percent(15),
    tls: random.pick(["none", "starttls", "starttls", "implicit", "implicit", "fails"]),
    hasCertificate: random.percent(25),
    isProxy: random.percent(15),
    binaryMime: random.percent(30),
    bareLf: random.percent(30) ? "repair" : "refuse",
    senders: random.percent(40) ? "any" : "own",
    rate: random.percent(10) ? 2 : 0,
    spool: random.percent(90) ? "works" : random.pick(["full", "fails on write", "fails on commit"]),
  };
}

/** How the client leaves, and where it rests before. */
function manners(random: Random, steps: readonly string[]): Pick<SessionCase, "pauses" | "leaving"> {
  const isSlow = random.percent(5);
  const pauses = isSlow ? steps.map(() => random.pick([0, 0, 1000, 60_000, 200_000, 400_000])) : [];
  return { pauses, leaving: random.pick(LEAVINGS) };
}

/** A client that speaks SMTP, with mistakes in some places. */
export function speakingClient(random: Random): SessionCase {
  const chosen = setup(random);
  const client = new SpeakingClient(random, chosen);
  const steps = client.speak();
  return { setup: chosen, steps, ...manners(random, steps) };
}

class SpeakingClient {
  readonly #random: Random;
  readonly #setup: Setup;
  readonly #steps: string[] = [];

  constructor(random: Random, setup: Setup) {
    this.#random = random;
    this.#setup = setup;
  }

  speak(): string[] {
    const random = this.#random;
    const { service, tls, isTrusted, isProxy } = this.#setup;
    if (random.percent(97)) this.#greet();
    if (isProxy && random.percent(70)) {
      this.#line(xclient(random));
      if (random.percent(95)) this.#greet();
    }
    if (tls === "starttls" && random.percent(service === "submission" ? 90 : 30)) {
      this.#line("STARTTLS");
      if (random.percent(97)) this.#greet();
    }
    if (service === "submission" ? random.percent(isTrusted ? 60 : 95) : random.percent(3)) {
      for (let count = random.below(2); count > 0; count--) this.#log(login(random, false));
      this.#log(login(random, random.percent(92)));
    }
    for (let count = random.pick([0, 1, 1, 1, 2, 2, 3]); count > 0; count--) {
      this.#maybeOdd();
      this.#transaction();
    }
    this.#maybeOdd();
    if (random.percent(30)) this.#line("QUIT");
    if (random.percent(5)) this.#steps.push(random.octets(40));
    if (random.percent(1)) this.#storm();
    return random.percent(6) ? truncated(random, this.#steps) : this.#steps;
  }

  #line(text: string): void {
    this.#steps.push(`${text}\r\n`);
  }

  #greet(): void {
    const random = this.#random;
    const right = this.#setup.service === "lmtp" ? "LHLO" : random.percent(90) ? "EHLO" : "HELO";
    this.#line(`${random.percent(97) ? right : random.pick(["EHLO", "HELO", "LHLO", "ehlo"])} client.test`);
  }

  #log(lines: readonly string[]): void {
    for (const line of lines) this.#line(line);
  }

  #maybeOdd(): void {
    while (this.#random.percent(20)) this.#line(odd(this.#random));
  }

  /** More commands than the server has patience for. */
  #storm(): void {
    const line = `${odd(this.#random)}\r\n`;
    const count = this.#random.between(15, 130);
    if (line.length < 100) this.#steps.push(line.repeat(count));
  }

  #transaction(): void {
    const random = this.#random;
    const envelope = [`MAIL FROM:${sender(random)}${parameters(random, "MAIL")}`];
    for (let count = random.pick([1, 1, 1, 2, 3, 5]); count > 0; count--) {
      envelope.push(`RCPT TO:${recipient(random)}${parameters(random, "RCPT")}`);
    }
    if (random.percent(15)) envelope.splice(random.below(envelope.length + 1), 0, odd(random));
    if (random.percent(3)) envelope.reverse();
    const isPipelined = random.percent(50);
    let group = "";
    for (const line of envelope) {
      if (isPipelined) group += `${line}\r\n`;
      else this.#line(line);
    }
    if (random.percent(40)) return this.#chunks(group);
    if (random.percent(5)) return void this.#steps.push(`${group}RSET\r\n`);
    this.#steps.push(`${group}DATA\r\n`);
    const text = content(random);
    const end = random.percent(97) ? `${/(^|\r\n)$/.test(text) ? "" : "\r\n"}.\r\n` : random.pick(TOKENS);
    this.#steps.push(text + end);
  }

  /** Chunks, behind the commands or with a step for each. */
  #chunks(commands: string): void {
    const random = this.#random;
    let group = commands;
    const isPipelined = random.percent(60);
    for (let left = random.pick([0, 0, 1, 2, 4]);; left--) {
      const text = content(random);
      const size = random.percent(95)
        ? text.length
        : random.pick([text.length + 1, Math.max(0, text.length - 1), 70_000]);
      const last = left > 0 ? "" : random.percent(90) ? " LAST" : random.pick(["", " last", " LAST x"]);
      group += `BDAT ${size}${last}\r\n${text}`;
      if (random.percent(4)) group += `${odd(random)}\r\n`;
      if (!isPipelined) {
        this.#steps.push(group);
        group = "";
      }
      if (left <= 0) break;
    }
    if (group !== "") this.#steps.push(group);
  }
}

/** The client stops at some octet. */
function truncated(random: Random, steps: readonly string[]): string[] {
  const kept = steps.slice(0, random.below(steps.length) + 1);
  const last = kept.pop() ?? "";
  return [...kept, last.slice(0, random.below(last.length + 1))];
}

/** Octets without much sense, behind a greeting. */
export function noise(random: Random): SessionCase {
  const chosen = setup(random);
  const steps = random.percent(80) ? [`${chosen.service === "lmtp" ? "LHLO" : "EHLO"} client.test\r\n`] : [];
  for (let count = random.below(8); count > 0; count--) steps.push(noisyStep(random));
  return { setup: chosen, steps, ...manners(random, steps) };
}

const BEGUN = "MAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.org>\r\n";

function noisyStep(random: Random): string {
  switch (random.below(6)) {
    case 0:
      return random.octets(60);
    case 1:
      return BEGUN + random.pick(["DATA\r\n", "BDAT 20\r\n", "BDAT 5\r\n12345", "BDAT 5 LAST\r\n"]);
    case 2:
      return random.pick(TOKENS).repeat(random.pick([1, 10, 500, 2100]));
    default: {
      let text = "";
      for (let count = random.below(12); count > 0; count--) {
        text += random.percent(70) ? random.pick(TOKENS) : random.percent(50) ? odd(random) : random.octets(6);
      }
      return random.percent(60) ? `${text}\r\n` : text;
    }
  }
}

/** A real session and its listener. */
export interface RealSession {
  readonly setup: Setup;
  readonly steps: readonly string[];
}

/** A real session in which something went wrong. */
export function mutant(random: Random, corpus: readonly RealSession[]): SessionCase {
  const { setup: own, steps: original } = random.pick(corpus);
  const chosen = random.percent(85) ? own : setup(random);
  let steps = [...original];
  for (let count = random.pick([1, 1, 2, 3, 5]); count > 0 && steps.length > 0; count--) {
    steps = mutated(random, steps, corpus);
  }
  return { setup: chosen, steps, ...manners(random, steps) };
}

function mutated(random: Random, steps: readonly string[], corpus: readonly RealSession[]): string[] {
  const at = random.below(steps.length);
  const step = steps[at] as string;
  const place = random.below(step.length + 1);
  const until = Math.min(step.length, place + random.pick([1, 1, 2, 5, 40]));
  const put = (...replacement: readonly string[]): string[] => steps.toSpliced(at, 1, ...replacement);
  switch (random.below(11)) {
    case 0:
      return put(
        step.slice(0, place) + String.fromCharCode((step.charCodeAt(place) || 0) ^ (1 << random.below(8))) +
          step.slice(place + 1),
      );
    case 1:
      return put(step.slice(0, place) + random.pick(TOKENS) + step.slice(place));
    case 2:
      return put(step.slice(0, place) + random.octets(8) + step.slice(until));
    case 3:
      return put(step.slice(0, place) + step.slice(until));
    case 4:
      return put(step, step);
    case 5:
      return put();
    case 6: {
      const other = random.below(steps.length);
      return steps.with(at, steps[other] as string).with(other, step);
    }
    case 7: // Pipelined where it was not.
      return steps.toSpliced(at, 2, step + (steps[at + 1] ?? ""));
    case 8:
      return truncated(random, steps);
    case 9:
      return put(step.slice(0, place) + step.slice(place, until).repeat(random.pick([2, 10, 300])) + step.slice(until));
    default: // Goes on like another session.
      return [...steps.slice(0, at), ...random.pick(corpus).steps];
  }
}
