/**
 * What `posthorn dns` prints becomes a zone of a real DNS server; then `--check` has nothing to say against it, other
 * servers and curl fetch the MTA-STS policy from us, and each record that is changed is told.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TestAuthority } from "../support/interop/certificates.ts";
import { mustRun } from "../support/interop/command.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { type Need, peerTest, programPath } from "../support/interop/peers.ts";
import { sendWithSmtplib } from "../support/interop/smtplib.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const NEEDS: readonly Need[] = [
  ...["root", "unshare", "nsenter", "ip", "knotd", "knotc", "keymgr", "kdig", "unbound"] as const,
  ...["named-checkzone", "curl", "openssl", "python"] as const,
];
/** Of a block for documentation: a public address, as far as posthorn can tell. */
const ADDRESS = "192.0.2.3";
const SENDER = "127.0.0.9";
const FILE = "https://mta-sts.posthorn.test/.well-known/mta-sts.txt";
const POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mail.posthorn.test\r\nmax_age: 1209600\r\n";

interface World {
  readonly folder: string;
  readonly namespace: Namespace;
  readonly authority: TestAuthority;
  readonly posthorn: PosthornProcess;
  /** What `posthorn dns` printed, the TLSA record published as well. */
  readonly zone: string;
}

async function startWorld(stack: AsyncDisposableStack): Promise<World> {
  const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
  for (const name of ["dns", "tls"]) await Deno.mkdir(`${folder}/${name}`);
  const namespace = stack.use(await Namespace.create());
  await namespace.run([programPath("ip"), "address", "add", `${ADDRESS}/32`, "dev", "lo"]);
  const authority = await TestAuthority.create(`${folder}/tls`);
  // The one that SMTP shows is not for the name of the policy: whoever asks for that has to get the other.
  const certificates = [
    await authority.issue("mail", ["DNS:mail.posthorn.test"]),
    await authority.issue("sts", ["DNS:mta-sts.posthorn.test"]),
  ];
  const posthorn = stack.use(
    await PosthornProcess.start({
      prefix: namespace.prefix,
      listeners: [
        { service: "mx", host: ADDRESS, port: 25 },
        { service: "submission", host: "0.0.0.0", port: 587 },
        { service: "submission", tls: "implicit", host: "0.0.0.0", port: 465 },
        { service: "web", tls: "implicit", host: "0.0.0.0", port: 443 },
        { service: "web", tls: "off", host: "127.0.0.1", port: 8080 },
      ],
      config: {
        hostname: "mail.posthorn.test",
        tls: { certificates },
        domains: {
          "posthorn.test": { dkim: ["s1"], mta_sts: "enforce" },
          "other.test": { alias_of: "posthorn.test", dkim: ["s1"] },
        },
        dns: { servers: ["127.0.0.1:53"] },
        quick_start: "alice@posthorn.test",
      },
      env: { DENO_CERT: authority.file, NODE_EXTRA_CA_CERTS: authority.file },
    }),
  );
  const printed = await mustRun(posthorn.commandLine("dns", "posthorn.test"), { env: { NO_COLOR: "1" } });
  return { folder, namespace, authority, posthorn, zone: printed.replace(/^; (.* IN TLSA )/m, "$1") };
}

async function startLab({ namespace, folder, zone }: World, more: string): Promise<DnsLab> {
  const names = [`3.2.0.192.in-addr.arpa. PTR mail.posthorn.test.`];
  return await DnsLab.start(namespace, `${folder}/dns`, [...zone.split("\n"), ...more.split("\n")], names);
}

async function readsAsZone({ folder }: World, domain: string, text: string): Promise<void> {
  const head =
    `$ORIGIN ${domain}.\n@ 3600 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 1\n@ 3600 IN NS ns.test.\n`;
  const file = `${folder}/${domain}.zone`;
  await Deno.writeTextFile(file, `${head}${text}\n`);
  const said = await mustRun([programPath("named-checkzone"), "-i", "local", domain, file]);
  assertMatch(said, /\nOK\n/);
  assert(!/warning|ignoring|error/i.test(said), said);
}

