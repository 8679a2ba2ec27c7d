/** Smaller cases, to find out what a failure needs. */

import { PLAIN_MX, type SessionCase } from "./session_case.ts";

/** Cases that are smaller than this one, the smallest first. */
export function* smaller(session: SessionCase): Generator<SessionCase> {
  const { steps, pauses, setup } = session;
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < steps.length; at += size) {
      yield { ...session, steps: steps.toSpliced(at, size), pauses: pauses.toSpliced(at, size) };
    }
  }
  if (pauses.some((pause) => pause > 0)) yield { ...session, pauses: [] };
  if (session.leaving !== "hangs up") yield { ...session, leaving: "hangs up" };
  for (const key of Object.keys(setup) as (keyof typeof setup)[]) {
    if (setup[key] !== PLAIN_MX[key]) yield { ...session, setup: { ...setup, [key]: PLAIN_MX[key] } };
  }
  for (const [at, step] of steps.entries()) {
    for (let size = Math.ceil(step.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < step.length; from += size) {
        yield { ...session, steps: steps.with(at, step.slice(0, from) + step.slice(from + size)) };
      }
    }
  }
}
