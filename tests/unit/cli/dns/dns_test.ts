/** `posthorn dns` from a configuration file to what is printed, without the network. */

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { CommandError } from "../../../../lib/cli/command_error.ts";
import { UsageError } from "../../../../lib/cli/command_line.ts";
import { dns } from "../../../../lib/cli/dns.ts";
import { checkReport } from "../../../../lib/cli/dns/check_report.ts";
import { gatherSite } from "../../../../lib/cli/dns/gather_site.ts";
import { policyGaps } from "../../../../lib/cli/dns/policy_gaps.ts";
import { publicAddresses } from "../../../../lib/cli/dns/public_address.ts";
import type { Config } from "../../../../lib/config/config.ts";
import { loadConfig } from "../../../../lib/config/load.ts";
import { createDkimKeys } from "../../../../lib/msgauth/dkim/key.ts";
import type { Finding } from "../../../../lib/publish/check/finding.ts";
import type { Site } from "../../../../lib/publish/site.ts";
import { systemFiles } from "../../../../lib/system/files.ts";
import { makeSelfSigned } from "../../../../lib/tls/self_signed.ts";
import { TemporaryFolder } from "../../../support/interop/temporary_folder.ts";

const io = { readText: (path: string): Promise<string> => Deno.readTextFile(path), env: (): undefined => undefined };

async function configured(folder: string, text: string): Promise<Config> {
  const file = `${folder}/posthorn.yaml`;
  await Deno.writeTextFile(file, `hostname: mail.example.org\n${text}\n`);
  return await loadConfig(file, io);
}

async function siteOf(text: string, wishes: Partial<{ domain: string; interfaces: string[] }> = {}): Promise<Site> {
  await using folder = await TemporaryFolder.create();
  const { domain = "example.org", interfaces = ["127.0.0.1", "10.0.0.5", "192.0.2.1", "fe80::1", "2001:db8::1"] } =
    wishes;
  const config = await configured(folder.path, text);
  return await gatherSite(config, { domain, addresses: undefined, interfaces: () => interfaces });
}

const OURS = "domains: { example.org: {} }";

Deno.test("public addresses are those that others can reach, in their usual spelling, IPv4 first", () => {
  assertEquals(
    publicAddresses([
      ...["2001:DB8:0::1", "192.0.2.1", "192.0.2.1", "::ffff:198.51.100.1", "127.0.0.1", "10.1.2.3", "172.31.0.1"],
      ...[
        "192.168.1.1",
        "100.64.0.1",
        "169.254.1.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "0.0.0.0",
        "224.0.0.1",
        "x",
      ],
    ]),
    ["192.0.2.1", "198.51.100.1", "2001:db8::1"],
  );
});

Deno.test("the addresses are those of the machine, or of the listeners where they are on certain ones", async () => {
  assertEquals((await siteOf(OURS)).addresses, ["192.0.2.1", "2001:db8::1"]);
  const on = (bind: string): string => `${OURS}\nlisteners: [{ bind: "${bind}", service: mx }]`;
  assertEquals((await siteOf(on("192.0.2.9:25"))).addresses, ["192.0.2.9"]);
  assertEquals((await siteOf(on("0.0.0.0:25"))).addresses, ["192.0.2.1"]);
  assertEquals((await siteOf(on("127.0.0.1:25"))).addresses, []);
});

Deno.test("listeners, routes, sources and hosts of the configuration make the facts", async () => {
  const usual = await siteOf(OURS);
  assertEquals(usual.submission, { starttls: 587, implicit: 465 });
  assertEquals([usual.takesMailOnPort25, usual.smarthost, usual.otherSources, usual.dkimKeys], [
    true,
    undefined,
    [],
    [],
  ]);
  const site = await siteOf(`
domains: { example.org: { mx: [a.example.org, mail.example.org], dkim: [s1] } }
listeners:
  - { bind: "127.0.0.1:2525", service: mx }
  - { bind: "127.0.0.1:587", service: submission }
  - { bind: "[::]:1465", service: submission, tls: implicit }
delivery: { source: [192.0.2.7] }
routes: [{ domain: "*", via: "smtp://smarthost.example:587" }]`);
  assertEquals(site.hosts, ["a.example.org", "mail.example.org"]);
  assertEquals(site.submission, { implicit: 1465 });
  assertEquals([site.takesMailOnPort25, site.smarthost, site.otherSources], [false, "smarthost.example", [
    "192.0.2.7",
  ]]);
  assertEquals(site.dkimKeys, [{ selector: "s1", isConfigured: true }, { selector: "s1-ed", isConfigured: true }]);
});

