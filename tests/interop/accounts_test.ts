/** The accounts file between `posthorn user`, an editor and a running server, as real processes. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { canLock } from "../support/can_lock.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };

Deno.test({
  name: "posthorn user commands that run at the same moment lose none of their changes",
  ignore: !canLock,
  fn: async () => {
    await using posthorn = await PosthornProcess.start({ accounts: [ALICE], isStopped: true });
    const others = ["al", "lise", "liese", "a.smith"].map((name) => `${name}@example.org`);
    const results = await Promise.all(
      others.map((other) => posthorn.run(["user", "address", ALICE.address, "add", other])),
    );
    assertEquals(results.map(({ code }) => code), [0, 0, 0, 0], results.map(({ stderr }) => stderr).join(""));
    const { stdout } = await posthorn.run(["user", "show", ALICE.address, "--json"]);
    assertEquals((JSON.parse(stdout) as { addresses: string[] }).addresses.sort(), others.sort());
  },
});

Deno.test("A running server takes changed accounts without a signal, names a mistake in them, and goes on meanwhile", async () => {
  await using posthorn = await PosthornProcess.start({ listeners: [{ service: "mx" }], accounts: [ALICE] });
  const file = `${posthorn.folder}/accounts.yaml`;
  const replyTo = async (address: string): Promise<string> => {
    using dialog = await SmtpDialog.open(posthorn.port("mx"));
    await dialog.command("EHLO client.example");
    await dialog.command("MAIL FROM:<x@elsewhere.example>");
    return (await dialog.command(`RCPT TO:<${address}>`)).trim();
  };
  assertMatch(await replyTo("bob@example.org"), /^550 5\.1\.1 /);
  const { stdout } = await posthorn.run(["user", "add", "bob@example.org"], { stdin: "another password\n" });
  assertEquals(stdout.trim(), "bob@example.org added; a running server knows within 5 s");
  await waitUntil(async () => (await replyTo("bob@example.org")).startsWith("250 ") || undefined, {
    what: "the new mailbox to take mail",
    everyMs: 200,
    detail: () => posthorn.log,
  });
  await Deno.writeTextFile(file, `${await Deno.readTextFile(file)}carol@example.com: {}\n`);
  await posthorn.waitForLog(/accounts\.yaml:\d+:1: accounts: .* found "carol@example\.com"; the accounts in use stay/);
  assertMatch(await replyTo("bob@example.org"), /^250 /);
  const refused = await posthorn.run(["user", "remove", "bob@example.org"]);
  assertEquals(refused.code, 78, refused.stderr);
  assertStringIncludes(refused.stderr, 'found "carol@example.com"');
  await Deno.writeTextFile(
    `${file}.edited`,
    (await Deno.readTextFile(file)).replace("carol@example.com", "carol@example.org"),
  );
  await Deno.rename(`${file}.edited`, file);
  await waitUntil(async () => (await replyTo("carol@example.org")).startsWith("250 ") || undefined, {
    what: "the mended file",
    everyMs: 200,
    detail: () => posthorn.log,
  });
});
