/** Message authentication by the real program: a Postfix with OpenDKIM and OpenDMARC believes posthorn, and the other way round. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { ARC_PEERS } from "../support/interop/arc_peers.ts";
import {
  type AuthenticatedMail,
  messageFrom,
  resultsIn,
  sendMail,
  SIGNED_CLIENT,
  startAuthenticatedMail,
  STRANGER,
  UNSIGNED_CLIENT,
  WORLD_NEEDS,
} from "../support/interop/authenticated_mail.ts";
import { dkimpy } from "../support/interop/dkim_peers.ts";
import { Maildir, type MaildirMessage } from "../support/interop/maildir.ts";
import { mustRun } from "../support/interop/command.ts";
import { peerTest } from "../support/interop/peers.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = "alice@posthorn.test";
const BOB = "bob@postfix.test";

/** Waits for the one message of a mailbox with this in its Subject. */
async function arrived(world: AuthenticatedMail, maildir: Maildir, subject: string): Promise<MaildirMessage> {
  const find = async (): Promise<MaildirMessage | undefined> =>
    (await maildir.messages()).find(({ text }) => new RegExp(`^Subject: .*${subject}`, "m").test(text));
  return await waitUntil(find, { what: `"${subject}" in ${maildir.path}`, everyMs: 100 }).catch(async (error) => {
    throw new Error(await world.detail(), { cause: error });
  });
}

/** A message as it was signed. */
function fromSignature({ octets, text }: MaildirMessage): Uint8Array<ArrayBuffer> {
  return octets.slice(text.search(/^DKIM-Signature:/m));
}

