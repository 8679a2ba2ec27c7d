import { assertEquals, assertMatch } from "@std/assert";
import { MailAuthentication } from "../../../lib/cli/authentication.ts";
import type { Config } from "../../../lib/config/config.ts";
import { loadConfig } from "../../../lib/config/load.ts";
import { dkimKeyPath } from "../../../lib/msgauth/dkim/key.ts";
import { systemFiles } from "../../../lib/system/files.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeResolver } from "../../support/fake_resolver.ts";
import { LogLines } from "../../support/log_lines.ts";
import { TemporaryFolder } from "../../support/interop/temporary_folder.ts";
import { takeMessage } from "../../support/msgauth/authenticated_intake.ts";
import { senderZone, STRANGER } from "../../support/msgauth/check_lab.ts";
import { NOW_MS, octetsOf, verifyMessage } from "../../support/msgauth/dkim_check.ts";
import { testKey } from "../../support/msgauth/dkim_keys.ts";

const key = await testKey("rsa-sha256", "s1");
const zone = senderZone("p=reject", key);
const FORGED = "From: ann@example.org\r\nSubject: Hi\r\n\r\nHello\r\n";
const FROM_STRANGER = { session: { clientAddress: STRANGER } };
const BY_USER = { session: { login: "ann@example.org" } };

/** A site with the key of example.org on its disk. */
class Site implements AsyncDisposable {
  readonly clock = new FakeClock(NOW_MS);
  readonly resolver = new FakeResolver(zone);
  readonly #started: MailAuthentication[] = [];
  private constructor(readonly folder: TemporaryFolder) {}

  static async create(): Promise<Site> {
    const folder = await TemporaryFolder.create();
    const path = dkimKeyPath(`${folder.path}/keys`, { domain: "example.org", selector: "s1" });
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, key.pem);
    return new Site(folder);
  }

  async config(msgauth: Record<string, unknown>, dkim: readonly string[] = ["s1"]): Promise<Config> {
    const text = JSON.stringify({
      hostname: "mail.example.org",
      data: this.folder.path,
      domains: { "example.org": { dkim } },
      msgauth,
    });
    return await loadConfig("/posthorn.yaml", { readText: () => Promise.resolve(text), env: () => undefined });
  }

  async start(msgauth: Record<string, unknown> = {}): Promise<MailAuthentication> {
    const { clock, resolver } = this;
    const options = { clock, resolver, files: systemFiles, logger: new LogLines(), random: (): number => 0 };
    const started = await MailAuthentication.start(await this.config(msgauth), options);
    this.#started.push(started);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const started of this.#started) started[Symbol.dispose]();
    await this.folder[Symbol.asyncDispose]();
  }
}

async function outcomeOf(authentication: MailAuthentication): Promise<string> {
  try {
    const { envelope } = await takeMessage([FORGED], authentication.current(), FROM_STRANGER);
    const field = /^Authentication-Results: ([^;]*);/.exec(envelope.trace)?.[1];
    return `${envelope.isQuarantined === true ? "quarantine" : "accepted"}, ${field ?? "no field"}`;
  } catch (error) {
    return (error as Error).message.slice(0, 9);
  }
}

Deno.test("the configuration says what is checked, and what follows", async () => {
  await using site = await Site.create();
  for (
    const [msgauth, expected] of [
      [{}, "550 5.7.1"],
      [{ dmarc: "quarantine" }, "quarantine, mail.example.org"],
      [{ dmarc: "none", authserv_id: "example.org" }, "accepted, example.org"],
      [{ dmarc: "off" }, "accepted, mail.example.org"],
      [{ trusted_forwarders: [STRANGER] }, "accepted, mail.example.org"],
      [{ spf: false, dkim: false, dmarc: "off" }, "accepted, no field"],
    ] as const
  ) assertEquals(await outcomeOf(await site.start(msgauth)), expected, JSON.stringify(msgauth));
});

Deno.test("a new configuration counts for the next message", async () => {
  await using site = await Site.create();
  const authentication = await site.start();
  const before = authentication.current();
  await authentication.update(await site.config({ dmarc: "quarantine" }, []));
  assertEquals(await outcomeOf(authentication), "quarantine, mail.example.org");
  const signedWith = async (current: typeof before): Promise<boolean> =>
    (await takeMessage([FORGED], current, BY_USER)).envelope.trace.startsWith("DKIM-Signature:");
  assertEquals([await signedWith(before), await signedWith(authentication.current())], [true, false]);
});

Deno.test("mail of users is signed with the key on the disk", async () => {
  await using site = await Site.create();
  const { envelope, content } = await takeMessage([FORGED], (await site.start()).current(), BY_USER);
  const found = await verifyMessage(envelope.trace + content, site.resolver);
  assertEquals(found.map(({ result, domain, selector }) => [result, domain, selector]), [[
    "pass",
    "example.org",
    "s1",
  ]]);
});

Deno.test("reports of ours are signed by their author's domain, or by the nearest one of ours above it", async () => {
  await using site = await Site.create();
  const authentication = await site.start();
  for (const from of ["postmaster@example.org", "mailer-daemon@mail.example.org", "x@a.b.example.org"]) {
    for (const body of ["", "Your message\r\n", "\r\n\r\n"]) {
      const report = `From: <${from}>\r\nTo: <bob@example.com>\r\n\r\n${body}`;
      const fields = await authentication.signOwn(octetsOf(report));
      assertMatch(fields, /^DKIM-Signature:[^]*\r\n$/);
      const found = await verifyMessage(fields + report, site.resolver);
      assertEquals(found.map(({ result, domain }) => [result, domain]), [["pass", "example.org"]], from);
    }
  }
  assertEquals(await authentication.signOwn(octetsOf("From: <a@notexample.org>\r\n\r\nx")), "");
  assertEquals(await authentication.signOwn(octetsOf("From: <a@example.org>\r\nno body")), "");
});

Deno.test("mail is sealed where the configuration says so, by whoever sends it on", async () => {
  await using site = await Site.create();
  const recipients = [{ address: "carol@elsewhere.test", forwardedBy: "team@example.org" }];
  for (const [arc, pattern] of [["off", /^$/], ["seal", /^ARC-Seal: i=1;[^]*cv=none/]] as const) {
    const authentication = await site.start({ arc, dmarc: "none" });
    const { envelope } = await takeMessage([FORGED], authentication.current(), { ...FROM_STRANGER, recipients });
    assertMatch(envelope.arcSeal ?? "", pattern);
  }
});