Deno.test("reports go where they are read, best in the domain itself, else to postmaster", async () => {
  const target = async (receive: string, domain = "example.org"): Promise<string> => {
    const domains = "domains: { example.org: { catch_all: x@example.org }, example.net: { catch_all: x@example.org } }";
    return (await siteOf(`${domains}\nreports: { receive: [${receive}] }`, { domain })).reportsTo;
  };
  assertEquals(await target("r@example.net, dmarc@example.org, tls@example.org"), "dmarc@example.org");
  assertEquals(await target("dmarc@example.org", "example.net"), "dmarc@example.org");
  assertEquals(await target('"a!b@example.org", rua+d@example.org'), "rua+d@example.org");
  assertEquals(await target(""), "postmaster@example.org");
});

Deno.test("a domain whose reports are read at another one of ours has its record printed there", async () => {
  const text = "domains: { example.org: {}, sub.example.org: {}, example.net: {}, example.com: {} }\n" +
    "reports: { receive: [dmarc@example.org, dmarc@example.com] }";
  const site = async (domain: string): Promise<Site> => await siteOf(text, { domain });
  assertEquals((await site("example.org")).reportsAlsoOn, ["example.net"]);
  assertEquals((await site("example.com")).reportsAlsoOn, []);
  assertEquals([(await site("example.net")).reportsTo, (await site("example.net")).reportsAlsoOn], [
    "dmarc@example.org",
    [],
  ]);
});

Deno.test("the host belongs to the nearest of our domains; where it is in none, to each of them", async () => {
  const home = async (domains: string, domain: string): Promise<boolean> =>
    (await siteOf(`domains: { ${domains} }`, { domain })).hasHostRecords;
  assertEquals(await home("example.org: {}, example.net: {}", "example.org"), true);
  assertEquals(await home("example.org: {}, example.net: {}", "example.net"), false);
  assertEquals(await home("example.org: {}, mail.example.org: {}", "example.org"), false);
  assertEquals(await home("example.net: {}, example.com: {}", "example.net"), true);
});

Deno.test("a certificate gives its key, and says whether it names the policy host", async () => {
  await using folder = await TemporaryFolder.create();
  const pair = await makeSelfSigned("mail.example.org", Date.now());
  await Deno.writeTextFile(`${folder.path}/chain.pem`, pair.chain);
  await Deno.writeTextFile(`${folder.path}/key.pem`, pair.key);
  const gather = async (listener: string): Promise<Site> =>
    await gatherSite(
      await configured(
        folder.path,
        `domains: { example.org: { mta_sts: testing } }\ntls: { certificates: [{ chain: chain.pem, key: key.pem }] }\n` +
          `listeners: [${listener}]`,
      ),
      { domain: "example.org", addresses: [], interfaces: () => [] },
    );
  const site = await gather('{ bind: "[::]:443", service: web }');
  assert(site.certificate.kind === "key");
  assertMatch(site.certificate.keyHash, /^[0-9a-f]{64}$/);
  assertEquals([site.sts?.isServed, site.sts?.isCertified], [true, false]);
  const proxied = await gather('{ bind: "127.0.0.1:8080", service: web, tls: off }');
  assertEquals([proxied.sts?.isServed, proxied.sts?.isCertified], [true, true]);
  const unserved = await gather('{ bind: "[::]:25", service: mx }');
  assertEquals(unserved.sts?.isServed, false);
});