peerTest(
  "What users, reports and aliases of posthorn send passes DKIM, SPF and DMARC elsewhere, by the records that it prints",
  WORLD_NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const world = await startAuthenticatedMail(stack, {
      msgauth: { arc: "seal" },
      aliases: { "forward@posthorn.test": "carol@postfix.test", "nowhere@posthorn.test": "nobody@postfix.test" },
    });
    const { postfix, posthorn, texts, zone } = world;
    const python = stack.use(dkimpy());
    /** Of those in its own header section: a report quotes others. */
    const verify = async ({ octets, text }: MaildirMessage): Promise<readonly string[]> => {
      const count = text.slice(0, text.indexOf("\r\n\r\n")).match(/^DKIM-Signature:/gm)?.length ?? 0;
      return (await python.verify(octets, texts)).slice(0, count);
    };

    const listed = await mustRun(posthorn.commandLine("dkim", "list", "posthorn.test"));
    // The one has a TTL, and the other none.
    const keyLines = (text: string): readonly string[] => text.replaceAll(" 3600 ", " ").match(/^s1.*TXT.*$/gm) ?? [];
    assertEquals(keyLines(listed), keyLines(zone));
    assertEquals(keyLines(zone).length, 2);
    const check = await posthorn.run(["dns", "posthorn.test", "--check"]);
    assertEquals(check.stdout.split("\n").filter((line) => /^(?:wrong|unknown)/.test(line)), [], check.stdout);
    assertEquals(check.code, 0, check.stdout + check.stderr);

    // A user.
    const body = "Caf\u00e9  \t\r\n.dot\r\n\r\n\r\n";
    const sent = { client: SIGNED_CLIENT, to: "submission", from: ALICE, recipient: "carol@postfix.test" } as const;
    assertMatch(await sendMail(world, { ...sent, content: messageFrom(ALICE, "by a user", body) }), /^250 /);
    const submitted = await arrived(world, postfix.maildir("carol"), "by a user");
    const judged = resultsIn(submitted.octets).join("\n");
    for (
      const result of [
        /dkim=pass .*header\.d=posthorn\.test .*header\.s=s1 .*header\.s=s1-ed /,
        /dkim=pass header\.d=posthorn\.test [^;]*header\.a=ed25519-sha256 /,
        /spf=pass .*smtp\.mailfrom=posthorn\.test/,
        /dmarc=pass .*header\.from=posthorn\.test/,
      ]
    ) assertMatch(judged, result, submitted.text);
    assertEquals(await verify(submitted), ["pass", "pass"], submitted.text);
    assertMatch(submitted.text, /a=ed25519-sha256/);
    assertMatch(submitted.text, /a=rsa-sha256/);

    // Forwarding.
    const forwarded = { client: SIGNED_CLIENT, to: "postfix", from: "dave@plain.test" } as const;
    assertMatch(
      await sendMail(world, {
        ...forwarded,
        recipient: "forward@posthorn.test",
        content: messageFrom("dave@plain.test", "sent on", body),
      }),
      /^250 /,
    );
    const sentOn = await arrived(world, postfix.maildir("carol"), "sent on");
    assertMatch(sentOn.text, /^Return-Path: <SRS0=.*@posthorn\.test>\r$/m);
    // A word of OpenDMARC on SPF stands in front of that of OpenDKIM.
    const results = resultsIn(sentOn.octets).filter((field) => /: mx\.postfix\.test;/.test(field)).join("\n");
    assertMatch(results, /spf=pass .*smtp\.mailfrom=posthorn\.test/, sentOn.text);
    assertMatch(results, /dkim=pass .*header\.d=plain\.test/, sentOn.text);
    assertEquals(await verify(sentOn), ["pass"], sentOn.text);
    const [arc] = ARC_PEERS;
    const chain = await arc?.run(texts, [{ op: "validate", message: sentOn.text }]);
    assertMatch(chain?.[0] ?? "", /^pass/, `${chain}\n${sentOn.text}`);
    assertMatch(
      sentOn.text.replace(/\r\n[ \t]+/g, " "),
      /^ARC-Authentication-Results: i=1; mail\.posthorn\.test;.*dkim=pass/m,
    );

    // Reports: to a user of ours, and to the sender of mail that an alias sent on.
    assertMatch(
      await sendMail(world, {
        ...sent,
        recipient: "nobody@postfix.test",
        content: messageFrom(ALICE, "to nobody"),
      }),
      /^250 /,
    );
    const own = await arrived(world, posthorn.maildir(ALICE), "[Uu]ndeliver|[Nn]ot delivered|[Ff]ail|could not");
    assertEquals(await verify(own), ["pass", "pass"], own.text);
    assertMatch(
      await sendMail(world, {
        ...forwarded,
        from: BOB,
        recipient: "nowhere@posthorn.test",
        content: messageFrom(BOB, "to an alias"),
      }),
      /^250 /,
    );
    const report = await arrived(world, postfix.maildir("bob"), "");
    assertEquals(await verify(report), ["pass", "pass"], report.text);
    assertMatch(
      resultsIn(report.octets).join("\n"),
      /spf=pass .*helo=mail[^]*dkim=pass .*d=posthorn\.test/,
      report.text,
    );
  },
);

