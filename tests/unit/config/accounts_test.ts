import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type AccountChange,
  type AccountChangeResult,
  editAccounts,
  loadAccounts,
} from "../../../lib/config/accounts.ts";
import type { Account } from "../../../lib/config/config.ts";
import { ConfigError } from "../../../lib/config/errors.ts";
import type { ConfigIo } from "../../../lib/config/source.ts";
import { systemFiles } from "../../../lib/system/files.ts";

const HASH = "$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
const OTHER = "$scrypt$ln=15,r=8,p=1$b3RoZXJvdGhlcm90aGVyYQ$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
const SCRAM = `SCRAM-SHA-256$60000:c2FsdHNhbHRzYWx0c2FsdA==$${"A".repeat(43)}=:${"B".repeat(43)}=`;
const KEYS = { passwordHash: HASH, scram: SCRAM };
const OTHER_KEYS = { passwordHash: OTHER, scram: SCRAM.replace("A".repeat(43), "C".repeat(43)) };
const io: ConfigIo = { readText: (path) => Deno.readTextFile(path), env: () => undefined };
const domains = new Map([
  ["example.org", { name: "example.org", dkim: [] }],
  ["example.net", { name: "example.net", aliasOf: "example.org", dkim: [] }],
]);

/** An accounts file in a folder of its own. */
class AccountsFile implements AsyncDisposable {
  readonly folder: string = Deno.makeTempDirSync();
  readonly file: string = `${this.folder}/accounts.yaml`;

  constructor(text?: string) {
    if (text !== undefined) Deno.writeTextFileSync(this.file, text);
  }

  load(): Promise<readonly Account[] | undefined> {
    return loadAccounts({ accountsFile: this.file, domains }, io);
  }

  edit(change: AccountChange): Promise<AccountChangeResult> {
    return editAccounts({ file: this.file, io, files: systemFiles }, change);
  }

  names(): readonly string[] {
    return [...Deno.readDirSync(this.folder)].map(({ name }) => name);
  }

