import { assertEquals } from "@std/assert";
import { dkimKeyPath } from "../../../../lib/msgauth/dkim/key.ts";
import { dkimTxtValue, makePrivateKey } from "../../../../lib/msgauth/dkim/private_key.ts";
import { SigningKeys } from "../../../../lib/msgauth/dkim/signing_keys.ts";
import { systemFiles } from "../../../../lib/system/files.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { TemporaryFolder } from "../../../support/interop/temporary_folder.ts";
import { LogLines } from "../../../support/log_lines.ts";

/** By selector; made once, because RSA keys take long. */
const RSA: Record<string, string> = { s1: await makePrivateKey("rsa-sha256"), s2: await makePrivateKey("rsa-sha256") };
const ED25519: Record<string, string> = {
  s1: await makePrivateKey("ed25519-sha256"),
  s2: await makePrivateKey("ed25519-sha256"),
};

/** Keys of example.org on disk, DNS, clock and log. */
class Lab implements AsyncDisposable {
  readonly resolver = new FakeResolver();
  readonly clock = new FakeClock();
  readonly log = new LogLines();

  private constructor(readonly folder: TemporaryFolder) {}

  static async create(): Promise<Lab> {
    return new Lab(await TemporaryFolder.create());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.folder[Symbol.asyncDispose]();
  }

  async make(selector: string): Promise<void> {
    await Deno.mkdir(`${this.folder.path}/dkim/example.org`, { recursive: true });
    for (const [name, pem] of [[selector, RSA[selector]], [`${selector}-ed`, ED25519[selector]]] as const) {
      await Deno.writeTextFile(
        dkimKeyPath(this.folder.path, { domain: "example.org", selector: name ?? "" }),
        pem ?? "",
      );
    }
  }

  async publish(selector: string, record?: string): Promise<void> {
    const path = dkimKeyPath(this.folder.path, { domain: "example.org", selector });
    const text = record ?? dkimTxtValue(await Deno.readTextFile(path));
    this.resolver.zone[`${selector}._domainkey.example.org`] = { TXT: [text] };
  }

  withdraw(selector: string): void {
    delete this.resolver.zone[`${selector}._domainkey.example.org`];
  }

  async load(...dkim: string[]): Promise<SigningKeys> {
    return await SigningKeys.load({
      domains: [{ name: "example.org", dkim }, { name: "example.net", dkim: [] }],
      keysFolder: this.folder.path,
      files: systemFiles,
      resolver: this.resolver,
      clock: this.clock,
      logger: this.log,
    });
  }

  async signers(keys: SigningKeys): Promise<string[]> {
    return (await keys.keysFor("example.org")).map(({ selector }) => selector);
  }

  /** What was logged since the last call. */
  takeLog(): string[] {
    return this.log.lines.splice(0);
  }
}

Deno.test("published keys sign, RSA and Ed25519", async () => {
  await using lab = await Lab.create();
  await lab.make("s1");
  await lab.publish("s1");
  await lab.publish("s1-ed");
  const keys = await lab.load("s1");
  await keys.check();
  assertEquals(await lab.signers(keys), ["s1", "s1-ed"]);
  assertEquals(await keys.keysFor("example.net"), []);
  assertEquals(await keys.keysFor("other.example"), []);
});

Deno.test("a pending selector signs when its record is there, the old one until then", async () => {
  await using lab = await Lab.create();
  for (const selector of ["s1", "s2"]) await lab.make(selector);
  await lab.publish("s1");
  await lab.publish("s1-ed");
  const keys = await lab.load("s1", "s2");
  const stop = new AbortController();
  const running = keys.run(stop.signal);
  await lab.clock.untilSleeping(2);
  assertEquals(await lab.signers(keys), ["s1", "s1-ed"]);
  assertEquals(lab.takeLog().filter((line) => line.startsWith("warning")), [
    "warning: DKIM records of example.org that are not in DNS: s2._domainkey.example.org, " +
    "s2-ed._domainkey.example.org; these keys do not sign until then; publish what `posthorn dkim list example.org` prints",
  ]);
  await lab.publish("s2");
  await lab.clock.advance(300_000);
  assertEquals(await lab.signers(keys), ["s2", "s1-ed"]);
  assertEquals(lab.takeLog(), [
    "info: DKIM record s2._domainkey.example.org is published: it signs mail of example.org from now on",
  ]);
  await lab.publish("s2-ed");
  await lab.clock.advance(300_000);
  assertEquals(await lab.signers(keys), ["s2", "s2-ed"]);
  // Now all are there, and looks are rare; the old records may go.
  for (const selector of ["s1", "s1-ed"]) lab.withdraw(selector);
  const asked = lab.resolver.questions.length;
  await lab.clock.advance(3_599_000);
  assertEquals(lab.resolver.questions.length, asked);
  await lab.clock.advance(1_000);
  assertEquals(lab.resolver.questions.length, asked + 4);
  assertEquals(await lab.signers(keys), ["s2", "s2-ed"]);
  stop.abort();
  await running;
});

