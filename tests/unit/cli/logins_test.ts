import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import type { Live } from "../../../lib/cli/live.ts";
import { makeLogins } from "../../../lib/cli/logins.ts";
import type { Account } from "../../../lib/config/config.ts";
import { createRouter } from "../../../lib/routing/router.ts";
import type { SaslServer } from "../../../lib/sasl/mechanisms.ts";
import { hashForScram } from "../../../lib/sasl/scram/verifier.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { diskFull, MemoryFiles } from "../../support/memory_files.ts";

const CHANNEL = { clientAddress: "192.0.2.1", localAddress: undefined, isTls: true };

/** What makes logins reads of a configuration. */
function liveOf(accounts: readonly Account[], canScram: boolean, mechanisms?: readonly string[]): Live {
  const domains = new Map([
    ["example.org", { name: "example.org", dkim: [] }],
    ["example.net", { name: "example.net", aliasOf: "example.org", dkim: [] }],
  ]);
  const config = { data: "/data", auth: mechanisms === undefined ? {} : { mechanisms } };
  const routing = { hostname: "mail.example.org", domains, aliases: new Map(), routes: [], auth: {} };
  const router = createRouter(routing, accounts);
  return { config, router, canScram, passwordHashes: [], scramVerifiers: [] } as unknown as Live;
}

async function readText(files: MemoryFiles, path: string): Promise<string> {
  const file = await files.open(path, { read: true });
  const octets = new Uint8Array(100);
  const count = await file.read(octets) ?? 0;
  file.close();
  return new TextDecoder().decode(octets.subarray(0, count));
}

/** Starts the logins of a server on a disk. */
async function start(files: MemoryFiles, live: () => Live): Promise<SaslServer> {
  const { sasl } = await makeLogins({
    live,
    files,
    io: { readText: (path) => readText(files, path) },
    clock: new FakeClock(),
    logger: getLogger(["test"]),
    randomOctets: (into) => void crypto.getRandomValues(into),
    fetch: () => Promise.reject(new Error("no network here")),
  });
  return sasl;
}

/** The salt and iterations that a name gets. */
async function formOf(server: SaslServer, name: string): Promise<string> {
  const step = await server.start("SCRAM-SHA-256", CHANNEL)?.start(new TextEncoder().encode(`n,,n=${name},r=abc`));
  assert(step?.kind === "challenge");
  return new TextDecoder().decode(step.octets).replace(/^r=[^,]*,/, "");
}

Deno.test("A name that is no account gets the same salt after each start, and in each spelling", async () => {
  const files = new MemoryFiles();
  await files.makeFolder("/data");
  const live = liveOf([], true);
  const first = await start(files, () => live);
  const second = await start(files, () => live);
  const form = await formOf(first, "nobody@example.org");
  assertEquals(await formOf(second, "nobody@example.org"), form);
  assertEquals(await formOf(second, "Nobody@EXAMPLE.net"), form);
  assertNotEquals(await formOf(second, "nobody+x@example.org"), form);
  const elsewhere = new MemoryFiles();
  await elsewhere.makeFolder("/data");
  assertNotEquals(await formOf(await start(elsewhere, () => live), "nobody@example.org"), form);
});

Deno.test("A full disk keeps nobody from logging in", async () => {
  const files = new MemoryFiles();
  files.fault = (operation): void => {
    if (operation.name === "makeFolder") throw diskFull();
  };
  const server = await start(files, () => liveOf([], true));
  assertEquals(server.mechanisms(CHANNEL), ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
});

Deno.test("What is offered follows the configuration and the accounts, also after a reload", async () => {
  const files = new MemoryFiles();
  await files.makeFolder("/data");
  let live = liveOf([], false);
  const server = await start(files, () => live);
  const certificate = { subject: "CN=Alice", sha256: "00", emails: ["alice@example.org"] };
  const channel = { ...CHANNEL, serverEndPoint: new Uint8Array(32), clientCertificate: certificate };
  assertEquals(server.mechanisms(channel), ["PLAIN", "LOGIN"]);
  live = liveOf([{ address: "alice@example.org", scram: await hashForScram("pw") }], true);
  assertEquals(server.mechanisms(channel), ["EXTERNAL", "SCRAM-SHA-256", "PLAIN", "LOGIN"]);
  live = liveOf([], true, ["SCRAM-SHA-256-PLUS", "LOGIN", "EXTERNAL"]);
  assertEquals(server.mechanisms(channel), ["SCRAM-SHA-256-PLUS", "LOGIN"]);
});
