/** Users of a real Dovecot log in to posthorn, which asks Dovecot over its authentication socket. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type CertifiedPosthorn, startCertified } from "../support/interop/certified.ts";
import { mustRun } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { DovecotAuth } from "../support/interop/dovecot_auth.ts";
import { type Login, MAIL_CLIENTS, type MailClient } from "../support/interop/mail_clients.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { type Need, peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";

const NEEDS: readonly Need[] = ["root", "dovecot", "openssl"];
/** Has a mailbox here, whose password is not that of Dovecot. */
const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
/** Known to Dovecot alone. */
const CAROL = { name: "Carol@example.org", address: "carol@example.org", password: "pepper and salt" };
/** Known to Dovecot alone, by a name without a domain. */
const DAVE = { name: "dave", address: "dave@example.org", password: "sage" };
const USERS = [{ name: "carol@example.org", password: CAROL.password }, DAVE, {
  name: ALICE.address,
  password: "rosemary",
}];

interface Site extends CertifiedPosthorn, AsyncDisposable {
  readonly dovecot: DovecotAuth;
  readonly folder: string;
}

async function startSite(
  address: (dovecot: DovecotAuth) => string = ({ socket }) => `unix:${socket}`,
  isRunning = true,
): Promise<Site> {
  const stack = new AsyncDisposableStack();
  try {
    const { path } = stack.use(await TemporaryFolder.create({ isPublic: true }));
    const dovecot = stack.use(await DovecotAuth.start(path, USERS));
    if (!isRunning) await dovecot.stop();
    const started = await startCertified(path, {
      accounts: [ALICE],
      listeners: [{ service: "submission" }, { service: "submission", tls: "implicit" }],
      config: { auth: { dovecot: address(dovecot) } },
    });
    stack.use(started.posthorn);
    await started.posthorn.waitForLog(isRunning ? /Dovecot at .* checks logins/ : /Nobody can log in/);
    const owned = stack.move();
    return { ...started, dovecot, folder: path, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** A dialogue under TLS, after EHLO. */
async function dial({ posthorn, caFile }: Site): Promise<SmtpDialog> {
  return await SmtpDialog.openTls(posthorn.port("submission", "implicit"), caFile);
}

function plain({ name, password }: { readonly name: string; readonly password: string }): string {
  return `AUTH PLAIN ${btoa(`\0${name}\0${password}`)}`;
}

/** The reply to one login on a connection of its own. */
async function logIn(site: Site, user: { readonly name: string; readonly password: string }): Promise<string> {
  using dialog = await dial(site);
  return await dialog.command(plain(user));
}

async function send(client: MailClient, site: Site, login: Login): ReturnType<MailClient["send"]> {
  const message = { from: CAROL.address, to: ALICE.address, subject: `${client.name} ${login.mechanism}` };
  return await client.send({
    host: "127.0.0.1",
    port: site.posthorn.port("submission"),
    security: "starttls",
    caFile: site.caFile,
    login,
    from: message.from,
    to: message.to,
    content: awkwardMessage(message).octets,
    folder: site.folder,
  });
}

for (const client of MAIL_CLIENTS) {
  peerTest(
    `${client.name} logs in as a user of Dovecot by ${client.mechanisms.join(", ")}, and not with a wrong password`,
    [...NEEDS, ...client.needs],
    async () => {
      await using site = await startSite();
      const { posthorn, dovecot } = site;
      for (const [index, mechanism] of client.mechanisms.entries()) {
        const login = { mechanism, username: CAROL.name, password: CAROL.password };
        const { code, stdout, stderr } = await send(client, site, login);
        assertEquals(code, 0, `${mechanism}\n${stdout}${stderr}\n${posthorn.log}\n${dovecot.log}`);
        await posthorn.maildir(ALICE.address).waitFor(index + 1, { detail: () => posthorn.log });
      }
      const [mechanism] = client.mechanisms;
      assert(mechanism !== undefined);
      const { code, stdout, stderr } = await send(client, site, {
        mechanism,
        username: CAROL.name,
        password: "wrong-pw",
      });
      assert(code !== 0);
      assertMatch(stdout + stderr, /535.{1,3}5\.7\.8/);
      await posthorn.waitForLog(/Login from 127\.0\.0\.1 refused by Dovecot: wrong name or password/);
      assert(!/wrong-pw|pepper/.test(posthorn.log), "no password must be logged");
    },
  );
}

peerTest(
  "Dovecot's mechanisms are offered under TLS, and its passwords count instead of those of the accounts",
  NEEDS,
  async () => {
    await using site = await startSite(({ port }) => `127.0.0.1:${port}`);
    using dialog = await dial(site);
    assertMatch(await dialog.command("EHLO client.example"), /^250.AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256$/m);
    assertMatch(await dialog.command(plain({ name: ALICE.address, password: ALICE.password })), /^535 5\.7\.8 /);
    assertMatch(await dialog.command("AUTH ANONYMOUS eA=="), /^504 5\.5\.4 /);
    assertMatch(await dialog.command("AUTH EXTERNAL ="), /^504 5\.5\.4 /);
    assertMatch(await dialog.command("AUTH LOGIN"), /^334 VXNlcm5hbWU6$/);
    assertMatch(await dialog.command("*"), /^501 5\.7\.0 /);
    assertMatch(await dialog.command(plain({ name: ALICE.address, password: "rosemary" })), /^235 2\.7\.0 /);
  },
);

peerTest("A user of Dovecot sends as the own address with or without a detail, and as no other", NEEDS, async () => {
  await using site = await startSite();
  using dialog = await dial(site);
  assertMatch(await dialog.command(plain(DAVE)), /^235 /);
  const replyTo = async (reversePath: string): Promise<string> => {
    const reply = await dialog.command(`MAIL FROM:<${reversePath}>`);
    await dialog.command("RSET");
    return reply;
  };
  assertMatch(await replyTo(DAVE.address), /^250 /);
  assertMatch(await replyTo("Dave+shop@example.org"), /^250 /);
  assertMatch(await replyTo(CAROL.address), /^550 5\.7\.1 /);
  assertMatch(await replyTo(ALICE.address), /^550 5\.7\.1 /);
  const { octets } = awkwardMessage({ from: ALICE.address, to: ALICE.address, subject: "forged" });
  assertMatch(await dialog.send(DAVE.address, [ALICE.address], octets), /^550 5\.7\.1 /);
});

peerTest("While Dovecot is stopped AUTH is answered 454, and 235 once it is started again", NEEDS, async () => {
  await using site = await startSite(undefined, false);
  const { dovecot, posthorn } = site;
  using dialog = await dial(site);
  assertMatch(await dialog.command("EHLO client.example"), /^250.AUTH PLAIN LOGIN$/m);
  assertMatch(await dialog.command(plain(CAROL)), /^454 4\.7\.0 /);
  await dovecot.restart();
  await posthorn.waitForLog(/Dovecot at .* checks logins: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256/);
  assertMatch(await logIn(site, CAROL), /^235 /);
  await dovecot.stop();
  await waitUntil(async () => (await logIn(site, CAROL)).startsWith("454 4.7.0 ") ? true : undefined, {
    what: "posthorn to see that Dovecot is gone",
  });
  assertMatch(await dialog.command("EHLO client.example"), /^250.AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256$/m);
  await dovecot.restart();
  assertMatch(
    await waitUntil(async () => {
      const reply = await logIn(site, CAROL);
      return reply.startsWith("454") ? undefined : reply;
    }, { what: "posthorn to see that Dovecot is back", detail: () => posthorn.log }),
    /^235 /,
  );
});

peerTest(
  "Dovecot's reload brings its new mechanisms, and a running server may change to it and back",
  NEEDS,
  async () => {
    await using site = await startSite();
    const { dovecot, posthorn } = site;
    await dovecot.configure("login");
    await dovecot.reload();
    const refusal = await waitUntil(async () => {
      const reply = await logIn(site, CAROL);
      return reply.startsWith("504") ? reply : undefined;
    }, { what: "posthorn to see the new mechanisms", detail: () => posthorn.log });
    assertMatch(refusal, /^504 5\.5\.4 .*: LOGIN$/);
    const config = JSON.parse(await Deno.readTextFile(posthorn.configFile)) as Record<string, unknown>;
    const { tls } = config as { tls: unknown };
    const reload = async (auth: unknown): Promise<void> => {
      await posthorn.configure({ tls, auth });
      const lines = posthorn.log.split("were read again").length;
      posthorn.signal("SIGHUP");
      await waitUntil(() => posthorn.log.split("were read again").length > lines ? true : undefined, {
        what: "the reload",
      });
    };
    await reload({});
    assertMatch(await logIn(site, { name: ALICE.address, password: ALICE.password }), /^235 /);
    await dovecot.configure("plain");
    await dovecot.restart();
    await reload({ dovecot: `127.0.0.1:${dovecot.port}` });
    await posthorn.waitForLog(/Dovecot at 127\.0\.0\.1:\d+ checks logins: PLAIN$/);
    assertMatch(await logIn(site, CAROL), /^235 /);
  },
);

peerTest(
  "A socket that posthorn's user may not write to is named in the log, and used once it may",
  NEEDS,
  async () => {
    await using site = await startSite();
    const { dovecot, posthorn } = site;
    const config = JSON.parse(await Deno.readTextFile(posthorn.configFile)) as Record<string, unknown>;
    await Deno.chmod(dovecot.socket, 0o600);
    await mustRun(["chmod", "755", posthorn.folder]);
    await mustRun(["chown", "-R", "nobody:", posthorn.folder]);
    await posthorn.configure({ ...config, user: "nobody" });
    await posthorn.restart();
    await posthorn.waitForLog(/Nobody can log in: .*: the user that posthorn runs as may not write to the socket/);
    assertMatch(await logIn(site, CAROL), /^454 4\.7\.0 /);
    await Deno.chmod(dovecot.socket, 0o666);
    await posthorn.waitForLog(/Dovecot at .* checks logins/);
    assertMatch(await logIn(site, CAROL), /^235 /);
  },
);