peerTest(
  "posthorn judges what Postfix signs, forges and sends on, and takes mail while DNS is silent",
  WORLD_NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const world = await startAuthenticatedMail(stack, { reports: { dmarc: { send: true } } });
    const { postfix, posthorn, dns } = world;
    const inbox = posthorn.maildir(ALICE);
    const viaPostfix = async (from: string, content: string, client = SIGNED_CLIENT): Promise<void> => {
      const said = await sendMail(world, { client, to: "postfix", from, recipient: ALICE, content });
      assertMatch(said, /^250 /, await world.detail());
    };
    const firstField = (message: MaildirMessage): string => {
      const [first = "", ...others] = resultsIn(message.octets).filter((field) => field.includes("mail.posthorn.test"));
      assertEquals(others, [], message.text);
      const at = message.text.indexOf("Authentication-Results:");
      assert(at < message.text.indexOf("\r\nReceived:"), message.text);
      return first;
    };

    const forged = "Authentication-Results: mail.posthorn.test; dmarc=pass header.from=forged.test\r\n" +
      "Authentication-Results: other.test; dkim=pass header.d=kept.test\r\n";
    const long = `${"All work and no play \u00e4\u00f6\u00fc".repeat(3)}\r\n`.repeat(4_500);
    assert(long.length > 300_000);
    await viaPostfix(BOB, messageFrom(BOB, "signed and long", long, forged));
    const signed = await arrived(world, inbox, "signed and long");
    const pass =
      /^Authentication-Results: mail\.posthorn\.test;.* spf=pass .*smtp\.mailfrom=\S*postfix\.test.* dkim=pass .*header\.d=postfix\.test.* dmarc=pass .*header\.from=postfix\.test/;
    assertMatch(firstField(signed), pass);
    assert(!signed.text.includes("forged.test"));
    assertStringIncludes(signed.text, "kept.test");

    // The same by BDAT, from where SPF does not let it come.
    const chunked = {
      client: STRANGER,
      from: BOB,
      recipient: ALICE,
      content: fromSignature(signed),
      chunkOctets: 70_001,
    };
    assertMatch(await sendMail(world, chunked), /^250 /, posthorn.log);
    await inbox.waitFor(2, { detail: () => posthorn.log });
    const second = (await inbox.messages()).find(({ name }) => name !== signed.name);
    assert(second);
    assertMatch(firstField(second), / spf=fail .* dkim=pass .* dmarc=pass /);

    await viaPostfix("dave@plain.test", messageFrom("dave@plain.test", "plain"));
    const plain = await arrived(world, inbox, "plain");
    assertMatch(firstField(plain), / dkim=pass .*header\.d=plain\.test.* dmarc=none /);
    const changed = new TextDecoder("latin1").decode(fromSignature(plain)).replace("Hello", "Hallo");
    assertMatch(
      await sendMail(world, { client: STRANGER, from: BOB, recipient: ALICE, content: `X-Copy: 1\r\n${changed}` }),
      /^250 /,
    );
    await inbox.waitFor(4, { detail: () => posthorn.log });
    const copy = (await inbox.messages()).find(({ text }) => text.includes("X-Copy: 1"));
    assert(copy);
    assertMatch(firstField(copy), / dkim=fail .*header\.d=plain\.test/);

    await viaPostfix(BOB, messageFrom("boss@strict.test", "forged"), UNSIGNED_CLIENT);
    const bounce = await arrived(world, postfix.maildir("bob"), "Undelivered");
    assertMatch(bounce.text.replace(/\r\n +/g, " "), /said: 550[- ]5\.7\.1 .*strict\.test/);
    await viaPostfix(BOB, messageFrom("sales@soft.test", "doubtful"), UNSIGNED_CLIENT);
    const junk = await arrived(world, new Maildir(`${inbox.path}/.Junk`), "doubtful");
    assertMatch(firstField(junk), / dmarc=fail .*header\.from=soft\.test/);
    assertMatch(await Deno.readTextFile(`${inbox.path}/subscriptions`), /^Junk$/m);
    assertEquals((await inbox.names()).length, 4);

    dns.freezeResolver(true);
    const started = performance.now();
    const unseen = { client: STRANGER, from: "eve@unseen.test", recipient: ALICE };
    const said = await sendMail(world, { ...unseen, content: messageFrom("eve@unseen.test", "in silence") });
    assertMatch(said, /^250 /, posthorn.log);
    assert(performance.now() - started < 25_000, `${performance.now() - started} ms`);
    const silent = await arrived(world, inbox, "in silence");
    assertMatch(firstField(silent), / spf=temperror .* dmarc=temperror /);
    dns.freezeResolver(false);

    await posthorn.kill("SIGTERM");
    using database = new DatabaseSync(`${posthorn.dataFolder}/state.db`);
    const rows = database.prepare("SELECT domain, results, count FROM dmarc_row ORDER BY domain, count").all();
    assertEquals(rows.map(({ domain, count }) => `${domain} ${count}`), [
      "postfix.test 1",
      "postfix.test 1",
      "strict.test 1",
    ], JSON.stringify(rows, null, 2));
    assertMatch(String(rows[2]?.["results"]), /reject/);
  },
);
