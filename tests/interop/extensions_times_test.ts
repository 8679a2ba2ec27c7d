/** A sender says when: not before (FUTURERELEASE), not after (DELIVERBY), and what first (MT-PRIORITY). */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { readWithFlufl, readWithSisimai } from "../support/interop/bounce_parsers.ts";
import { startCertified } from "../support/interop/certified.ts";
import { freePort } from "../support/interop/free_port.ts";
import type { Maildir } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { readWithPython, sendWithSmtplib, type SmtplibMessage } from "../support/interop/smtplib.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };

/** A message from Alice. */
function message(
  subject: string,
  to: readonly string[],
  options: Pick<SmtplibMessage, "mail"> = {},
): SmtplibMessage {
  const { octets } = awkwardMessage({ from: ALICE.address, to: to.join(", "), subject, is8bit: false });
  return { from: ALICE.address, to: to.map((address) => [address] as const), content: octets, ...options };
}

/** When the message with a subject came into a Maildir, milliseconds since 1970. */
async function arrivalMs(maildir: Maildir, subject: string, detail: () => string): Promise<number> {
  const name = await waitUntil(async () => {
    const messages = await maildir.messages();
    return messages.find(({ text }) => text.includes(`\r\nSubject: ${subject}\r\n`))?.name;
  }, { what: `"${subject}" in ${maildir.path}`, timeoutMs: 30_000, detail });
  return (await Deno.stat(`${maildir.path}/new/${name}`)).mtime?.getTime() ?? NaN;
}

interface Listed {
  readonly recipients: readonly { readonly nextAttempt: string | null; readonly attempts: number }[];
}

peerTest(
  "What is to be held arrives when its time has come and not before, also after kill -9, and the list of the queue says when",
  ["python", "openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const { posthorn, caFile } = await startCertified(folder.path, { accounts: [ALICE] });
    await using _ = posthorn;
    const detail = (): string => posthorn.log;
    const beginMs = Date.now();
    const untilMs = Math.ceil(beginMs / 1000) * 1000 + 7_000;
    const until = new Date(untilMs).toISOString().replace(".000", "");
    const replies = await sendWithSmtplib({ port: posthorn.port("submission", "implicit"), caFile, login: ALICE }, [
      message("held for three", [ALICE.address], { mail: ["HOLDFOR=3"] }),
      message("held for six", [ALICE.address], { mail: ["HOLDFOR=6"] }),
      message("held until", [ALICE.address], { mail: [`HOLDUNTIL=${until}`] }),
      message("not held", [ALICE.address]),
    ]);
    const sentMs = Date.now();
    assertEquals(replies.filter((reply) => !reply.startsWith("250 2.")), []);

    const maildir = posthorn.maildir(ALICE.address);
    assert(await arrivalMs(maildir, "not held", detail) < beginMs + 3_000);
    const released = await arrivalMs(maildir, "held for three", detail);
    assert(released >= beginMs + 2_990 && released < sentMs + 5_000, `${released - beginMs} ms\n${posthorn.log}`);

    const { stdout } = await posthorn.run(["queue", "list", "--json"]);
    const times = (JSON.parse(stdout) as Listed[]).map(({ recipients: [first] }) => {
      assertEquals(first?.attempts, 0);
      return Date.parse(first?.nextAttempt ?? "");
    }).sort((a, b) => a - b);
    assertEquals(times.length, 2, stdout);
    assert(times.some((time) => time >= beginMs + 6_000 && time <= sentMs + 6_000), stdout);
    assert(times.includes(untilMs), stdout);

    await posthorn.kill("SIGKILL");
    await posthorn.restart();
    const readyMs = Date.now();
    for (const [subject, dueMs] of [["held for six", beginMs + 6_000], ["held until", untilMs]] as const) {
      const arrivedMs = await arrivalMs(maildir, subject, detail);
      assert(arrivedMs >= dueMs - 10, `${subject}: ${arrivedMs - dueMs} ms`);
      assert(arrivedMs < Math.max(sentMs + 6_000, untilMs, readyMs) + 3_000, `${subject}: ${arrivedMs - dueMs} ms`);
    }
    await posthorn.waitForEmptyQueue();
  },
);

