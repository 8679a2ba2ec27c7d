/** Real mail clients log in with tokens of an authorization server that runs beside posthorn. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { TestAuthority } from "../support/interop/certificates.ts";
import { startCertified } from "../support/interop/certified.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { type Submission, TOKEN_CLIENTS } from "../support/interop/mail_clients.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { makeTestKey, startIssuer, type TestIssuer } from "../support/oauth_issuer.ts";
import type { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const BOB = { address: "bob@example.org", password: "correct horse battery staple" };
const MECHANISMS = ["OAUTHBEARER", "XOAUTH2"] as const;
const CLIENT = { "client_id": "posthorn", "client_secret": "s3cret" };

interface Bench {
  readonly posthorn: PosthornProcess;
  readonly caFile: string;
  readonly folder: string;
}

/** What a client is to do to hand in a message with a token. */
function submission(
  { posthorn, caFile, folder }: Bench,
  mechanism: typeof MECHANISMS[number],
  token: string,
): Submission {
  const { octets } = awkwardMessage({ from: ALICE.address, to: BOB.address, subject: mechanism });
  return {
    host: "127.0.0.1",
    port: posthorn.port("submission", "implicit"),
    security: "implicit",
    caFile,
    login: { mechanism, username: ALICE.address, password: token },
    from: ALICE.address,
    to: BOB.address,
    content: octets,
    folder,
  };
}

/** Knows the tokens `good-token` of alice and `of-bob-token`. */
function introspectingIssuer(): TestIssuer {
  return startIssuer(({ path, headers, body }) => {
    const isOurs = headers.get("authorization") === `Basic ${btoa("posthorn:s3cret")}`;
    if (path !== "/introspect" || !isOurs) return new Response(null, { status: 401 });
    const token = new URLSearchParams(body).get("token");
    const email = token === "good-token" ? ALICE.address : token === "of-bob-token" ? BOB.address : undefined;
    return Response.json(email === undefined ? { active: false } : { active: true, email, scope: "openid mail.send" });
  });
}

for (const client of TOKEN_CLIENTS) {
  peerTest(
    `${client.name} logs in with OAUTHBEARER and XOAUTH2, judged by introspection`,
    [...client.needs, "openssl"],
    async () => {
      await using folder = await TemporaryFolder.create();
      await using issuer = introspectingIssuer();
      const oauth = { issuer: issuer.url, introspection: `${issuer.url}/introspect`, ...CLIENT, scope: "mail.send" };
      const started = await startCertified(folder.path, { accounts: [ALICE, BOB], config: { auth: { oauth } } });
      await using posthorn = started.posthorn;
      const bench = { ...started, folder: folder.path };
      for (const [at, mechanism] of MECHANISMS.entries()) {
        const good = await client.send(submission(bench, mechanism, "good-token"));
        assertEquals(good.code, 0, `${mechanism}\n${good.stdout}${good.stderr}\n${posthorn.log}`);
        await posthorn.maildir(BOB.address).waitFor(at + 1, { detail: () => posthorn.log });
        const bad = await client.send(submission(bench, mechanism, at === 0 ? "stale-token" : "of-bob-token"));
        assert(bad.code !== 0, `${mechanism}\n${bad.stdout}${bad.stderr}`);
        assertMatch(bad.stdout + bad.stderr, /\b535\b.*5\.7\.8 Authentication failed: the token is not accepted/);
      }
      assertEquals(new Set(issuer.requests.map(({ path }) => path)), new Set(["/introspect"]));
      const start = "Login as alice@example\\.org from 127\\.0\\.0\\.1 refused: the token is";
      await posthorn.waitForLog(new RegExp(`${start} not accepted: it is not active`));
      await posthorn.waitForLog(new RegExp(`${start} for bob@example\\.org`));
      assert(!/(?:good|stale|of-bob)-token|s3cret/.test(posthorn.log), posthorn.log);
    },
  );
}

