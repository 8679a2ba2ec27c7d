/** What people try a mail server with: swaks and its ways to connect, and the exit codes that their scripts rely on. */

import { assertEquals, assertMatch } from "@std/assert";
import { startCertified } from "../support/interop/certified.ts";
import { type CommandResult, runCommand } from "../support/interop/command.ts";
import { latin1 } from "../support/interop/maildir.ts";
import { type Need, peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { type PosthornOptions, PosthornProcess } from "../support/posthorn_process.ts";

const NEEDS: readonly Need[] = ["swaks", "Net::SSLeay", "openssl"];
const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const CAROL = { address: "carol@example.org", password: "correct horse battery staple" };
const LOGIN = ["--auth-user", ALICE.address, "--auth-password", ALICE.password];

async function swaks(...words: readonly string[]): Promise<CommandResult> {
  return await runCommand([programPath("swaks"), "--ehlo", "client.example", "--from", ALICE.address, ...words]);
}

function to(port: number, ...recipients: readonly string[]): string[] {
  return ["--server", "127.0.0.1", "--port", `${port}`, "--to", recipients.join(",")];
}

/** The `with` clauses of the fields that posthorn wrote. */
async function protocols(posthorn: PosthornProcess, address: string, count: number): Promise<string[]> {
  const messages = await posthorn.maildir(address).waitFor(count, { detail: () => posthorn.log });
  return messages.map(({ text }) => /\(posthorn\)\s+with (\w+)/.exec(text)?.[1] ?? "none");
}

peerTest(
  "swaks takes TLS where it is offered, does without where it is not, and fails where it insists",
  NEEDS,
  async () => {
    await using posthorn = await PosthornProcess.start({
      accounts: [ALICE],
      listeners: [{ service: "mx" }, { service: "mx", tls: "off" }, { service: "lmtp", tls: "starttls" }],
    });
    const [withTls, without, lmtp] = [
      posthorn.port("mx"),
      posthorn.port("mx", "off"),
      posthorn.port("lmtp", "starttls"),
    ];
    const codes: number[] = [];
    for (
      const words of [
        [...to(withTls, ALICE.address), "--tls-optional"],
        [...to(without, ALICE.address), "--tls-optional"],
        [...to(without, ALICE.address), "--tls-optional-strict"],
        [...to(lmtp, ALICE.address), "--protocol", "LMTP", "--tls"],
        [...to(without, ALICE.address), "--tls"],
        [...to(withTls, ALICE.address), "--tls-on-connect", "--timeout", "3"],
      ]
    ) {
      codes.push((await swaks(...words)).code);
    }
    // 29: error in TLS transaction.
    assertEquals(codes, [0, 0, 0, 0, 29, 29]);
    assertEquals((await protocols(posthorn, ALICE.address, 4)).sort(), ["ESMTP", "ESMTP", "ESMTPS", "LMTPS"]);
  },
);

peerTest(
  "swaks pipelines an envelope, with a refused recipient in the middle, and logs in as ESMTPSA",
  NEEDS,
  async () => {
    await using folder = await TemporaryFolder.create();
    const { posthorn, caFile } = await startCertified(folder.path, { accounts: [ALICE, CAROL] });
    await using _ = posthorn;
    const trust = ["--tls-verify", "--tls-ca-path", caFile];
    const mixed = await swaks(
      ...to(posthorn.port("mx"), ALICE.address, "nobody@example.org", CAROL.address),
      "--pipeline",
    );
    assertEquals(mixed.code, 0, mixed.stdout);
    // Everything up to DATA goes out at once: no reply stands between the commands.
    assertMatch(mixed.stdout, /-> MAIL FROM:.*\n +-> RCPT TO:.*\n +-> RCPT TO:.*\n +-> RCPT TO:.*\n +-> DATA\n/);
    assertMatch(mixed.stdout, /^<\*\* 550 5\.1\.1 No such mailbox here$/m);
    const none = await swaks(...to(posthorn.port("mx"), "nobody@example.org", "x@elsewhere.example"), "--pipeline");
    assertEquals(none.code, 24, none.stdout);
    const login = ["--protocol", "ESMTPSA", ...LOGIN, ...trust];
    assertEquals((await swaks(...to(posthorn.port("submission"), CAROL.address), "--pipeline", ...login)).code, 0);
    const implicit = to(posthorn.port("submission", "implicit"), CAROL.address);
    assertEquals((await swaks(...implicit, "--protocol", "SSMTPA", ...LOGIN, ...trust)).code, 0);
    assertEquals((await protocols(posthorn, CAROL.address, 3)).sort(), ["ESMTP", "ESMTPSA", "ESMTPSA"]);
    assertEquals(await protocols(posthorn, ALICE.address, 1), ["ESMTP"]);
  },
);

peerTest(
  "swaks sends a big attachment; a bigger one than allowed is refused; silently in a script",
  NEEDS,
  async () => {
    await using folder = await TemporaryFolder.create();
    await using posthorn = await PosthornProcess.start({
      accounts: [ALICE],
      listeners: [{ service: "mx" }],
      config: { limits: { message_size: "8MiB" } },
    });
    const file = `${folder.path}/attachment`;
    const octets = Uint8Array.from({ length: 5_000_000 }, (_, at) => (at * at) >> 8);
    await Deno.writeFile(file, octets);
    const target = to(posthorn.port("mx"), ALICE.address);
    // --silent 2 says only what went wrong.
    assertEquals(await swaks(...target, "--attach", `@${file}`, "--silent", "2"), { code: 0, stdout: "", stderr: "" });
    const [arrived] = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => posthorn.log });
    const part = arrived?.text.split("Content-Transfer-Encoding: BASE64\r\n").at(-1) ?? "";
    const encoded = part.slice(0, part.lastIndexOf("\r\n--")).replaceAll("\r\n", "");
    assertEquals(atob(encoded) === latin1(octets), true, "the attachment is the file");
    await Deno.writeFile(file, new Uint8Array(8_000_000));
    const tooBig = await swaks(...target, "--attach", `@${file}`, "--silent", "2");
    assertEquals(tooBig.code, 26);
    assertMatch(tooBig.stdout + tooBig.stderr, /^<\*\* 552 5\.3\.4 /m);
  },
);