Deno.test("check tells of a policy that nobody gives away, or under no certificate", async () => {
  await using folder = await TemporaryFolder.create();
  const gaps = async (listener: string): Promise<string> =>
    policyGaps(
      await configured(
        folder.path,
        `domains: { example.org: { mta_sts: testing }, b.example: {} }\nlisteners: [${listener}]`,
      ),
      undefined,
    ).join("\n");
  assertEquals(
    await gaps('{ bind: "[::]:25", service: mx }'),
    "No listener of service web gives away the MTA-STS policy of example.org: a proxy has to",
  );
  assertMatch(
    await gaps('{ bind: "[::]:443", service: web }'),
    /^No certificate .* names mta-sts\.example\.org: [^\n]*$/,
  );
  assertEquals(await gaps('{ bind: "127.0.0.1:8080", service: web, tls: off }'), "");
});

interface Call {
  readonly flags?: Record<string, string | true>;
  readonly isJson?: boolean;
  readonly hasKeys?: boolean;
}

async function run(words: readonly string[], { flags = {}, isJson = false, hasKeys }: Call = {}): Promise<string> {
  await using folder = await TemporaryFolder.create();
  await configured(folder.path, "domains: { example.org: { dkim: [s1] } }");
  const name = { domain: "example.org", selector: "s1" };
  if (hasKeys) await createDkimKeys(`${folder.path}/data/keys`, name, systemFiles);
  const findFile = (): Promise<string> => Promise.resolve(`${folder.path}/posthorn.yaml`);
  return (await dns({ findFile, words, flags: new Map(Object.entries(flags)), isJson })).text;
}

Deno.test("the records of a domain are printed with both of its keys and the addresses that were named", async () => {
  const text = await run(["Example.ORG"], { flags: { address: "192.0.2.1, 2001:DB8::1" }, hasKeys: true });
  assertStringIncludes(text, "\nmail.example.org. 3600 IN AAAA 2001:db8::1\n");
  assertMatch(text, /\ns1\._domainkey\.example\.org\. 3600 IN TXT "v=DKIM1; k=rsa; p=[^"]{237}" "[^"]+"\n/);
  assertMatch(text, /\ns1-ed\._domainkey\.example\.org\. 3600 IN TXT "v=DKIM1; k=ed25519; p=[^"]{44}"\n/);
});

Deno.test("with --json records are objects, with their line and the strings of a text", async () => {
  const records = JSON.parse(await run(["example.org"], { flags: { address: "192.0.2.1" }, isJson: true })) as Record<
    string,
    unknown
  >[];
  const { purpose: _purpose, ...spf } = records.find(({ value }) => value === "v=spf1 mx -all") ?? {};
  assertEquals(spf, {
    name: "example.org",
    type: "TXT",
    value: "v=spf1 mx -all",
    importance: "required",
    strings: ["v=spf1 mx -all"],
    line: 'example.org. 3600 IN TXT "v=spf1 mx -all"',
  });
});

Deno.test("what is no domain of ours, or no address for others, is refused", async () => {
  await assertRejects(() => run([]), UsageError);
  await assertRejects(() => run(["example.org", "x"]), UsageError);
  await assertRejects(() => run(["example.net"]), CommandError, '"example.net" is none of our domains (example.org)');
  await assertRejects(
    () => run(["example.org"], { flags: { address: "10.0.0.1" } }),
    CommandError,
    '"10.0.0.1" is no address',
  );
  await assertRejects(() => run(["example.org"], { flags: { address: "" } }), CommandError, "--address");
});

Deno.test("the exit code of a check is that of the worst finding", () => {
  const finding = (kind: Finding["kind"]): Finding => ({
    kind,
    name: "a.example",
    type: "MX",
    text: "text",
    mend: "mend",
  });
  const code = (...kinds: Finding["kind"][]): number => checkReport("a.example", kinds.map(finding), false).exitCode;
  assertEquals([code("good", "advice"), code("good", "unknown"), code("unknown", "wrong", "good")], [0, 69, 65]);
  assertEquals(
    checkReport("a.example", [finding("wrong")], false).text,
    "wrong    MX a.example: text\n         → mend\n\nOf the records of a.example, 1 are wrong, and 0 could not be compared",
  );
  assertEquals(JSON.parse(checkReport("a.example", [], true).text), {
    domain: "a.example",
    isGood: true,
    findings: [],
  });
});
