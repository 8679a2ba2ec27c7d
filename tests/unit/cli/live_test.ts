import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { type Live, type LiveOptions, loadLive, reloadLive, scramGap } from "../../../lib/cli/live.ts";
import { ConfigError } from "../../../lib/config/errors.ts";
import { loadConfig } from "../../../lib/config/load.ts";
import { parseMailbox } from "../../../lib/mail/mailbox.ts";
import { writeDurable } from "../../../lib/system/files.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { catchLog } from "../../support/queue_samples.ts";
import { readTestPem } from "../../support/scripted_peer.ts";

const CONFIG = `
hostname: mail.example.org
domains: { example.org: {} }
tls: { certificates: [{ chain: c.pem, key: k.pem }] }
`;

/** What a server reads from these files. */
function optionsFor(files: Map<string, string>): LiveOptions {
  const readText = (path: string): Promise<string> => {
    const text = files.get(path);
    return text === undefined ? Promise.reject(new Deno.errors.NotFound(path)) : Promise.resolve(text);
  };
  return {
    file: "/etc/posthorn.yaml",
    io: { readText, env: () => undefined },
    files: new MemoryFiles(),
    clock: new FakeClock(),
    logger: getLogger(["test", "live"]),
  };
}

function sampleFiles(): Map<string, string> {
  return new Map([
    ["/etc/posthorn.yaml", CONFIG],
    ["/etc/accounts.yaml", "alice@example.org: {}\n"],
    ["/etc/c.pem", readTestPem("certificate.pem")],
    ["/etc/k.pem", readTestPem("key.pem")],
  ]);
}

function resolutionOf(live: Live, address: string): string | undefined {
  const mailbox = parseMailbox(address);
  return mailbox === undefined ? undefined : live.router.resolveRecipient(mailbox).kind;
}

Deno.test("a reload without the accounts file is refused: every mailbox would be unknown, and queued mail would bounce", async () => {
  const files = sampleFiles();
  const options = optionsFor(files);
  const live = await loadLive(await loadConfig(options.file, options.io), options);
  assertEquals(resolutionOf(live, "alice@example.org"), "local");
  files.delete("/etc/accounts.yaml");
  const error = await assertRejects(() => reloadLive(options, live), Error);
  assertMatch(error.message, /\/etc\/accounts\.yaml.*no such file/);
  files.set("/etc/accounts.yaml", "bob@example.org: {}\n");
  assertEquals(resolutionOf(await reloadLive(options, live), "bob@example.org"), "local");
});

Deno.test("a server without any accounts file starts, and finds one at a reload", async () => {
  const files = sampleFiles();
  files.delete("/etc/accounts.yaml");
  const options = optionsFor(files);
  const live = await loadLive(await loadConfig(options.file, options.io), options);
  assertEquals(resolutionOf(await reloadLive(options, live), "alice@example.org"), "unknown");
  files.set("/etc/accounts.yaml", "alice@example.org: {}\n");
  assertEquals(resolutionOf(await reloadLive(options, live), "alice@example.org"), "local");
});

Deno.test("SCRAM waits for the last account: who has a password and no verifier is named, and counted", async () => {
  const config = await loadConfig("/etc/posthorn.yaml", optionsFor(sampleFiles()).io);
  const scram = `SCRAM-SHA-256$60000:c2FsdHNhbHRzYWx0c2FsdA==$${"A".repeat(43)}=:${"B".repeat(40)}AAA=`;
  const [alice, bob, carol] = ["alice", "bob", "carol"].map((name) => ({
    address: `${name}@example.org`,
    passwordHash: "$scrypt$",
  }));
  assert(alice !== undefined && bob !== undefined && carol !== undefined);
  const how = "`posthorn user password` makes it";
  assertEquals(scramGap(config, []), undefined);
  assertEquals(scramGap(config, [{ ...alice, scram }, { address: "list@example.org" }]), undefined);
  assertEquals(
    scramGap(config, [{ ...alice, scram }, bob]),
    `SCRAM is not offered: bob@example.org has no usable SCRAM verifier; ${how}`,
  );
  assertEquals(
    scramGap(config, [{ ...alice, scram }, bob, carol]),
    `SCRAM is not offered: bob@example.org and 1 more have no usable SCRAM verifier; ${how}`,
  );
  assertEquals(scramGap({ ...config, auth: { mechanisms: ["PLAIN"] } }, [bob]), undefined);
});

Deno.test("the secret of rewritten senders is made at the first start, and a broken one stops a start and a reload", async () => {
  const options = optionsFor(sampleFiles());
  const config = await loadConfig(options.file, options.io);
  const live = await loadLive(config, options);
  const sender = live.router.rewriteSender("bob@sender.example", "fwd@example.org");
  assert(sender?.kind === "rewritten");
  const again = await reloadLive(options, live);
  assertEquals(again.router.rewriteSender("bob@sender.example", "fwd@example.org"), sender);
  assertEquals(again.router.reportTargets(sender.address), [{ address: "bob@sender.example" }]);
  const off = await loadLive({ ...config, forwarding: { ...config.forwarding, srs: false } }, options);
  assertEquals(off.router.rewriteSender("bob@sender.example", "fwd@example.org"), undefined);
  assertEquals(off.router.reportTargets(sender.address), [{ address: "bob@sender.example" }]);
  await writeDurable(options.files, "/etc/data/keys/srs", "short\n", { mode: 0o600, replace: true });
  const error = await assertRejects(() => reloadLive(options, live), ConfigError);
  assertMatch(error.message, /^\/etc\/data\/keys\/srs:1:1: expected a secret/);
});

Deno.test("the log names a list whose owner is nobody here, at each reading", async () => {
  const files = sampleFiles();
  const aliases = "aliases: { a@example.org: { members: alice@example.org, owner: boss@example.org } }\n";
  files.set("/etc/posthorn.yaml", CONFIG + aliases);
  await using log = await catchLog();
  // Not among the lines about TLS.
  const options = { ...optionsFor(files), accountsLogger: log.logger };
  const live = await loadLive(await loadConfig(options.file, options.io), options);
  const lines = (): number => log.lines.filter((line) => /list a@example\.org.*boss@example\.org/.test(line)).length;
  assertEquals(lines(), 1, log.lines.join("\n"));
  files.set("/etc/accounts.yaml", "alice@example.org: {}\nboss@example.org: {}\n");
  await reloadLive(options, live);
  assertEquals(lines(), 1);
});

Deno.test("a mailbox may hold what its account says, and for the rest what the configuration says for all", async () => {
  const files = sampleFiles();
  files.set("/etc/posthorn.yaml", `${CONFIG}mailboxes: { quota: { storage: 1MiB, messages: 100 } }\n`);
  files.set(
    "/etc/accounts.yaml",
    "alice@example.org: {}\nbob@example.org: { quota: { storage: 2MiB } }\ncarol@example.org: { quota: none }\n",
  );
  const options = optionsFor(files);
  const live = await loadLive(await loadConfig(options.file, options.io), options);
  assertEquals(["alice", "bob", "carol"].map((name) => live.limitsOf(`${name}@example.org`)), [
    { octets: 2 ** 20, messages: 100 },
    { octets: 2 ** 21, messages: 100 },
    undefined,
  ]);
});
