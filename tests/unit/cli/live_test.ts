import { assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { type LiveOptions, loadLive, reloadLive } from "../../../lib/cli/live.ts";
import { processIo } from "../../../lib/cli/find_config.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { systemClock } from "../../../lib/system/clock.ts";
import { systemFiles } from "../../../lib/system/files.ts";
import { CertificateError } from "../../../lib/tls/certificates.ts";
import { makeSelfSigned } from "../../../lib/tls/self_signed.ts";

/** A site with a key that only root reads: as soon as `isLocked`, we are no longer root. */
class Site implements AsyncDisposable {
  readonly warnings: string[] = [];
  isLocked = false;

  private constructor(readonly folder: string) {}

  static async make(): Promise<Site> {
    const site = new Site(await Deno.makeTempDir({ prefix: "posthorn-live-" }));
    const { chain, key } = await makeSelfSigned("mail.example.org", Date.now());
    await Deno.writeTextFile(`${site.folder}/chain.pem`, chain);
    await Deno.writeTextFile(`${site.folder}/key.pem`, key);
    await Deno.writeTextFile(`${site.folder}/other.pem`, key);
    await site.configure("key.pem", "example.org");
    return site;
  }

  async configure(key: string, domain: string): Promise<void> {
    const tls = `tls: { certificates: [{ chain: chain.pem, key: ${key} }] }`;
    await Deno.writeTextFile(
      `${this.folder}/posthorn.yaml`,
      `hostname: mail.example.org\ndomains: { ${domain}: {} }\n${tls}\n`,
    );
  }

  get options(): LiveOptions {
    const readText = (path: string): Promise<string> =>
      this.isLocked && /(key|other)\.pem$/.test(path)
        ? Promise.reject(new Deno.errors.PermissionDenied("Permission denied (os error 13)"))
        : processIo.readText(path);
    const warning: Logger["warning"] = (message) => void this.warnings.push(message);
    const logger: Logger = { debug: () => {}, info: () => {}, warning, error: () => {} };
    return {
      file: `${this.folder}/posthorn.yaml`,
      io: { ...processIo, readText },
      files: systemFiles,
      clock: systemClock,
      logger,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("a reload keeps certificates that could be read as root only, says so, and takes the rest", async () => {
  await using site = await Site.make();
  const old = await loadLive(site.options);
  site.isLocked = true;
  site.warnings.length = 0;
  await site.configure("key.pem", "example.net");
  const live = await reloadLive(site.options, old);
  assertStrictEquals(live.certificates, old.certificates);
  assertEquals([...live.config.domains.keys()], ["example.net"]);
  assertMatch(site.warnings.join("\n"), /stay in use/);
});

Deno.test("a reload is refused where another certificate is named that cannot be read", async () => {
  await using site = await Site.make();
  const old = await loadLive(site.options);
  site.isLocked = true;
  await site.configure("other.pem", "example.org");
  await assertRejects(() => reloadLive(site.options, old), CertificateError, "permission denied");
});