  text(): string {
    return Deno.readTextFileSync(this.file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("Accounts are read in the order of the file, folded, with and without a password", async () => {
  await using accounts = new AccountsFile(
    `Bob@Example.org: { password: "${HASH}", scram: "${SCRAM}" }\nalice@example.org:\n`,
  );
  assertEquals(await accounts.load(), [{ address: "bob@example.org", ...KEYS }, {
    address: "alice@example.org",
  }]);
});

Deno.test("Fingerprints of certificates are read with and without colons, in any case, also where they are all digits", async () => {
  await using accounts = new AccountsFile(
    `alice@example.org: { certificates: ["${"AB:".repeat(31)}Ab", ${"CD".repeat(32)}, ${"12".repeat(32)}] }\n`,
  );
  assertEquals(await accounts.load(), [
    { address: "alice@example.org", certificates: ["ab".repeat(32), "cd".repeat(32), "12".repeat(32)] },
  ]);
});

Deno.test("A missing accounts file is told apart from an empty one", async () => {
  await using missing = new AccountsFile();
  assertEquals(await missing.load(), undefined);
  await using empty = new AccountsFile("# nobody yet\n");
  assertEquals(await empty.load(), []);
});

Deno.test("All problems of an accounts file are listed with their places, and no password is shown", async () => {
  await using accounts = new AccountsFile(`alice@example.org: { password: hunter2 }
bob@example.com: { password: "${HASH}" }
carol@example.net: {}
dave: {}
erin@example.org: { pasword: "hunter2" }
Erin@example.org: {}
gina@example.org: { certificates: [ab, "${"AB:".repeat(31)}AB"] }
frank@example.org: { scram: "SCRAM-SHA-256$1000:aHVudGVyMg==$x:y" }
`);
  const error = await assertRejects(() => accounts.load(), ConfigError);
  const { file } = accounts;
  assertEquals(error.message.split("\n"), [
    `${file}:1:32: accounts.alice@example.org.password: expected a password hash, as "posthorn user password" writes it, ` +
    "found a value that is not shown",
    `${file}:2:1: accounts: expected a mailbox of one of our domains, found "bob@example.com"`,
    `${file}:3:1: accounts: expected a mailbox of "example.org", because "example.net" is another name of it`,
    `${file}:4:1: accounts: expected a mailbox such as "alice@example.org", found "dave"`,
    `${file}:5:21: accounts.erin@example.org: unknown key "pasword": did you mean "password"?`,
    `${file}:6:1: accounts: "Erin@example.org" is the key of line 5 again`,
    `${file}:7:36: accounts.gina@example.org.certificates: expected a SHA-256 fingerprint: 64 hexadecimal digits, ` +
    'also with colons between pairs, found "ab"',
    `${file}:8:29: accounts.frank@example.org.scram: expected a SCRAM verifier, as "posthorn user password" writes it, ` +
    "found a value that is not shown",
  ]);
});

Deno.test("Hashes of other servers are read as they are, and a wrong one is refused with its place", async () => {
  const ssha = "{SSHA}SEcF49OaH3pX7O/t+NjkXH7UVUCRsFo6";
  await using accounts = new AccountsFile(`alice@example.org: { password: "${ssha}" }\n`);
  assertEquals(await accounts.load(), [{ address: "alice@example.org", passwordHash: ssha }]);
  await using wrong = new AccountsFile(`alice@example.org:
  password: "{PLAIN}hunter2"
bob@example.org: &bob
  password: "$2b$17$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq"
carol@example.org: { password: [] }
`);
  const error = await assertRejects(() => wrong.load(), ConfigError);
  const expected = [
    "2:13: accounts.alice@example.org.password: expected a password hash, found {PLAIN}, a password in plain text; " +
    '"posthorn user password" gives the account a new password',
    "4:13: accounts.bob@example.org.password: this bcrypt hash costs too much to check: cost 17, at most 16",
    "5:32: accounts.carol@example.org.password: expected a password hash, found a list",
  ];
  assertEquals(error.message.split("\n"), expected.map((problem) => `${wrong.file}:${problem}`));
});

Deno.test("A scheme in braces without quotes is refused with the advice to quote it", async () => {
  for (const value of ["{SSHA}SEcF49OaH3pX", "{SHA512-CRYPT}$6$ab$jnZj29NS/hK2G"]) {
    for (
      const text of [`\nalice@example.org: { password: ${value} }\n`, `alice@example.org:\n  password: ${value}\n`]
    ) {
      await using accounts = new AccountsFile(text);
      const error = await assertRejects(() => accounts.load(), ConfigError);
      assertEquals(
        error.message.replace(/:2:\d+:/, ":2:"),
        `${accounts.file}:2: YAML syntax: put a value that starts with "{" in quotes`,
      );
    }
  }
});

Deno.test("The first account makes the file, readable by its owner only", async () => {
  await using accounts = new AccountsFile();
  assertEquals(await accounts.edit({ kind: "add", address: "Alice@Example.org", keys: KEYS }), "done");
  assertEquals(await accounts.load(), [{ address: "alice@example.org", ...KEYS }]);
  assertEquals(((await Deno.stat(accounts.file)).mode ?? 0) & 0o777, 0o600);
  assertEquals(accounts.names(), ["accounts.yaml"]);
  assert(accounts.text().includes(`alice@example.org: { password: `), accounts.text());
});

Deno.test("A change keeps comments, order and the other accounts as they were written", async () => {
  await using accounts = new AccountsFile(`# Our people
alice@example.org: { password: "${HASH}" } # since 2026

# left in spring
Bob@example.org:
  password: "${HASH}"
carol@example.org:
`);
  assertEquals(await accounts.edit({ kind: "password", address: "bob@example.org", keys: OTHER_KEYS }), "done");
  assertEquals(await accounts.edit({ kind: "password", address: "carol@example.org", keys: OTHER_KEYS }), "done");
  assertEquals(await accounts.edit({ kind: "add", address: '"d e"@example.org', keys: KEYS }), "done");
  assertEquals(
    accounts.text(),
    `# Our people
alice@example.org: { password: "${HASH}" } # since 2026

# left in spring
Bob@example.org:
  password: "${OTHER}"
  scram: ${OTHER_KEYS.scram}
carol@example.org: { password: "${OTHER}", scram: ${OTHER_KEYS.scram} }
'"d e"@example.org': { password: "${HASH}", scram: ${SCRAM} }
`,
  );
  assertEquals(await accounts.edit({ kind: "remove", address: "ALICE@example.org" }), "done");
  assertEquals((await accounts.load())?.map(({ address }) => address), [
    "bob@example.org",
    "carol@example.org",
    '"d e"@example.org',
  ]);
});

Deno.test("A change that does not fit writes nothing", async () => {
  const text = "alice@example.org:   {}\n";
  await using accounts = new AccountsFile(text);
  assertEquals(await accounts.edit({ kind: "add", address: "alice@EXAMPLE.org" }), "exists");
  assertEquals(await accounts.edit({ kind: "password", address: "bob@example.org", keys: KEYS }), "absent");
  assertEquals(await accounts.edit({ kind: "remove", address: "bob@example.org" }), "absent");
  await assertRejects(
    () => accounts.edit({ kind: "add", address: "bob" }),
    TypeError,
    'Cannot use "bob" as an account',
  );
  assertEquals(accounts.text(), text);
});

Deno.test("A broken accounts file is not overwritten", async () => {
  for (
    const text of ["alice@example.org: {\n", "- alice@example.org\n", "alice@example.org: {}\nalice@example.org: {}\n"]
  ) {
    await using accounts = new AccountsFile(text);
    await assertRejects(() => accounts.edit({ kind: "add", address: "bob@example.org" }), ConfigError);
    assertEquals(accounts.text(), text);
  }
});

Deno.test("A failing fsync leaves the old accounts file in place", async () => {
  await using accounts = new AccountsFile("alice@example.org: {}\n");
  const files = {
    ...systemFiles,
    open: async (path: string, options: Deno.OpenOptions): Promise<Deno.FsFile> => {
      const file = await Deno.open(path, options);
      file.sync = (): Promise<void> => Promise.reject(new Error("Input/output error (os error 5)"));
      return file;
    },
  };
  const change = { kind: "add", address: "bob@example.org" } as const;
  await assertRejects(() => editAccounts({ file: accounts.file, io, files }, change), Error, "os error 5");
  assertEquals(accounts.text(), "alice@example.org: {}\n");
  // What the failure left behind is no obstacle.
  assertEquals(await accounts.edit(change), "done");
});

Deno.test("The finished accounts file is handed on before it takes its place", async () => {
  await using accounts = new AccountsFile();
  const seen: string[] = [];
  const beforePublish = async (temporary: string): Promise<void> => {
    seen.push(await Deno.readTextFile(temporary));
    assertEquals(accounts.names(), ["accounts.yaml.new"]);
  };
  await editAccounts({ file: accounts.file, io, files: systemFiles, beforePublish }, {
    kind: "add",
    address: "a@example.org",
  });
  assertEquals(seen, [accounts.text()]);
});

Deno.test("An account says who keeps its mail; an application needs the secret of the configuration", async () => {
  await using accounts = new AccountsFile(
    `alice@example.org: { via: "lmtp://unix:dovecot-lmtp" }
bob@example.org: { via: "https://app.example/mail" }
carol@example.org: { via: maildir }
`,
  );
  const config = { accountsFile: accounts.file, domains, delivery: { tls: "required" as const } };
  const secret = "0123456789abcdef";
  assertEquals<unknown>(await loadAccounts({ ...config, mailboxes: { secret } }, io), [
    {
      address: "alice@example.org",
      via: { scheme: "lmtp", host: "", port: 0, socketPath: `${accounts.folder}/dovecot-lmtp`, tls: "off" },
    },
    { address: "bob@example.org", via: { scheme: "https", url: "https://app.example/mail", secret } },
    { address: "carol@example.org", via: "maildir" },
  ]);
  const error = await assertRejects(() => loadAccounts(config, io), ConfigError);
  assertEquals(
    error.message,
    `${accounts.file}:2:25: accounts.bob@example.org.via: an application needs the key "mailboxes.secret" of the configuration`,
  );
});
