/** What curl does besides handing in one message: questions, several recipients, AUTH= of the author. */

import { assertEquals, assertMatch } from "@std/assert";
import { startCertified } from "../support/interop/certified.ts";
import { type CommandResult, runCommand } from "../support/interop/command.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const CAROL = { address: "carol@example.org", password: "another password" };
/** Exit codes of curl: the server refused a command, and a recipient. */
const REFUSED = 8;
const RCPT_FAILED = 55;

async function curl(
  words: readonly string[],
  stdin: Uint8Array<ArrayBuffer> = new Uint8Array(),
): Promise<CommandResult> {
  const command = [programPath("curl"), "--silent", "--show-error", "--verbose", "--max-time", "20"];
  return await runCommand([...command, ...words], { stdin });
}

peerTest("curl asks for help, and about users and lists, and learns nothing about them", ["curl"], async () => {
  await using posthorn = await PosthornProcess.start({ accounts: [ALICE], listeners: [{ service: "mx" }] });
  const url = `smtp://127.0.0.1:${posthorn.port("mx")}/client.example`;
  const help = await curl([url]);
  assertEquals(help.code, 0, help.stderr);
  assertMatch(help.stdout, /^214-2\.0\.0 This is posthorn; /);
  for (const address of [ALICE.address, "nobody@example.org", "j\u00fcrgen@example.org"]) {
    const { code, stdout, stderr } = await curl([url, "--mail-rcpt", address]);
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /^> VRFY /m);
    assertMatch(stdout, /^252 2\.1\.5 Cannot verify the address, /, address);
  }
  const list = await curl([url, "--request", "EXPN", "--mail-rcpt", "staff"]);
  assertEquals(list.code, REFUSED, list.stderr);
  assertMatch(list.stderr, /^> EXPN staff[^<]*< 502 5\.5\.1 /m);
});

peerTest(
  "curl names the author with AUTH=, and goes on without a recipient that is refused",
  ["curl", "openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const { posthorn, caFile } = await startCertified(folder.path, { accounts: [ALICE, CAROL] });
    await using _ = posthorn;
    const message = awkwardMessage({ from: ALICE.address, to: CAROL.address, subject: "by curl" });
    const words = [
      `smtp://127.0.0.1:${posthorn.port("submission")}/client.example`,
      ...["--ssl-reqd", "--cacert", caFile, "--user", `${ALICE.address}:${ALICE.password}`, "--upload-file", "-"],
      ...["--mail-from", ALICE.address, "--mail-auth", "carol@example.org"],
      ...["--mail-rcpt", "nobody@example.org", "--mail-rcpt", CAROL.address],
    ];
    const strict = await curl(words, message.octets);
    assertEquals(strict.code, RCPT_FAILED, strict.stderr);
    const lenient = await curl([...words, "--mail-rcpt-allowfails"], message.octets);
    assertEquals(lenient.code, 0, lenient.stderr);
    assertMatch(lenient.stderr, /^> MAIL FROM:<alice@example\.org> AUTH=<carol@example\.org>/m);
    const [arrived] = await posthorn.maildir(CAROL.address).waitFor(1, { detail: () => posthorn.log });
    traceFieldsBefore(message.octets, arrived?.octets ?? new Uint8Array());
    await posthorn.waitForLog(/Accepted /);
    assertEquals(posthorn.log.match(/Accepted /g)?.length, 1);
  },
);