Deno.test("a restart waits for the first look, so that it does not go back to an old key", async () => {
  await using lab = await Lab.create();
  for (const selector of ["s1", "s2"]) await lab.make(selector);
  await lab.publish("s2");
  const keys = await lab.load("s1", "s2");
  const stop = new AbortController();
  const running = keys.run(stop.signal);
  assertEquals(await lab.signers(keys), ["s2"]);
  stop.abort();
  await running;
});

Deno.test("a first look that takes long holds no mail up for more than five seconds", async () => {
  await using lab = await Lab.create();
  await lab.make("s1");
  const keys = await lab.load("s1");
  const { promise, resolve } = Promise.withResolvers<never>();
  lab.resolver.lookup = () => promise;
  const stop = new AbortController();
  const running = keys.run(stop.signal);
  let signers: string[] | undefined;
  const asked = lab.signers(keys).then((names) => signers = names);
  await lab.clock.advance(4_999);
  assertEquals(signers, undefined);
  await lab.clock.advance(1);
  await asked;
  assertEquals(signers, ["s1"]);
  stop.abort();
  resolve({ kind: "failed", reason: "aborted" } as never);
  await running;
});

Deno.test("while nothing is published the oldest RSA key signs, and DNS that fails changes nothing", async () => {
  await using lab = await Lab.create();
  for (const selector of ["s1", "s2"]) await lab.make(selector);
  const keys = await lab.load("s1", "s2");
  assertEquals(await lab.signers(keys), ["s1"]);
  await keys.check();
  assertEquals(await lab.signers(keys), ["s1"]);
  assertEquals(lab.takeLog(), [
    "warning: DKIM records of example.org that are not in DNS: s1._domainkey.example.org, s1-ed._domainkey.example.org, " +
    "s2._domainkey.example.org, s2-ed._domainkey.example.org; mail is signed all the same, which nobody can verify; " +
    "publish what `posthorn dkim list example.org` prints",
  ]);
  await keys.check();
  assertEquals(lab.takeLog(), []);
  await lab.publish("s2");
  await keys.check();
  for (const name of Object.keys(lab.resolver.zone)) lab.resolver.zone[name] = { failing: ["TXT"] };
  await keys.check();
  assertEquals(await lab.signers(keys), ["s2"]);
});

Deno.test("a key does not sign while its record holds another one or is revoked", async () => {
  await using lab = await Lab.create();
  await lab.make("s1");
  const keys = await lab.load("s1");
  for (const record of [dkimTxtValue(RSA.s2 ?? ""), "v=DKIM1; p=", "v=DKIM1; p=x!"]) {
    await lab.publish("s1", record);
    await keys.check();
    assertEquals(await lab.signers(keys), []);
  }
  assertEquals(
    lab.takeLog()[0],
    "warning: DKIM record s1._domainkey.example.org does not hold the key that we have: it does not sign; publish what " +
      "`posthorn dkim list example.org` prints",
  );
  await lab.publish("s1");
  await keys.check();
  assertEquals(await lab.signers(keys), ["s1"]);
});

Deno.test("a key that cannot be read is an error in the log, and the others sign", async () => {
  await using lab = await Lab.create();
  await lab.make("s1");
  await Deno.writeTextFile(`${lab.folder.path}/dkim/example.org/s1-ed.pem`, "hunter2");
  const keys = await lab.load("s1", "s9");
  assertEquals(await lab.signers(keys), ["s1"]);
  const lines = lab.takeLog();
  assertEquals(lines.length, 3);
  assertEquals(
    lines[0],
    "error: Cannot read DKIM key s1-ed of example.org, mail is signed without it: Cannot parse DKIM key: no PEM private " +
      "key found",
  );
});
