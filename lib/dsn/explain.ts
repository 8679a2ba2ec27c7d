/** Explains what happened to a recipient: by the class of the reply, by its words, and by the status code. */

import type { Outcome, ReplyClass } from "../mail/outcome.ts";
import { BY_CLASS } from "./class_meaning.ts";
import { explainStatus, fitsClass, type Meaning } from "./meaning.ts";
import { replyHint } from "./reply_hints.ts";

const ABOUT_US: readonly ReplyClass[] = ["block", "reputation", "rate", "authentication", "policy"];

/** Explains an outcome. @param status As it is reported. */
export function explain(outcome: Outcome, status: string): Meaning {
  const byStatus = explainStatus(status);
  const { replyClass } = outcome;
  if (replyClass === undefined) return byStatus;
  const byClass = BY_CLASS[replyClass];
  const forAdmin = [byClass.forAdmin, ABOUT_US.includes(replyClass) ? hintOf(outcome, replyClass) : undefined]
    .filter((text) => text !== undefined).join(" ");
  const more = forAdmin === "" ? {} : { forAdmin };
  // RFC 3463 §3.5: 4.4.7 stands for the end of the time allowed, and hides what the last reply was about.
  if (/^\d\.4\.7$/.test(status)) {
    return {
      meaning: `${byStatus.meaning} The last reply: ${lower(byClass.meaning)}`,
      advice: byClass.advice,
      ...more,
    };
  }
  return { ...(fitsClass(status, replyClass) ? byStatus : byClass), ...more };
}

function hintOf({ text }: Outcome, replyClass: ReplyClass): string | undefined {
  return replyHint(text, replyClass === "block" || replyClass === "reputation");
}

function lower(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