peerTest(
  "what posthorn dns prints is a zone in which nothing is wrong, and each change of it is told",
  NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const world = await startWorld(stack);
    const { posthorn, namespace, zone } = world;
    assertStringIncludes(zone, `mail.posthorn.test. 3600 IN A ${ADDRESS}\n`);
    await readsAsZone(world, "posthorn.test", zone);
    const other = await mustRun(posthorn.commandLine("dns", "other.test"), { env: { NO_COLOR: "1" } });
    await readsAsZone(world, "other.test", other);
    const lab = stack.use(await startLab(world, other));
    const check = async (domain = "posthorn.test", ...words: string[]): Promise<{ code: number; text: string }> => {
      const { code, stdout, stderr } = await posthorn.run(["dns", domain, "--check", ...words]);
      return { code, text: stdout + stderr };
    };

    const first = await check();
    assertEquals(first.code, 0, first.text);
    assertEquals(first.text.split("\n").filter((line) => /^(?:wrong|unknown|advice)/.test(line)), [], first.text);
    for (
      const what of ["MX posthorn.test", "PTR 3.2.0.192", "TLSA _25._tcp.mail", "TXT s1._domainkey", "HTTPS mta-sts"]
    ) {
      assertStringIncludes(first.text, `good     ${what}`);
    }
    const { code, text } = await check("other.test", "--json");
    assertEquals([code, JSON.parse(text).isGood], [0, true], text);

    const curl = [programPath("curl"), "--silent", "--show-error", "--include"];
    const answer = await namespace.run([...curl, "--cacert", world.authority.file, FILE]);
    assertMatch(answer, /^HTTP\/1\.1 200 OK\r\n/);
    // RFC 8461 §3.3: senders may insist on the media type.
    assertMatch(answer, /^Content-Type: text\/plain(?:; charset=utf-8)?\r$/im);
    assertEquals(answer.slice(answer.indexOf("\r\n\r\n") + 4), POLICY);
    assertMatch(
      await namespace.run([...curl, "--cacert", world.authority.file, "--head", FILE]),
      /\r\nContent-Length: 73\r\n/,
    );
    assertMatch(
      await namespace.run([
        ...curl,
        "--cacert",
        world.authority.file,
        FILE.replace("mta-sts.posthorn", "mail.posthorn"),
      ]),
      /^HTTP\/1\.1 404 /,
    );
    const proxied = ["-H", "Host: mta-sts.posthorn.test", "http://127.0.0.1:8080/.well-known/mta-sts.txt"];
    assertStringIncludes(await namespace.run([...curl, ...proxied]), POLICY);
    await obeys(stack, world);

    const mutations: readonly (readonly [name: string, type: string, data: string | undefined, says: RegExp])[] = [
      [
        "posthorn",
        "TXT",
        '"v=spf1 ip4:198.51.100.1 -all"',
        /wrong +TXT posthorn\.test: .* does not let our mail pass from 192\.0\.2\.3/,
      ],
      ["s1._domainkey.posthorn", "TXT", '"v=DKIM1; k=rsa; p="', /wrong +TXT s1\._domainkey.*revoked/],
      ["_dmarc.posthorn", "TXT", undefined, /wrong +TXT _dmarc.*no DMARC record/],
      ["_mta-sts.posthorn", "TXT", '"v=STSv1; id=7"', /wrong +TXT _mta-sts.*The id is 7/],
      ["_25._tcp.mail.posthorn", "TLSA", `3 1 1 ${"0".repeat(64)}`, /wrong +TLSA .*our certificate fits none/],
      ["mta-sts.posthorn", "CNAME", undefined, /wrong +HTTPS .*cannot be fetched: .*no address/],
      ["_submissions._tcp.posthorn", "SRV", "0 1 443 mail.posthorn", /wrong +SRV .*port 443, and not to this server/],
      [
        "posthorn",
        "MX",
        "10 mx.elsewhere",
        /wrong +MX posthorn\.test: Mail for the domain goes to other hosts: mx\.elsewhere\.test/,
      ],
      ["mail.posthorn", "A", undefined, /wrong +A mail\.posthorn\.test: Our host name has no address/],
    ];
    for (const [name, type, data] of mutations) await lab.change(name, type, data);
    let now = first;
    const last = await waitUntil(async () => {
      now = await check();
      return mutations.every(([, , , says]) => says.test(now.text)) ? now : undefined;
    }, { what: "all changes to be told", timeoutMs: 20_000, everyMs: 500, detail: () => now.text });
    assertEquals(last.code, 65);
  },
);

/** Our own sending side, elsewhere, takes the policy and proves our certificate by it. */
async function obeys(stack: AsyncDisposableStack, { namespace, authority, posthorn }: World): Promise<void> {
  const sender = stack.use(
    await PosthornProcess.start({
      prefix: namespace.prefix,
      listeners: [{ service: "mx", host: SENDER, port: 25 }],
      config: {
        hostname: "mx.sender.test",
        domains: { "sender.test": {} },
        relay_from: ["127.0.0.0/8"],
        delivery: { dane: false },
        dns: { servers: ["127.0.0.1:53"] },
      },
      env: { DENO_CERT: authority.file, NODE_EXTRA_CA_CERTS: authority.file },
    }),
  );
  await sendWithSmtplib({ host: SENDER, port: 25, prefix: namespace.prefix }, [{
    from: "bob@sender.test",
    to: [["alice@posthorn.test"]],
    content: new TextEncoder().encode("Subject: Hello\r\n\r\nHello\r\n"),
  }]);
  await sender.waitForLog(/MTA-STS policy of posthorn\.test: enforce, mx mail\.posthorn\.test, for 1209600 s/);
  await sender.waitForLog(/relayed to alice@posthorn\.test .*MTA-STS/);
  assertMatch(posthorn.log, /Gave the MTA-STS policy of mta-sts\.posthorn\.test to /);
}
