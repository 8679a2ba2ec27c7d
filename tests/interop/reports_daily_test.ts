/**
 * A day of reports by the running program: mail is counted, at midnight (UTC) the day ends, in the first hours of the next the
 * reports go out, and who is reported to reads them. The clock of both servers is moved, and nothing else is made up.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { attachmentsOf } from "../../lib/reports/received/attachments.ts";
import { inflate } from "../../lib/reports/gzip.ts";
import { runCommand } from "../support/interop/command.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import {
  CROWD,
  REPORT_WORLD_NEEDS,
  type ReportWorld,
  runOf,
  startReportWorld,
  STRANGER,
  withSubject,
} from "../support/interop/report_world.ts";
import { latin1 } from "../support/interop/maildir.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = "alice@a.test";
const BOB = "bob@b.test";

async function until<T>(world: ReportWorld, what: string, look: () => Promise<T | undefined>): Promise<T> {
  return await waitUntil(look, { what, timeoutMs: 20_000, everyMs: 100, detail: () => world.detail() });
}

async function arrived(world: ReportWorld, address: string, subject: RegExp): Promise<Uint8Array<ArrayBuffer>> {
  const posthorn = address.endsWith("@a.test") ? world.a : world.b;
  return (await until(
    world,
    `${subject} for ${address}`,
    async () => (await withSubject(posthorn, address, subject))[0],
  )).octets;
}

/** Mail of one day: proved, sent on with its signature, forged under several policies. */
async function mailOfADay(world: ReportWorld): Promise<void> {
  assertMatch(await world.send({ as: "b", from: BOB, to: ALICE, subject: "genuine" }), /^250 /, world.detail());
  const genuine = latin1(await arrived(world, ALICE, /^genuine$/));
  const content = Uint8Array.from(genuine.slice(genuine.search(/^DKIM-Signature:/m)), (char) => char.charCodeAt(0));
  const forge = (from: string): Promise<string> =>
    world.send({ as: STRANGER, from, to: ALICE, subject: `forged ${from}` });
  assertMatch(
    await world.send({ as: STRANGER, from: "list@stranger.test", to: ALICE, subject: "sent on", content }),
    /^250 /,
  );
  for (let i = 0; i < 2; i++) assertMatch(await forge("boss@b.test"), /^550 .*5\.7\.1/);
  for (const domain of ["agreed.test", "silent.test", "gone.test", ...CROWD]) {
    assertMatch(await forge(`boss@${domain}`), /^250 /);
  }
}

/** TLS as the policy wants it, none at all, and with a certificate that DANE does not allow. */
async function tlsOfADay(world: ReportWorld): Promise<void> {
  for (const to of [BOB, "x@plain.test", "x@dane.test"]) {
    assertMatch(await world.send({ as: "a", from: ALICE, to, subject: "hello" }), /^250 /);
  }
  await world.a.waitForLog(/relayed to bob@b\.test .*MTA-STS/);
  await world.a.waitForLog(/relayed to x@plain\.test /);
  await world.a.waitForLog(/delayed .*x@dane\.test |x@dane\.test .*delayed/i);
}

/**
 * How many reports on a domain came to an address of B. One message may come twice, where the server died between the 250 of B and
 * its record of it, as with any mail.
 */
async function reportsOn(world: ReportWorld, address: string, domain: string): Promise<number> {
  const found = await withSubject(world.b, address, new RegExp(`Report Domain: ${domain}[ \\r]`));
  return new Set(found.map(({ text }) => /^Message-ID: (.*)\r$/mi.exec(text)?.[1])).size;
}

const everybodyHasIt = (world: ReportWorld): Promise<true> =>
  until(world, "a report on each domain", async () => {
    for (const domain of ["b.test", ...CROWD]) {
      if (await reportsOn(world, "dmarc@b.test", domain) === 0) return undefined;
    }
    return await reportsOn(world, BOB, "agreed.test") > 0 ? true : undefined;
  });

