/** Reports against xmllint and the schema of the RFC, and through the real program. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { composeAggregate } from "../../lib/reports/dmarc/compose.ts";
import { gzip } from "../../lib/reports/gzip.ts";
import { composeReportMail } from "../../lib/reports/report_mail.ts";
import { runCommand } from "../support/interop/command.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { anyReport } from "../unit/reports/arbitraries.ts";
import { readSample, REPORT } from "../unit/reports/samples.ts";

const SCHEMA = new URL("../fixtures/reports/rfc7489.xsd", import.meta.url);

peerTest("The DMARC reports that we write are valid by the schema of RFC 7489", ["xmllint"], async () => {
  await using folder = await TemporaryFolder.create();
  // As printed it is not consistent: see the comment there.
  const schema = (await Deno.readTextFile(SCHEMA)).replace('targetNamespace="http://dmarc.org/dmarc-xml/0.1"', "");
  await Deno.writeTextFile(`${folder.path}/rua.xsd`, schema);
  const reports = [REPORT, ...fc.sample(anyReport, 200)];
  const files = reports.map((_, index) => `${folder.path}/${index}.xml`);
  for (const [index, report] of reports.entries()) {
    await Deno.writeTextFile(files[index] ?? "", composeAggregate(report));
  }
  const command = [programPath("xmllint"), "--noout", "--nonet", "--schema", `${folder.path}/rua.xsd`];
  const { code, stderr } = await runCommand([...command, ...files]);
  assertEquals(code, 0, stderr.slice(0, 2000));
  assertEquals(stderr.match(/ validates$/gm)?.length, reports.length);
  // The schema can say no.
  await Deno.writeTextFile(files[0] ?? "", composeAggregate(REPORT).replace("<count>2</count>\n", ""));
  assertEquals((await runCommand([...command, files[0] ?? ""])).code, 3);
});

Deno.test("A report that comes by mail is in its mailbox and in `posthorn reports`, with the server running and stopped", async () => {
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    config: { reports: { receive: ["dmarc@example.org"] } },
    accounts: [{ address: "dmarc@example.org", password: "secret password" }],
  });
  const mail = composeReportMail({
    from: "noreply-dmarc-support@google.com",
    organization: "google.com",
    to: "dmarc@example.org",
    subject: "Report domain: example.org Submitter: google.com Report-ID: 1",
    moreFields: "",
    type: "multipart/mixed",
    words: "A report",
    attachment: { type: "application/gzip", fileName: "g.xml.gz", octets: await gzip(await readSample("google.xml")) },
    hostname: "google.com",
    nowMs: Date.now(),
    random: crypto.getRandomValues(new Uint8Array(16)),
  });
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  assertMatch(await dialog.send("bounce@google.com", ["DMARC@example.org"], mail), /^250 /);
  assertMatch(
    await dialog.send("x@spam.example", ["dmarc@example.org"], latin1Octets("Subject: hello\r\n\r\nbuy\r\n")),
    /^250 /,
  );
  await posthorn.waitForLog(/: DMARC report of google\.com on example\.org, 4711000000000000001/);
  await posthorn.waitForLog(/: there is no report in it/);
  await posthorn.maildir("dmarc@example.org").waitFor(2, { detail: () => posthorn.log });

  const days = ["--days", "3000"];
  const table = await posthorn.run(["reports", ...days]);
  assertEquals(table.code, 0, table.stderr);
  assertStringIncludes(table.stdout, "Mail in the name of example.org: 15 messages, 80.0% pass DMARC");
  assertMatch(table.stdout, /^ {2}2001:db8::66 +3 +0 +0 +0 +3 +0 {2}shop\.example\.org; -; google\.com$/m);

  await posthorn.kill("SIGTERM");
  const file = `${posthorn.folder}/t.json`;
  await Deno.writeFile(file, await readSample("google_tls.json"));
  const imported = await posthorn.run(["reports", "import", file, `${posthorn.dataFolder}/mail/example.org/dmarc`]);
  assertEquals([imported.code, imported.stdout], [
    65,
    "1 reports taken in, 1 were there before, 1 files with problems\n",
  ]);
  assertStringIncludes(imported.stderr, "there is no report in it");
  const { stdout } = await posthorn.run(["reports", ...days, "--domain", "example.org", "--json"]);
  const overview = JSON.parse(stdout);
  assertEquals(overview.reports, 2);
  assertEquals(overview.tls[0].details, [{ text: "certificate-expired at mail.example.org", count: 2 }]);
});

Deno.test("Without reports there is no state database; a damaged one stops nothing", async () => {
  await using posthorn = await PosthornProcess.start({ listeners: [{ service: "mx" }] });
  assert(await Deno.stat(`${posthorn.dataFolder}/state.db`).then(() => false, () => true), "state.db is there");
  await posthorn.kill("SIGTERM");
  await posthorn.configure({ reports: { dmarc: { send: true }, tls: { send: true } } });
  await Deno.writeTextFile(`${posthorn.dataFolder}/state.db`, "garbage ".repeat(1000));
  await posthorn.restart();
  await posthorn.waitForLog(/state\.db is damaged .* a new one begins/);
  await posthorn.kill("SIGTERM");
});
