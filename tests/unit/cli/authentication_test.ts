import { assertEquals } from "@std/assert";
import { MailAuthentication } from "../../../lib/cli/authentication.ts";
import type { Config } from "../../../lib/config/config.ts";
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