peerTest(
  "Reports on a day go out in the first hours of the next, pass DMARC, are valid, and are read where they arrive",
  REPORT_WORLD_NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const world = await startReportWorld(stack, { dmarc: { send: true }, tls: { send: true }, organization: "A & Co" });
    const { a, b, clock } = world;
    const day = clock.today();
    await mailOfADay(world);
    await tlsOfADay(world);

    // Before the day is over nothing is due, whoever asks.
    await clock.moveTo("23:50");
    const early = await runOf(a, "reports", "send");
    assertEquals([early.code, early.stdout], [0, ""], early.stderr);
    assertStringIncludes(early.stderr, "No reports are due");
    // What comes after midnight belongs to the next day.
    await clock.moveTo("00:02", 1);
    assertMatch(await world.send({ as: "b", from: BOB, to: ALICE, subject: "tomorrow" }), /^250 /);
    await arrived(world, ALICE, /^tomorrow$/);
    assert(!/DMARC report on/.test(a.log), a.log);
    await clock.moveTo("04:20");
    await everybodyHasIt(world);
    await until(world, "the posted report", async () => await exists(`${world.collected}/0.json.gz`));
    await a.waitForLog(/TLS report on plain\.test of \S+: 1 sessions, \d failed; sent to tls@b\.test/);

    // Nobody who did not agree gets one; a refused one ends in the log.
    assertMatch(a.log, /DMARC report on silent\.test .* sent to nobody \(vendor\.test did not agree to it\)/);
    assertEquals(await reportsOn(world, BOB, "silent.test"), 0);
    await a.waitForLog(/nobody@b\.test.*5\.1\.1/);
    assertEquals(await a.maildir("postmaster@a.test").names().catch(() => []), []);

    // The mail, and the report in it.
    const mail = await arrived(world, "dmarc@b.test", /Report Domain: b\.test /);
    const header = latin1(mail).replace(/\r\n[ \t]+/g, " ");
    assertMatch(header, /^Authentication-Results: mail\.b\.test;.* dkim=pass .*header\.d=a\.test.* dmarc=pass /m);
    assertMatch(header, /^From: "A & Co" <postmaster@a\.test>\r$/m);
    const xml = new TextDecoder().decode(await inflate(attachmentsOf(mail)[0] ?? new Uint8Array(), "gzip", 1e6));
    await assertValid(xml);
    const begin = Date.parse(`${day}T00:00:00Z`) / 1000;
    assertStringIncludes(xml, `<begin>${begin}</begin>\n<end>${begin + 86_399}</end>`);
    assertEquals(rowsOf(xml), [
      "192.0.2.2 1 none pass pass",
      "203.0.113.8 1 none pass fail",
      "203.0.113.8 2 reject fail fail",
    ]);
    const tls = latin1(await arrived(world, "tls@b.test", /Report Domain: b\.test /)).replace(/\r\n[ \t]+/g, " ");
    assertMatch(tls, /dmarc=pass /);
    assertMatch(tls, /^TLS-Report-Submitter: mail\.a\.test\r$/m);

    // What B makes of it.
    const file = `${world.collected}/0.json.gz`;
    await until(world, "all reports in the database of B", async () => {
      const { stdout } = await runOf(b, "reports", "--json");
      return JSON.parse(stdout || "{}").reports === 2 + 1 + CROWD.length + 1 ? true : undefined;
    });
    assertEquals(
      (await runOf(b, "reports", "import", file)).stdout,
      "1 reports taken in, 0 were there before, 0 files with problems\n",
    );
    const again = await runOf(b, "reports", "import", file, `${b.dataFolder}/mail/b.test/dmarc`);
    assertEquals(
      again.stdout,
      `0 reports taken in, ${2 + CROWD.length} were there before, 0 files with problems\n`,
      again.stderr,
    );
    const { stdout: table } = await runOf(b, "reports");
    assertStringIncludes(table, "Mail in the name of b.test: 4 messages, 50.0% pass DMARC");
    assertMatch(table, /^ {2}192\.0\.2\.2 +1 +1 +1 +1 +0 +0 {2}b\.test; b\.test; A & Co$/m);
    assertMatch(table, /^ {2}203\.0\.113\.8 +3 +1 +1 +0 +0 +2 {2}b\.test; b\.test; A & Co$/m);
    assertMatch(table, /^Mail in the name of agreed\.test: 1 message, 0\.0% pass DMARC$/m);
    assert(!table.includes("silent.test"), table);
    assertMatch(table, /^TLS to b\.test \(sts\): 1 session, 100\.0% as wanted; reported by A & Co$/m);
    assertMatch(
      table,
      /^TLS to plain\.test \(no-policy-found\): 1 session, 0\.0% as wanted; .*\n +1 {2}starttls-not-supported at mx\.plain\.test/m,
    );
    assertMatch(
      table,
      /^TLS to mx\.dane\.test \(tlsa\): \d+ sessions?, 0\.0% as wanted; .*\n +\d+ {2}[a-z-]+ at mx\.dane\.test/m,
    );

    // DANE is about the name of the MX host, and whoever asks about the domain wants to know.
    const dane = JSON.parse((await runOf(b, "reports", "--json", "--domain", "dane.test")).stdout);
    assertEquals(dane.tls.map(({ domain }: { domain: string }) => domain), ["mx.dane.test"]);

    // A day on which the server was down from midnight to the evening.
    await a.waitForLog(/DMARC report on d5\.test/);
    await a.kill("SIGTERM");
    await clock.moveTo("18:00", 1);
    a.spawn();
    await a.ready();
    await clock.moveBy(400);
    await a.waitForLog(
      new RegExp(`DMARC report on b\\.test of ${nextDay(day)}: 1 messages in 1 rows, sent to dmarc@b\\.test`),
    );
    assertEquals(await reportsOn(world, "dmarc@b.test", "d0.test"), 1);
  },
);

