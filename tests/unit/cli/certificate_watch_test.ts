import { assertEquals, assertMatch } from "@std/assert";
import { CERTIFICATE_CHECK_MS, watchCertificates } from "../../../lib/cli/certificate_watch.ts";
import { type Live, type LiveOptions, loadLive } from "../../../lib/cli/live.ts";
import { loadConfig } from "../../../lib/config/load.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { systemFiles } from "../../../lib/system/files.ts";
import type { CertificatePair } from "../../../lib/tls/self_signed.ts";
import { makeSelfSigned } from "../../../lib/tls/self_signed.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const START = "2026-11-23T15:00:00Z";
const [first, second, third] = await Promise.all(
  [1, 2, 3].map(() => makeSelfSigned("mail.example.org", Date.parse(START) - 1000)),
) as [CertificatePair, CertificatePair, CertificatePair];

/** A server that watches `chain.pem` and `key.pem` of a temporary folder. */
class Fixture implements AsyncDisposable {
  readonly folder: string;
  readonly clock = new FakeClock(START);
  readonly lines: string[] = [];
  readonly #end = new AbortController();
  readonly #options: LiveOptions;
  /** Reading this file is not allowed. */
  forbidden: string | undefined;
  live!: Live;
  reads = 0;
  #minute = 0;
  #watching: Promise<void> = Promise.resolve();

