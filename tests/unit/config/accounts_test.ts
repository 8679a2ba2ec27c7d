import { assertEquals, assertRejects } from "@std/assert";
import { loadAccounts } from "../../../lib/config/accounts.ts";
import { ConfigError } from "../../../lib/config/errors.ts";
import type { ConfigIo } from "../../../lib/config/source.ts";
import { AccountsFile, HASH, KEYS, SCRAM } from "../../support/accounts_file.ts";

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

Deno.test("Addresses, forward and quota are read, in every form that they may have", async () => {
  await using accounts = new AccountsFile(`alice@example.org:
  addresses: [Al@Example.org, '"a b"@example.org', postmaster@example.org]
  forward: [A.Lice@elsewhere.example, bob@example.org]
  keep_copy: true
  quota: { storage: 2GiB, messages: 100000 }
bob@example.org: { addresses: b@example.org, forward: Bob@elsewhere.EXAMPLE, quota: none }
carol@example.org: { quota: { storage: 1000 }, forward: c@example.net, keep_copy: false }
dave@example.org: { quota: { storage: none, messages: 5 } }
`);
  assertEquals(await accounts.load(), [
    {
      address: "alice@example.org",
      addresses: ["al@example.org", '"a b"@example.org', "postmaster@example.org"],
      forward: { to: ["A.Lice@elsewhere.example", "bob@example.org"], keepsCopy: true },
      quota: { octets: 2 ** 31, messages: 100_000 },
    },
    {
      address: "bob@example.org",
      addresses: ["b@example.org"],
      forward: { to: ["Bob@elsewhere.example"], keepsCopy: false },
      quota: { octets: 0, messages: 0 },
    },
    {
      address: "carol@example.org",
      quota: { octets: 1000 },
      forward: { to: ["c@example.net"], keepsCopy: false },
    },
    { address: "dave@example.org", quota: { octets: 0, messages: 5 } },
  ]);
});

Deno.test("An address leads to one mailbox: another owner, an alias or another spelling is named with its line", async () => {
  await using accounts = new AccountsFile(`alice@example.org: { addresses: [al@example.org, Alice@EXAMPLE.org] }
bob@example.org:
  addresses:
    - AL@example.org
    - sales@example.org
    - alice@example.org
    - b@example.org
    - B@example.org
    - b@example.net
    - b@example.com
    - b
carol@example.org: { addresses: [] }
j\u00fcrgen@example.org: { addresses: [rene\u0301@example.org] }
rex@example.org: { addresses: ["REN\u00c9@example.org", "Ju\u0308rgen@example.org"] }
`);
  const error = await assertRejects(() => accounts.load(), ConfigError);
  const expected = [
    '1:50: accounts.alice@example.org.addresses: "alice@example.org" is the mailbox itself',
    '4:7: accounts.bob@example.org.addresses: "al@example.org" belongs to alice@example.org, in line 1',
    '5:7: accounts.bob@example.org.addresses: "sales@example.org" is in "aliases" of the configuration, too: ' +
    "one of them must go",
    '6:7: accounts.bob@example.org.addresses: "alice@example.org" is a mailbox of its own, in line 1',
    '8:7: accounts.bob@example.org.addresses: "b@example.org" stands in line 7 already',
    '9:7: accounts.bob@example.org.addresses: expected a mailbox of "example.org", because "example.net" is another ' +
    "name of it",
    '10:7: accounts.bob@example.org.addresses: expected a mailbox of one of our domains, found "b@example.com"',
    '11:7: accounts.bob@example.org.addresses: expected a mailbox such as "alice@example.org", found "b"',
    "12:33: accounts.carol@example.org.addresses: expected a list of one or more mailboxes of ours, found an empty list",
    '14:32: accounts.rex@example.org.addresses: "ren\u00e9@example.org" belongs to j\u00fcrgen@example.org, in line 13',
    '14:52: accounts.rex@example.org.addresses: "j\u00fcrgen@example.org" is a mailbox of its own, in line 13',
  ];
  assertEquals(error.message.split("\n"), expected.map((problem) => `${accounts.file}:${problem}`));
});

Deno.test("A forward or quota that makes no sense is refused at its place", async () => {
  await using accounts = new AccountsFile(`alice@example.org: { addresses: [al@example.org], keep_copy: true }
bob@example.org: { forward: [bob@example.net, x@elsewhere.example, x@elsewhere.example, x], keep_copy: "yes" }
carol@example.org: { forward: [] }
dave@example.org: { quota: 2GiB }
erin@example.org: { quota: {} }
frank@example.org: { quota: }
gina@example.org: { quota: { storage: 2GB, messages: x } }
hugo@example.org: { storage: 2GiB }
ivan@example.org: { keep_copies: true }
jane@example.org: { addresses: [j@example.org], forward: J@example.org }
`);
  const error = await assertRejects(() => accounts.load(), ConfigError);
  const expected = [
    "1:62: accounts.alice@example.org.keep_copy: never used without forward",
    '2:30: accounts.bob@example.org.forward: "bob@example.net" is the mailbox itself; "keep_copy: true" keeps a copy in it',
    '2:68: accounts.bob@example.org.forward: "x@elsewhere.example" is given twice',
    '2:89: accounts.bob@example.org.forward: expected a mailbox such as "alice@example.org", found "x"',
    '2:104: accounts.bob@example.org.keep_copy: expected true or false, found "yes"',
    "3:31: accounts.carol@example.org.forward: expected a list of one or more mailboxes, found an empty list",
    '4:28: accounts.dave@example.org.quota: expected a mapping with storage, messages or both, or "none", found "2GiB"',
    '5:28: accounts.erin@example.org.quota: expected a mapping with storage, messages or both, or "none", found nothing',
    '6:29: accounts.frank@example.org.quota: expected a mapping with storage, messages or both, or "none", found nothing',
    '7:39: accounts.gina@example.org.quota.storage: expected a size such as 500MiB or 2GiB, or "none", found "2GB"',
    '7:54: accounts.gina@example.org.quota.messages: expected a number of messages such as 100000, or "none", found "x"',
    '8:21: accounts.hugo@example.org: unknown key "storage": it belongs in "quota"',
    '9:21: accounts.ivan@example.org: unknown key "keep_copies": did you mean "keep_copy"?',
    '10:58: accounts.jane@example.org.forward: "J@example.org" is the mailbox itself; "keep_copy: true" keeps a copy in it',
  ];
  assertEquals(error.message.split("\n"), expected.map((problem) => `${accounts.file}:${problem}`));
});

Deno.test("An account says who keeps its mail; an application needs the secret of the configuration", async () => {
  await using accounts = new AccountsFile(
    `alice@example.org: { via: "lmtp://unix:dovecot-lmtp" }
bob@example.org: { via: "https://app.example/mail" }
carol@example.org: { via: maildir }
`,
  );
  const config = { ...accounts.config, delivery: { tls: "required" as const } };
  const io: ConfigIo = { readText: (path) => Deno.readTextFile(path), env: () => undefined };
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