peerTest("curl logs in with a signed token, with keys by URL and from a file", ["curl", "openssl"], async () => {
  await using folder = await TemporaryFolder.create();
  const key = await makeTestKey("ES256", "first");
  const jwks = { keys: [key.jwk] };
  await using issuer = startIssuer(() => Response.json(jwks));
  const file = `${folder.path}/keys.json`;
  await Deno.writeTextFile(file, JSON.stringify(jwks));
  const [curl] = TOKEN_CLIENTS;
  assert(curl);
  const token = await key.sign({
    iss: issuer.url,
    aud: "mail",
    exp: Math.floor(Date.now() / 1000) + 300,
    sub: "248289761001",
    email: ALICE.address,
    // As long as the tokens of some issuers: the AUTH line has some 4,000 octets.
    groups: Array.from({ length: 100 }, (_, at) => `group number ${at}`),
  });
  for (const place of [`${issuer.url}/jwks.json`, file]) {
    const oauth = { issuer: issuer.url, audience: "mail", jwks: place };
    const started = await startCertified(folder.path, { accounts: [ALICE, BOB], config: { auth: { oauth } } });
    await using posthorn = started.posthorn;
    for (const mechanism of MECHANISMS) {
      const sent = await curl.send(submission({ ...started, folder: folder.path }, mechanism, token));
      assertEquals(sent.code, 0, `${mechanism}\n${sent.stdout}${sent.stderr}\n${posthorn.log}`);
    }
    await posthorn.maildir(BOB.address).waitFor(2, { detail: () => posthorn.log });
    const forged = `${token.slice(0, -8)}AAAAAAAA`;
    const refused = await curl.send(submission({ ...started, folder: folder.path }, "OAUTHBEARER", forged));
    assert(refused.code !== 0);
    await posthorn.waitForLog(/refused: the token is not accepted: its signature is wrong/);
    assert(!posthorn.log.includes(token.slice(0, 40)));
  }
  assertEquals(issuer.requests.map(({ path }) => path), ["/jwks.json"]);
});

peerTest("while the authorization server is down, curl is told to come back", ["curl", "openssl"], async () => {
  await using folder = await TemporaryFolder.create();
  const issuer = introspectingIssuer();
  await issuer[Symbol.asyncDispose]();
  const oauth = { issuer: issuer.url, introspection: `${issuer.url}/introspect`, ...CLIENT };
  const started = await startCertified(folder.path, { accounts: [ALICE, BOB], config: { auth: { oauth } } });
  await using posthorn = started.posthorn;
  const [curl] = TOKEN_CLIENTS;
  const result = await curl?.send(submission({ ...started, folder: folder.path }, "XOAUTH2", "good-token"));
  assertMatch(result?.stderr ?? "", /< 454 4\.7\.0 Logins cannot be checked now; try again later/);
  const line = await posthorn.waitForLog(/not checked/);
  assert(line.includes(`Login from 127.0.0.1 not checked: ${issuer.url}/introspect: `), line);
  assertEquals(posthorn.log.split("not checked").length, 2, posthorn.log);
  assert(!posthorn.log.includes("good-token"));
});

peerTest(
  "keys come from an https server whose certificate is trusted, and from no other",
  ["curl", "openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const key = await makeTestKey("ES256", "k");
    const authority = await TestAuthority.create(folder.path);
    const { chain, key: keyFile } = await authority.issue("localhost", ["DNS:localhost"]);
    const [cert, certKey] = await Promise.all([Deno.readTextFile(chain), Deno.readTextFile(keyFile)]);
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, cert, key: certKey, onListen: () => {} },
      () => Response.json({ keys: [key.jwk] }),
    );
    const issuer = `https://localhost:${server.addr.port}`;
    const token = await key.sign({
      iss: issuer,
      aud: "mail",
      exp: Math.floor(Date.now() / 1000) + 300,
      email: ALICE.address,
    });
    const [curl] = TOKEN_CLIENTS;
    assert(curl);
    await using ours = await TemporaryFolder.create();
    for (const env of [{}, { DENO_CERT: authority.file }]) {
      const config = { auth: { oauth: { issuer, audience: "mail", jwks: `${issuer}/jwks.json` } } };
      const started = await startCertified(ours.path, { accounts: [ALICE, BOB], config, env });
      await using posthorn = started.posthorn;
      const sent = await curl.send(submission({ ...started, folder: ours.path }, "OAUTHBEARER", token));
      if ("DENO_CERT" in env) assertEquals(sent.code, 0, `${sent.stderr}\n${posthorn.log}`);
      else {
        assertMatch(sent.stderr, /< 454 4\.7\.0 Logins cannot be checked now; try again later/);
        await posthorn.waitForLog(/not checked: https:\/\/localhost:\d+\/jwks\.json: .*certificate/);
      }
    }
  },
);

Deno.test("Tokens are neither offered nor taken without TLS", async () => {
  await using folder = await TemporaryFolder.create();
  const oauth = { issuer: "http://127.0.0.1:8080", introspection: "http://127.0.0.1:8080/introspect" };
  const started = await startCertified(folder.path, { accounts: [ALICE], config: { auth: { oauth } } });
  await using posthorn = started.posthorn;
  using dialog = await SmtpDialog.open(posthorn.port("submission"));
  assert(!(await dialog.command("EHLO client.example")).includes("AUTH"));
  assertMatch(await dialog.command(`AUTH XOAUTH2 ${btoa("user=a\x01auth=Bearer x\x01\x01")}`), /^538 5\.7\.11 /);
});
