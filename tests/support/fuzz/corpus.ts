/** Real sessions to mutate: the client's side of the conversation scripts. */

import { parseScript, type Script } from "../conversation.ts";
import type { RealSession } from "./generate.ts";
import { PLAIN_MX, type Setup } from "./session_case.ts";
import { utf8 } from "./words.ts";

const folder = new URL("../../conversations/", import.meta.url);

/** Reads all scripts, in the order of their names: a seed means the same sessions until one is added. */
export function conversations(): RealSession[] {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".smtp")).sort();
  return names.map((name) => {
    const script = parseScript(Deno.readTextFileSync(new URL(name, folder)), name);
    return { setup: setupOf(script), steps: stepsOf(script) };
  });
}

function setupOf({ options }: Script): Setup {
  const { service = PLAIN_MX.service, tls, binaryMime = false, bareLf = "refuse", senders = "own", rate } = options;
  return {
    ...PLAIN_MX,
    ...{ service, binaryMime, bareLf, senders },
    tls: tls === undefined || tls === "starttls" ? "starttls" : tls === "implicit" ? "implicit" : "none",
    isTrusted: options.relayFrom !== undefined,
    isProxy: options.xclientFrom !== undefined,
    rate: rate?.count ?? 0,
  };
}

function stepsOf({ steps }: Script): string[] {
  return steps.flatMap(({ kind, text }) => {
    if (kind === "C:") return [utf8(`${text}\r\n`)];
    return kind === "C!" ? [utf8(JSON.parse(text) as string)] : [];
  });
}