peerTest(
  "What must arrive in time goes back when the time is over, and a sender who only wants to know is told once",
  ["python", "openssl", "sisimai", "flufl.bounce"],
  async () => {
    await using hub = await PosthornProcess.start({
      listeners: [{ service: "mx" }],
      config: { hostname: "hub.example", domains: { "hub.example": {} } },
    });
    await using folder = await TemporaryFolder.create();
    const { posthorn, caFile } = await startCertified(folder.path, {
      accounts: [ALICE],
      config: {
        routes: [
          { domain: "down.example", via: `smtp://127.0.0.1:${freePort()}` },
          { domain: "hub.example", via: `smtp://127.0.0.1:${hub.port("mx")}` },
        ],
        queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
      },
    });
    await using _ = posthorn;
    const detail = (): string => posthorn.log;
    const beginMs = Date.now();
    const replies = await sendWithSmtplib({ port: posthorn.port("submission", "implicit"), caFile, login: ALICE }, [
      message("back in three", ["bob@down.example"], { mail: ["BY=3;R"] }),
      message("tell after two", ["carol@down.example"], { mail: ["BY=2;N"] }),
      message("no promise there", ["dave@hub.example"], { mail: ["BY=300;R"] }),
    ]);
    assertEquals(replies.filter((reply) => !reply.startsWith("250 2.")), []);

    const maildir = posthorn.maildir(ALICE.address);
    await maildir.waitFor(3, { timeoutMs: 30_000, detail });
    assert(Date.now() - beginMs < 12_000, `${Date.now() - beginMs} ms`);
    const files = (await maildir.names()).map((name) => `${maildir.path}/new/${name}`);
    const bounces = (await Promise.all(files.map(readWithSisimai))).flat();
    assertEquals(
      bounces.map(({ recipient, action, status }) => `${recipient} ${action} ${status}`).sort(),
      ["bob@down.example failed 5.4.7", "carol@down.example delayed 4.4.1", "dave@hub.example failed 5.3.3"],
      bounces.map(({ diagnostic }) => diagnostic).join("\n"),
    );
    assertEquals(
      (await Promise.all(files.map(readWithFlufl))).flat().sort(),
      ["bob@down.example", "dave@hub.example"],
    );

    // Two more attempts, and no second warning.
    const attempts = (): number => posthorn.log.split("delayed for carol@down.example").length - 1;
    const before = attempts();
    await waitUntil(() => attempts() >= before + 2 ? true : undefined, { what: "more attempts", detail });
    assertEquals((await maildir.names()).length, 3);
    assertEquals((await posthorn.queueFiles()).length, 1);
  },
);

peerTest(
  "The time that is left goes along with the message, and each relay that was asked to be shown reports",
  ["python", "openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const alicePort = freePort();
    const account = { address: "branch@hub.example", password: "another password" };
    await using hub = await PosthornProcess.start({
      accounts: [account],
      listeners: [{ service: "submission" }],
      config: {
        hostname: "hub.example",
        domains: { "hub.example": {} },
        submission: { senders: "any" },
        routes: [
          { domain: "down.example", via: `smtp://127.0.0.1:${freePort()}` },
          { domain: "example.org", via: `smtp://127.0.0.1:${alicePort}` },
        ],
        queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
      },
    });
    const { posthorn, caFile } = await startCertified(folder.path, {
      accounts: [ALICE],
      listeners: [{ service: "mx", port: alicePort }, { service: "submission", tls: "implicit" }],
      config: {
        routes: [{
          domain: "*",
          via: `smtp://127.0.0.1:${hub.port("submission")}`,
          username: account.address,
          password: account.password,
          tls: "opportunistic",
        }],
      },
    });
    await using _ = posthorn;
    await sendWithSmtplib({ port: posthorn.port("submission", "implicit"), caFile, login: ALICE }, [
      message("back in three", ["bob@down.example"], { mail: ["BY=4;RT"] }),
    ]);
    const maildir = posthorn.maildir(ALICE.address);
    await maildir.waitFor(2, { timeoutMs: 30_000, detail: () => `${posthorn.log}\n${hub.log}` });
    const files = (await maildir.names()).map((name) => `${maildir.path}/new/${name}`);
    const reports = await Promise.all(files.map(readWithPython));
    const lines = reports.map(({ message, recipients: [first] }) =>
      `${message["reporting-mta"]} ${first?.["final-recipient"]} ${first?.["action"]} ${first?.["status"]}`
        .replaceAll(/;\s+/g, ";")
    );
    assertEquals(lines.sort(), [
      "dns;hub.example rfc822;bob@down.example failed 5.4.7",
      "dns;mail.example.org rfc822;bob@down.example relayed 2.0.0",
    ]);
  },
);

peerTest(
  "High priority goes first to a slow destination; without a login none is above the others",
  ["python", "openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const gate = Promise.withResolvers<undefined>();
    await using sink = new SmtpSink({ reply: ({ kind }) => kind === "mail" ? gate.promise : undefined });
    const { posthorn, caFile } = await startCertified(folder.path, {
      accounts: [ALICE],
      listeners: [{ service: "submission" }, { service: "submission", tls: "implicit" }],
      config: {
        relay_from: ["127.0.0.0/8"],
        delivery: { per_destination: 1 },
        routes: [{ domain: "slow.example", via: `smtp://127.0.0.1:${sink.port}` }],
      },
    });
    await using _ = posthorn;
    const to = (name: string, mail: readonly string[] = []): SmtplibMessage =>
      message(name, [`${name}@slow.example`], { mail });
    const names = Array.from({ length: 6 }, (_, number) => `normal-${number}`);
    const logged = [
      to("first"),
      ...names.map((name) => to(name)),
      to("low", ["MT-PRIORITY=-4"]),
      to("high-1", ["MT-PRIORITY=3"]),
      to("higher", ["MT-PRIORITY=9"]),
      to("high-2", ["MT-PRIORITY=3"]),
    ];
    const port = posthorn.port("submission", "implicit");
    const replies = await sendWithSmtplib({ port, caFile, login: ALICE }, logged);
    assertEquals(replies.filter((reply) => reply.startsWith("250 2.0.0 Queued")).length, logged.length);
    const [reply] = await sendWithSmtplib({ port: posthorn.port("submission") }, [to("stranger", ["MT-PRIORITY=9"])]);
    assertMatch(reply ?? "", /^250 2\.3\.6 0 is the priority/);
    gate.resolve(undefined);
    await posthorn.waitForEmptyQueue(30_000);
    assertEquals(
      sink.messages.flatMap(({ recipients }) => recipients).map((address) => address.replace("@slow.example", "")),
      ["first", "higher", "high-1", "high-2", ...names, "stranger", "low"],
    );
  },
);
