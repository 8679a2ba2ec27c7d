/**
 * What the answer of an application means for the recipients. Only what clearly says "this message, never" is final: a web
 * server answers 404 or 403 for an application that is being replaced, and that must not send mail back.
 */

import type { Outcome } from "../../mail/outcome.ts";

/** What came back, read up to a bound. */
export interface WebhookAnswer {
  /** HTTP status code (RFC 9110 §15). */
  readonly status: number;
  /** In one line, without control characters; empty where it said nothing for people. */
  readonly text: string;
}

type Verdict = Pick<Outcome, "action" | "status" | "replyClass" | "destination">;

const VERDICTS: Readonly<Record<number, Verdict>> = {
  // About this message, for good.
  410: { action: "failed", status: "5.0.0" },
  413: { action: "failed", status: "5.3.4", replyClass: "size" },
  422: { action: "failed", status: "5.6.0" },
  // About the application: whatever is sent now would fare alike.
  401: { action: "delayed", status: "4.7.0", destination: "pushback" },
  403: { action: "delayed", status: "4.7.0", destination: "pushback" },
  404: { action: "delayed", status: "4.3.5", destination: "pushback" },
  405: { action: "delayed", status: "4.3.5", destination: "pushback" },
  429: { action: "delayed", status: "4.4.5", replyClass: "rate", destination: "pushback" },
  502: { action: "delayed", status: "4.4.1", destination: "pushback" },
  503: { action: "delayed", status: "4.3.2", destination: "pushback" },
  504: { action: "delayed", status: "4.4.1", destination: "pushback" },
  507: { action: "delayed", status: "4.3.1" },
};

/** The outcome of an answer, the same for all recipients. @param host Of the URL. */
export function answerOutcome({ status, text }: WebhookAnswer, host: string): Outcome {
  const said = text === "" ? `${status}` : `${status} ${text}`;
  const verdict = verdictOn(status);
  const words = { delivered: "The application took it", failed: "The application refused the message" };
  const start = verdict.action === "delayed" ? "The application answered" : words[verdict.action as keyof typeof words];
  return { ...verdict, text: `${start}: ${said}`, isRemoteReply: false, remoteMta: host };
}

function verdictOn(status: number): Verdict {
  if (status >= 200 && status < 300) return { action: "delivered", status: "2.0.0" };
  const known = VERDICTS[status];
  if (known !== undefined) return known;
  // A redirection is not followed: what is signed for one address is for nobody else.
  if (status < 400) return { action: "delayed", status: "4.3.5", destination: "pushback" };
  return { action: "delayed", status: status < 500 ? "4.5.0" : "4.3.0" };
}

/** An answer that cannot be meant: it came before the message had been sent. */
export function earlyOutcome({ status }: WebhookAnswer, host: string): Outcome {
  const text = `The application answered ${status} before it had the whole message`;
  return { action: "delayed", status: "4.5.0", text, isRemoteReply: false, remoteMta: host };
}

/** Nothing moved for so long. A destination that is slow with all mail gets less at a time. */
export function timeoutOutcome(limitMs: number, host: string): Outcome {
  const text = `No answer of the application within ${limitMs / 1000} s`;
  return { action: "delayed", status: "4.4.2", text, isRemoteReply: false, remoteMta: host, destination: "pushback" };
}

/** A request that failed before there was an answer. @param error As `fetch` rejects. */
export function faultOutcome(error: unknown, host: string): Outcome {
  const { text, isUnreached } = reasonOf(error);
  // rustls says nothing of the kind of its errors.
  const isTls = isUnreached && /certificate|handshake|alert|corrupt message|\btls\b/i.test(text);
  const start = isTls
    ? "Cannot make a TLS connection to the application"
    : isUnreached
    ? "Cannot reach the application"
    : "Lost the connection to the application";
  return {
    action: "delayed",
    status: isTls ? "4.7.5" : isUnreached ? "4.4.1" : "4.4.2",
    text: `${start}: ${text}`,
    isRemoteReply: false,
    remoteMta: host,
    ...(isUnreached && { destination: "down" }),
  };
}

/** `… client error (Connect): tcp connect error: Connection refused`: newer runtimes tell it as the cause of "fetch failed". */
function reasonOf(error: unknown): { readonly text: string; readonly isUnreached: boolean } {
  const told = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const message = told instanceof Error ? told.message : String(told);
  const [, kind, rest] = /client error \((\w+)\)(?:: (.*))?$/s.exec(message) ?? [];
  // The URL is in the log already, as the name of the hop; senders need not know it.
  const text = (rest ?? message).replace(/https?:\/\/\S+/g, "its URL");
  return { text: oneLine(text), isUnreached: kind === "Connect" };
}

/** Text of others as one line of 500 characters at most, without control characters. */
export function oneLine(text: string): string {
  return text.replace(/[\s\p{Cc}\p{Cf}\p{Cs}]+/gu, " ").trim().slice(0, 500);
}
