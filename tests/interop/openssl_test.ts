/** A session by hand with `openssl s_client`, as administrators try TLS: SMTP and LMTP, with STARTTLS and without. */

import { assertMatch } from "@std/assert";
import { startCertified } from "../support/interop/certified.ts";
import { OutputLines } from "../support/interop/command.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { type ProcessListener } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };

/** openssl is killed after this, so that a session that does not end fails. */
const SESSION_TIMEOUT_MS = 30_000;

/** Types line after line into a session, each when the reply to the one before is there. */
async function typed(
  words: readonly string[],
  lines: readonly (readonly [line: string, reply: RegExp])[],
): Promise<void> {
  const output = new OutputLines();
  const child = new Deno.Command(programPath("openssl"), {
    // -quiet: lines that begin with Q or R are not commands to s_client itself; -crlf: it ends lines as SMTP does.
    args: ["s_client", "-quiet", "-crlf", "-verify_return_error", ...words],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(SESSION_TIMEOUT_MS),
  }).spawn();
  output.follow(child.stdout);
  const errors = new OutputLines();
  errors.follow(child.stderr);
  const writer = child.stdin.getWriter();
  const detail = (): string => [...output.lines, ...errors.lines].join("\n");
  let seen = 0;
  for (const [line, reply] of lines) {
    if (line !== "") await writer.write(new TextEncoder().encode(`${line}\n`));
    seen = await waitUntil(() => {
      const at = output.lines.findIndex((each, index) => index >= seen && reply.test(each));
      return at < 0 ? undefined : at + 1;
    }, { what: `the reply ${reply} to ${line}`, detail });
  }
  // QUIT was the last line: the server closes, and the program ends by itself.
  await Promise.all([child.status, output.ended(), errors.ended()]);
  await writer.close().catch(() => {});
}

interface Case {
  readonly title: string;
  readonly listener: ProcessListener;
  readonly words: readonly string[];
  readonly hello: string;
  readonly protocol: string;
}

const CASES: readonly Case[] = [
  {
    title: "-starttls smtp",
    listener: { service: "mx" },
    words: ["-starttls", "smtp"],
    hello: "EHLO client.example",
    protocol: "ESMTPS",
  },
  {
    title: "-starttls lmtp",
    listener: { service: "lmtp", tls: "starttls" },
    words: ["-starttls", "lmtp"],
    hello: "LHLO client.example",
    protocol: "LMTPS",
  },
  {
    title: "implicit TLS",
    listener: { service: "mx", tls: "implicit" },
    words: [],
    hello: "EHLO client.example",
    protocol: "ESMTPS",
  },
];

for (const { title, listener, words, hello, protocol } of CASES) {
  peerTest(`A message typed into openssl s_client with ${title} arrives`, ["openssl"], async () => {
    await using folder = await TemporaryFolder.create();
    const started = await startCertified(folder.path, { accounts: [ALICE], listeners: [listener] });
    await using posthorn = started.posthorn;
    const port = posthorn.port(listener.service, listener.tls);
    const where = ["-connect", `127.0.0.1:${port}`, "-CAfile", started.caFile, "-verify_ip", "127.0.0.1"];
    await typed([...where, ...words], [
      ...(words.length === 0 ? [["", /^220 mail\.example\.org ESMTP posthorn/] as const] : []),
      [hello, /^250 \S/],
      ["MAIL FROM:<x@elsewhere.example>", /^250 2\.1\.0 /],
      ["RCPT TO:<nobody@example.org>", /^550 5\.1\.1 /],
      [`RCPT TO:<${ALICE.address}>`, /^250 2\.1\.5 /],
      ["DATA", /^354 /],
      ["Subject: typed\n\nRelax.\n.", /^250 2\.0\.0 Queued as /],
      ["QUIT", /^221 2\.0\.0 /],
    ]);
    const [arrived] = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => posthorn.log });
    assertMatch(arrived?.text ?? "", new RegExp(`\\(posthorn\\) with ${protocol} id `));
    assertMatch(arrived?.text ?? "", /\r\nSubject: typed\r\n\r\nRelax\.\r\n$/);
  });
}