peerTest(
  "kill -9 in the middle of sending reports sends none twice and forgets none, and none goes out where they are switched off",
  REPORT_WORLD_NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const world = await startReportWorld(stack, { dmarc: { send: true } });
    const { a, clock } = world;
    await mailOfADay(world);
    await a.kill("SIGTERM");
    await clock.moveTo("12:00", 1);
    await a.configure({ reports: { receive: ["postmaster@a.test"] } });
    a.spawn();
    await a.ready();
    await clock.moveBy(400);
    const off = await runOf(a, "reports", "send");
    assertEquals(off.code, 69, off.stdout + off.stderr);
    assertStringIncludes(off.stderr, "Sending reports is switched off");
    assert(!/report on/.test(a.log), a.log);

    await a.configure({});
    await a.restart();
    // Thrice, each time a little further.
    for (let round = 0; round < 3; round++) {
      const command = runOf(a, "reports", "send", "--json");
      await a.waitForLog(/DMARC report on \S+ of .* sent to \S+@/);
      await a.kill("SIGKILL");
      await command;
      a.spawn();
      await a.ready();
    }
    const { code, stdout } = await runOf(a, "reports", "send");
    assertEquals(code, 0, stdout);
    await everybodyHasIt(world);
    await a.waitForEmptyQueue();
    for (const domain of ["b.test", ...CROWD]) {
      assertEquals(await reportsOn(world, "dmarc@b.test", domain), 1, `${domain}\n${world.detail()}`);
    }
    assertEquals(await reportsOn(world, BOB, "agreed.test"), 1);
    const { code: last, stdout: nothing } = await runOf(a, "reports", "send");
    assertEquals([last, nothing], [0, ""]);
  },
);

async function assertValid(xml: string): Promise<void> {
  const schema = await Deno.readTextFile(new URL("../fixtures/reports/rfc7489.xsd", import.meta.url));
  const file = await Deno.makeTempFile({ suffix: ".xsd" });
  try {
    await Deno.writeTextFile(file, schema.replace('targetNamespace="http://dmarc.org/dmarc-xml/0.1"', ""));
    const { code, stderr } = await runCommand(
      [programPath("xmllint"), "--noout", "--nonet", "--schema", file, "-"],
      { stdin: xml },
    );
    assertEquals(code, 0, stderr + xml);
  } finally {
    await Deno.remove(file);
  }
}

/** Address, count, disposition, DKIM and SPF of each row. */
function rowsOf(xml: string): readonly string[] {
  const row =
    /<source_ip>(.*)<\/source_ip>\s*<count>(.*)<\/count>\s*<policy_evaluated>\s*<disposition>(.*)<\/disposition>\s*<dkim>(.*)<\/dkim>\s*<spf>(.*)<\/spf>/g;
  return [...xml.matchAll(row)].map(([, ...fields]) => fields.join(" ")).sort();
}

async function exists(path: string): Promise<true | undefined> {
  return await Deno.stat(path).then(() => true as const, () => undefined);
}

function nextDay(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
}