  private constructor(folder: string) {
    this.folder = folder;
    const take = (message: string, fields: Record<string, unknown> = {}): void => {
      this.lines.push(message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name])).replaceAll(this.folder, ""));
    };
    const logger: Logger = { debug: take, info: take, warning: take, error: take };
    const readText = (path: string): Promise<string> => {
      this.reads++;
      const isForbidden = path === `${this.folder}/${this.forbidden}`;
      return isForbidden ? Promise.reject(new Deno.errors.PermissionDenied(path)) : Deno.readTextFile(path);
    };
    const io = { readText, env: () => undefined };
    this.#options = { file: `${folder}/posthorn.yaml`, io, files: systemFiles, clock: this.clock, logger };
  }

  static async start(): Promise<Fixture> {
    const fixture = new Fixture(await Deno.makeTempDir());
    await Deno.writeTextFile(
      `${fixture.folder}/posthorn.yaml`,
      "hostname: mail.example.org\ndomains: { example.org: {} }\n" +
        "tls: { certificates: [{ chain: chain.pem, key: key.pem }] }\nforwarding: { srs: false }\n",
    );
    await fixture.write("chain.pem", first.chain);
    await fixture.write("key.pem", first.key);
    fixture.live = await loadLive(await loadConfig(fixture.#options.file, fixture.#options.io), fixture.#options);
    fixture.lines.length = 0;
    fixture.#watching = watchCertificates({
      ...fixture.#options,
      read: fixture.#options.io.readText,
      live: () => fixture.live,
      use: (certificates) => fixture.live = { ...fixture.live, certificates },
    }, fixture.#end.signal);
    return fixture;
  }

  /** The chain that the next handshake shows. */
  get shown(): string {
    return this.live.certificates.select("mail.example.org").chain;
  }

  /** Writes a file; each with a time of its own, whatever the clock of the file system can tell apart. */
  async write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/${name}`, text);
    const time = new Date(Date.parse(START) + 60_000 * this.#minute++);
    await Deno.utime(`${this.folder}/${name}`, time, time);
  }

  /** Lets the watch look so many times. */
  async look(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.clock.untilSleeping();
      await this.clock.advance(CERTIFICATE_CHECK_MS);
      await this.clock.untilSleeping();
    }
  }

  async reload(): Promise<void> {
    this.live = await loadLive(await loadConfig(this.#options.file, this.#options.io), this.#options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#watching;
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("a renewed certificate is in use after one look, and files that stay are not read again", async () => {
  await using fixture = await Fixture.start();
  await fixture.look();
  const { reads } = fixture;
  await fixture.look(5);
  assertEquals([fixture.reads, fixture.shown === first.chain, fixture.lines], [reads, true, []]);
  await fixture.write("chain.pem", second.chain);
  await fixture.write("key.pem", second.key);
  await fixture.look();
  assertEquals(fixture.shown, second.chain);
  assertEquals(fixture.lines, ["Certificates changed on disk; new connections get /chain.pem"]);
});

Deno.test("a certificate that was renewed before the first look is noticed", async () => {
  await using fixture = await Fixture.start();
  await fixture.write("chain.pem", second.chain);
  await fixture.write("key.pem", second.key);
  await fixture.look();
  assertEquals(fixture.shown, second.chain);
});

Deno.test("symbolic links that lead elsewhere are followed, as certbot renews", async () => {
  await using fixture = await Fixture.start();
  for (const [i, pair] of [first, second].entries()) {
    for (const part of ["chain", "key"] as const) await fixture.write(`${part}${i}.pem`, pair[part]);
  }
  for (const i of [0, 1]) {
    for (const part of ["chain", "key"]) {
      await Deno.symlink(`${part}${i}.pem`, `${fixture.folder}/link`);
      await Deno.rename(`${fixture.folder}/link`, `${fixture.folder}/${part}.pem`);
    }
    await fixture.look(2);
  }
  assertEquals(fixture.shown, second.chain);
  assertEquals(fixture.lines.length, 1);
});

Deno.test("a look between the writing of chain and key keeps the old pair, and logs nothing of it", async () => {
  await using fixture = await Fixture.start();
  await fixture.write("chain.pem", second.chain);
  await fixture.look();
  assertEquals([fixture.shown, fixture.lines], [first.chain, []]);
  await fixture.write("key.pem", second.key);
  await fixture.look();
  assertEquals(fixture.shown, second.chain);
});

Deno.test("a broken pair keeps the old one with one log line, and a mended one is taken", async () => {
  await using fixture = await Fixture.start();
  await fixture.write("chain.pem", second.chain);
  await fixture.look(10);
  assertEquals(fixture.shown, first.chain);
  assertEquals(fixture.lines.length, 1);
  assertMatch(
    fixture.lines[0] ?? "",
    /^Cannot use key "\/key\.pem": it does not fit .*; the certificates in use stay$/,
  );
  await Deno.remove(`${fixture.folder}/key.pem`);
  await fixture.look(10);
  assertEquals(fixture.lines.length, 2);
  assertMatch(fixture.lines[1] ?? "", /^Cannot read key "\/key\.pem": no such file; .*; the certificates in use stay$/);
  await fixture.write("key.pem", third.key);
  await fixture.write("chain.pem", third.chain);
  await fixture.look();
  assertEquals(fixture.shown, third.chain);
});

Deno.test("a broken pair that goes back to the one in use can break again, with another log line", async () => {
  await using fixture = await Fixture.start();
  for (const text of ["broken", first.key, "broken"]) {
    await fixture.write("key.pem", text);
    await fixture.look(3);
  }
  assertEquals([fixture.shown, fixture.lines.length], [first.chain, 2]);
});

Deno.test("files for root only are named once, as what needs a restart, and are taken when they can be read", async () => {
  await using fixture = await Fixture.start();
  fixture.forbidden = "key.pem";
  await fixture.look(5);
  assertEquals(fixture.lines, ["/key.pem can be read as root only: a renewed certificate needs a restart"]);
  await fixture.write("chain.pem", second.chain);
  await fixture.write("key.pem", second.key);
  await fixture.look(5);
  assertEquals([fixture.shown, fixture.lines.length], [first.chain, 2]);
  // The times of a file do not change with its mode and owner.
  fixture.forbidden = undefined;
  await fixture.look();
  assertEquals(fixture.shown, second.chain);
});

Deno.test("after a reload the files of the new configuration are watched", async () => {
  await using fixture = await Fixture.start();
  await fixture.look();
  await fixture.write("other.pem", second.chain);
  await fixture.write("other.key", second.key);
  const config = `${fixture.folder}/posthorn.yaml`;
  const text = (await Deno.readTextFile(config)).replace("chain.pem", "other.pem").replace("key.pem", "other.key");
  await Deno.writeTextFile(config, text);
  await fixture.reload();
  assertEquals(fixture.shown, second.chain);
  await fixture.write("other.pem", third.chain);
  await fixture.write("other.key", third.key);
  await fixture.look();
  assertEquals(fixture.shown, third.chain);
});
