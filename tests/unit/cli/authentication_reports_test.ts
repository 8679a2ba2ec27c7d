import { assertEquals } from "@std/assert";
import { MailAuthentication } from "../../../lib/cli/authentication.ts";
import type { Config } from "../../../lib/config/config.ts";
import type { Resolver } from "../../../lib/dns/resolver.ts";
import { createDkimKeys, dkimKeyPath } from "../../../lib/msgauth/dkim/key.ts";
import { dkimTxtValue } from "../../../lib/msgauth/dkim/private_key.ts";
import { systemFiles } from "../../../lib/system/files.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeResolver } from "../../support/fake_resolver.ts";
import { TemporaryFolder } from "../../support/interop/temporary_folder.ts";
import { LogLines } from "../../support/log_lines.ts";
import { octetsOf, verifyMessage } from "../../support/msgauth/dkim_check.ts";

Deno.test("A report of ours has a signature that others find good, of the nearest domain of ours above its author", async () => {
  await using folder = await TemporaryFolder.create();
  const keysFolder = `${folder.path}/keys`;
  const resolver = new FakeResolver();
  for (const name of await createDkimKeys(keysFolder, { domain: "example.org", selector: "s" }, systemFiles)) {
    const pem = await Deno.readTextFile(dkimKeyPath(keysFolder, name));
    resolver.zone[`${name.selector}._domainkey.example.org`] = { TXT: [dkimTxtValue(pem)] };
  }
  const clock = new FakeClock();
  const config = {
    data: folder.path,
    hostname: "mx.example.org",
    domains: new Map([["example.org", { name: "example.org", dkim: ["s"] }]]),
    msgauth: { authservId: "mx.example.org", spf: false, dkim: false, dmarc: "off", arc: "off" },
  } as unknown as Config;
  const options = { resolver, files: systemFiles, clock, logger: new LogLines(), random: () => 0 };
  using authentication = await MailAuthentication.start(config, options);
  const report = "From: <MAILER-DAEMON@mx.example.org>\r\nSubject: x\r\n\r\nIt failed.\r\n";
  const sent = await authentication.signOwn(octetsOf(report)) + report;
  const findings = await verifyMessage(sent, resolver, clock.now());
  assertEquals(findings.map(({ result, domain }) => `${result} ${domain}`), ["pass example.org", "pass example.org"]);
});

Deno.test("Messages that name servers which never answer leave room for the lookups of policies", async () => {
  const clock = new FakeClock();
  let waiting = 0;
  const zone = new FakeResolver({ "_dmarc.bank.example": { TXT: ["v=DMARC1; p=reject"] } });
  // As the resolver of a server: 256 lookups at a time.
  const resolver: Resolver = {
    lookup: async (name, type, signal) => {
      if (name.endsWith("slow.example")) {
        waiting++;
        await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()));
        waiting--;
        return { kind: "failed", reason: "given up" };
      }
      return waiting < 256 ? await zone.lookup(name, type) : { kind: "failed", reason: "no room" };
    },
  };
  const config = {
    data: "/nowhere",
    hostname: "mx.example.org",
    domains: new Map(),
    msgauth: {
      authservId: "mx.example.org",
      spf: true,
      dkim: true,
      dmarc: "enforce",
      arc: "off",
      onTemporaryError: "accept",
      trustedForwarders: [],
      trustedSealers: [],
    },
  } as unknown as Config;
  const options = { resolver, files: systemFiles, clock, logger: new LogLines(), random: () => 0 };
  using authentication = await MailAuthentication.start(config, options);
  const mail = { clientAddress: "192.0.2.1", helo: "x.example", reversePath: "", isSmtpUtf8: false };
  const signatures = Array.from(
    { length: 10 },
    (_, i) => `DKIM-Signature: v=1; a=rsa-sha256; d=slow.example; s=s${i}; h=from; bh=${"A".repeat(43)}=; b=AAAA\r\n`,
  ).join("");
  const slow = Array.from({ length: 40 }, () => {
    const checks = authentication.current().check(mail);
    checks?.header(octetsOf(`${signatures}From: <x@evil.example>\r\n`));
    return checks;
  });
  const forged = authentication.current().check({ ...mail, clientAddress: "nobody" });
  forged?.header(octetsOf("From: <ceo@bank.example>\r\n"));
  const finished = forged?.finish();
  for (let second = 0; second < 45; second++) await clock.advance(1_000);
  assertEquals((await finished)?.decision.action, "reject");
  for (const checks of slow) checks?.abort();
});
