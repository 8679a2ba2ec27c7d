import { assert, assertEquals } from "@std/assert";
import type { Logger } from "@logtape/logtape";
import type { Account } from "../../../lib/config/config.ts";
import { createRouter } from "../../../lib/routing/router.ts";
import { externalOffer } from "../../../lib/sasl/external.ts";
import type { SaslChannel, SaslStep } from "../../../lib/sasl/mechanism.ts";
import { type SaslServer, saslServer } from "../../../lib/sasl/mechanisms.ts";

const PRINTER = "ab".repeat(32);
const SHARED = "cd".repeat(32);
const ACCOUNTS: readonly Account[] = [
  { address: "alice@example.org" },
  { address: "bob@example.org", certificates: [PRINTER, SHARED] },
  { address: "carol@example.org", certificates: [SHARED] },
];

function bench(): { server: SaslServer; lines: string[] } {
  const lines: string[] = [];
  const router = createRouter({
    hostname: "mail.example.org",
    domains: new Map([
      ["example.org", { name: "example.org", dkim: [] }],
      ["example.net", { name: "example.net", aliasOf: "example.org", dkim: [] }],
    ]),
    aliases: new Map(),
    routes: [],
    auth: {},
    recipientDelimiter: "+",
  }, ACCOUNTS);
  const info = (message: string, fields: Record<string, unknown>): void => {
    lines.push(message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name])));
  };
  const offer = externalOffer({
    accountsOf: (certificate) => router.findByCertificate(certificate),
    findAccount: (identity) => router.findAccount(identity),
    logger: { info } as unknown as Logger,
  });
  return { server: saslServer(() => [offer], () => undefined), lines };
}

function channel(sha256?: string, ...emails: string[]): SaslChannel {
  const plain = { clientAddress: "192.0.2.1", localAddress: undefined, isTls: true };
  return sha256 === undefined ? plain : { ...plain, clientCertificate: { subject: "CN=Test", sha256, emails } };
}

async function login(name: string, on: SaslChannel, server: SaslServer = bench().server): Promise<string> {
  const step: SaslStep | undefined = await server.start("EXTERNAL", on)?.start(new TextEncoder().encode(name));
  if (step === undefined) return "not offered";
  if (step.kind === "invalid") return step.reason;
  assert(step.kind === "done");
  const { result } = step;
  return result.kind === "accepted" ? result.address : result.kind === "refused" ? result.reason ?? "" : result.kind;
}

Deno.test("EXTERNAL is offered to a client whose certificate names an account, and to nobody else", () => {
  const { server } = bench();
  assertEquals(server.mechanisms(channel()), []);
  assertEquals(server.mechanisms(channel("00")), []);
  assertEquals(server.mechanisms(channel("00", "dave@example.org", "alice@elsewhere.test", "nonsense")), []);
  assertEquals(server.mechanisms(channel("00", "alice@example.org")), ["EXTERNAL"]);
  assertEquals(server.mechanisms(channel(PRINTER)), ["EXTERNAL"]);
});

Deno.test("EXTERNAL takes the account of the address in the certificate, or of its fingerprint", async () => {
  assertEquals(await login("", channel("00", "Alice@Example.ORG")), "alice@example.org");
  assertEquals(await login("", channel("00", "alice@example.net")), "alice@example.org");
  assertEquals(
    await login("", channel("00", "alice@example.org", "ALICE@example.net", "x@y.test")),
    "alice@example.org",
  );
  assertEquals(await login("", channel(PRINTER)), "bob@example.org");
  assertEquals(await login("bob@example.net", channel(PRINTER)), "bob@example.org");
  const mechanism = bench().server.start("external", channel(PRINTER));
  assertEquals(mechanism?.start(), { kind: "challenge", octets: new Uint8Array(0) });
  assertEquals(mechanism?.step(new Uint8Array(0)), {
    kind: "done",
    result: { kind: "accepted", address: "bob@example.org" },
  });
});

Deno.test("A detail in the address of a certificate is no other account's", async () => {
  assertEquals(await login("", channel("00", "alice+x@example.org")), "not offered");
});

Deno.test("EXTERNAL refuses another account, whether it exists or not, and asks for a name where there are several", async () => {
  const { server, lines } = bench();
  const other = "the certificate is not that of the account";
  const several = "the certificate is that of several accounts; name one";
  assertEquals(await login("alice@example.org", channel(PRINTER), server), other);
  assertEquals(await login("nobody@example.org", channel(PRINTER), server), other);
  assertEquals(await login("", channel(SHARED), server), several);
  assertEquals(await login("", channel(PRINTER, "alice@example.org"), server), several);
  assertEquals(await login("carol@example.org", channel(SHARED), server), "carol@example.org");
  assertEquals(
    await login("a\0b", channel(PRINTER), server),
    "EXTERNAL name is not UTF-8, is too long or holds NUL",
  );
  assertEquals(lines[0], "Login from 192.0.2.1 refused: the certificate of CN=Test is not that of the account");
  assertEquals(lines.length, 4);
});