const PROXIED: PosthornOptions = {
  accounts: [ALICE],
  listeners: [{ service: "mx", proxyProtocol: ["127.0.0.1"] }],
};

peerTest("swaks says by PROXY, version 1 and 2, whom it stands for", NEEDS, async () => {
  await using posthorn = await PosthornProcess.start(PROXIED);
  const target = to(posthorn.port("mx"), ALICE.address);
  const cases = [
    { version: "1", family: "TCP4", source: "192.0.2.7", dest: "192.0.2.1" },
    { version: "1", family: "TCP6", source: "2001:db8::7", dest: "2001:db8::1" },
    { version: "2", family: "AF_INET", source: "192.0.2.8", dest: "192.0.2.1" },
    { version: "2", family: "AF_INET6", source: "2001:db8::8", dest: "2001:db8::1" },
  ];
  for (const { version, family, source, dest } of cases) {
    const { code, stdout } = await swaks(
      ...target,
      ...["--proxy-version", version, "--proxy-family", family, "--proxy-source", source, "--proxy-dest", dest],
      ...["--proxy-source-port", "40000", "--proxy-dest-port", "25"],
    );
    assertEquals(code, 0, `${version} ${family}\n${stdout}\n${posthorn.log}`);
  }
  const messages = await posthorn.maildir(ALICE.address).waitFor(4, { detail: () => posthorn.log });
  const clients = messages.map(({ text }) => /^Received: from client\.example \(\[(.*?)\]\)/m.exec(text)?.[1]);
  assertEquals(clients.sort(), ["192.0.2.7", "192.0.2.8", "IPv6:2001:db8::7", "IPv6:2001:db8::8"]);
  for (const bad of ["TCP4 192.0.2.7", "SCTP 192.0.2.7 192.0.2.1 1 2", "TCP4 192.0.2.256 192.0.2.1 1 25"]) {
    const { code, stdout } = await swaks(...target, "--proxy", bad);
    assertEquals(code, 6, `${bad}: closed before a banner\n${stdout}`);
  }
});
