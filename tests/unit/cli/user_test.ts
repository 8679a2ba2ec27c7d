import { assertEquals, assertRejects } from "@std/assert";
import { CommandError } from "../../../lib/cli/command_error.ts";
import { UsageError } from "../../../lib/cli/command_line.ts";
import { user } from "../../../lib/cli/user.ts";
import { ConfigError } from "../../../lib/config/errors.ts";
import { DATA_ERROR } from "../../../lib/system/sysexits.ts";
import { HASH, SCRAM } from "../../support/accounts_file.ts";

const ACCOUNTS = `# Our people
alice@example.org: { password: "${HASH}", scram: "${SCRAM}", addresses: [al@example.org] }
bob@example.org: {} # of the workshop
`;
const KNOWN = "a running server knows within 5 s";

/** A configuration with its accounts and mailboxes in a temporary folder. */
class Site implements AsyncDisposable {
  readonly folder: string = Deno.makeTempDirSync();
  readonly file: string = `${this.folder}/posthorn.yaml`;
  readonly accounts: string = `${this.folder}/accounts.yaml`;

  constructor(accounts: string | undefined = ACCOUNTS) {
    Deno.writeTextFileSync(
      this.file,
      "hostname: mail.example.org\ndomains: { example.org: {}, example.net: { alias_of: example.org } }\n" +
        "aliases: { sales@example.org: alice@example.org }\n",
    );
    Deno.writeTextFileSync(this.accounts, accounts);
  }

  /** Runs `user` with these words; `--json` and `--keep-copy` are understood. */
  run(line: string): Promise<string> {
    const words = line.split(" ");
    return user({
      findFile: () => Promise.resolve(this.file),
      words: words.filter((word) => !word.startsWith("--")),
      flags: new Map(words.includes("--keep-copy") ? [["keep-copy", true]] : []),
      isJson: words.includes("--json"),
    });
  }

  /** What a command says that fails for its input, which changes nothing. */
  async failure(line: string): Promise<string> {
    const before = this.text();
    const error = await assertRejects(() => this.run(line), CommandError);
    assertEquals([error.exitCode, this.text()], [DATA_ERROR, before], line);
    return error.message;
  }

  text(): string {
    return Deno.readTextFileSync(this.accounts);
  }

  /** Puts a file into a mailbox. */
  put(path: string, octets: number): void {
    const file = `${this.folder}/data/mail/example.org/${path}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeFileSync(file, new Uint8Array(octets));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("user address, forward, quota and remove say what they did, and change one account in the file", async () => {
  await using site = new Site();
  const said = [];
  for (
    const line of [
      "address bob@example.org add Bobby@Example.org",
      "forward bob@example.org Bob@elsewhere.example alice@example.org --keep-copy",
      "quota bob@example.org 2GiB 100000",
      "address alice@example.org remove AL@example.org",
      "forward alice@example.org a@elsewhere.example",
      "quota alice@example.org none",
    ]
  ) said.push(await site.run(line));
  assertEquals(said, [
    `bob@example.org gets the mail for bobby@example.org, too; ${KNOWN}`,
    "bob@example.org has a new way for its mail: into the mailbox, and on to Bob@elsewhere.example, " +
    `alice@example.org; ${KNOWN}`,
    `bob@example.org has a new quota: 2GiB and 100000 messages; ${KNOWN}`,
    `alice@example.org gets no mail for al@example.org any more; ${KNOWN}`,
    "alice@example.org has a new way for its mail: on to a@elsewhere.example, with no copy in the mailbox; " + KNOWN,
    `alice@example.org has a new quota: no limit; ${KNOWN}`,
  ]);
  assertEquals(
    site.text(),
    `# Our people
alice@example.org: { password: "${HASH}", scram: "${SCRAM}", forward: a@elsewhere.example, quota: none }
bob@example.org: { addresses: [ bobby@example.org ], forward: [ Bob@elsewhere.example, alice@example.org ], ` +
      `keep_copy: true, quota: { storage: 2GiB, messages: 100000 } } # of the workshop
`,
  );
  await site.run("forward bob@example.org off");
  assertEquals(
    [
      await site.run("quota bob@example.org none 5"),
      await site.run("quota bob@example.org default 5"),
      await site.run("quota bob@example.org default"),
    ],
    [
      "any size and 5 messages",
      "5 messages, and for the rest what the configuration says",
      "what the configuration says",
    ].map((quota) => `bob@example.org has a new quota: ${quota}; ${KNOWN}`),
  );
  await site.run("address bob@example.org remove bobby@example.org");
  assertEquals(site.text().split("\n")[2], "bob@example.org: {} # of the workshop");
  assertEquals(
    await site.run("remove bob@example.org"),
    `bob@example.org removed (what is in ${site.folder}/data/mail/example.org/bob stays there); ${KNOWN}`,
  );
});

Deno.test("user show and list tell addresses, forward, quota and login of a mailbox, and never a hash", async () => {
  await using site = new Site();
  site.put("alice/new/1.M1P1.mx,S=1000", 10);
  site.put("alice/cur/2.M1P1.mx,S=2000,W=2050:2,S", 10);
  site.put("alice/cur/3.M1P1.mx:2,S=9", 30);
  site.put("alice/cur/.hidden,S=5", 5);
  site.put("alice/tmp/4.M1P1.mx,S=7", 7);
  site.put("alice/.Junk/cur/5.M1P1.mx,S=400:2,", 4);
  site.put("alice/dovecot.index.log", 5000);
  assertEquals(
    await site.run("show al@example.org"),
    `alice@example.org
  also:     al@example.org
  mail:     into the mailbox
  quota:    as mailboxes.quota of the configuration says
  holds:    4 messages, 3.3 KiB
  login:    password, also with SCRAM`,
  );
  await site.run("forward bob@example.org b@elsewhere.example");
  await site.run("quota bob@example.org 1MiB");
  const alice = {
    address: "alice@example.org",
    addresses: ["al@example.org"],
    forward: null,
    via: "maildir",
    quota: null,
    login: { password: true, scram: true, certificates: 0 },
  };
  const bob = {
    address: "bob@example.org",
    addresses: [],
    forward: { to: ["b@elsewhere.example"], keepCopy: false },
    via: "maildir",
    quota: { storage: 2 ** 20, messages: null },
    login: { password: false, scram: false, certificates: 0 },
  };
  assertEquals(JSON.parse(await site.run("list --json")), [alice, bob]);
  assertEquals(JSON.parse(await site.run("show alice@example.org --json")), {
    ...alice,
    usage: { messages: 4, octets: 3430 },
  });
  assertEquals(JSON.parse(await site.run("show bob@example.org --json")), {
    ...bob,
    usage: { messages: 0, octets: 0 },
  });
  assertEquals(await site.run("list"), "alice@example.org\nbob@example.org");
});

Deno.test("user show and list tell who keeps the mail of an account that has no Maildir here", async () => {
  await using site = new Site(
    `alice@example.org: { via: "lmtp://unix:/run/lmtp" }
bob@example.org: { via: "lmtp://[::1]:24" }
carol@example.org: { via: "https://app.example/mail" }
dora@example.org: { via: maildir }
erin@example.org: {}
`,
  );
  const secret = "mailboxes: { secret: 0123456789abcdef, via: lmtp://127.0.0.1 }\n";
  await Deno.writeTextFile(site.file, secret, { append: true });
  assertEquals(
    await site.run("show alice@example.org"),
    `alice@example.org
  mail:     into the mailbox
  quota:    as mailboxes.quota of the configuration says
  kept by:  lmtp://unix:/run/lmtp
  login:    none of its own`,
  );
  const vias = (JSON.parse(await site.run("list --json")) as { via: string }[]).map(({ via }) => via);
  assertEquals(vias, [
    "lmtp://unix:/run/lmtp",
    "lmtp://[::1]:24",
    "https://app.example/mail",
    "maildir",
    "lmtp://127.0.0.1:24",
  ]);
});

Deno.test("input that does not fit is refused with what is the matter, and nothing is changed", async () => {
  await using site = new Site();
  const failures: Record<string, string> = {
    "show carol@example.org": "there is no mailbox carol@example.org; `posthorn user list` shows those that are there",
    "remove al@example.org": "there is no mailbox al@example.org; it is another address of alice@example.org",
    "remove bob@example.net":
      '"example.net" is an alias of "example.org": name the mailbox there, and mail for both names reaches it',
    "remove alice": '"alice" is not a mailbox address',
    "quota alice@example.com 1GiB": '"example.com" is none of our domains (example.org, example.net)',
    "address bob@example.org add b@example.net":
      '"example.net" is an alias of "example.org": name the mailbox there, and mail for both names reaches it',
    "address bob@example.org add al@example.org":
      "al@example.org is another address of alice@example.org; nothing was changed",
    "address bob@example.org add alice@example.org": "alice@example.org is a mailbox of its own; nothing was changed",
    "address bob@example.org add BOB@example.org": "bob@example.org is the mailbox itself; nothing was changed",
    "address bob@example.org add sales@example.org":
      'sales@example.org is in "aliases" of the configuration; nothing was changed',
    "address alice@example.org add Al@example.org": "alice@example.org has the address al@example.org already",
    "address bob@example.org remove al@example.org":
      "bob@example.org does not have the address al@example.org; `posthorn user show bob@example.org` shows those " +
      "that it has",
    "forward bob@example.org elsewhere": '"elsewhere" is not a mailbox address',
    "forward bob@example.org off x@elsewhere.example": '"off" is not a mailbox address',
    "forward alice@example.org al@example.net":
      'nothing was changed, because the accounts file would be wrong:\naccounts.alice@example.org.forward: "al@example.net" ' +
      'is the mailbox itself; "keep_copy: true" keeps a copy in it',
    "quota bob@example.org 2GB": '"2GB" is no size such as 512MiB or 2GiB, nor "none" or "default"',
    "quota bob@example.org 2GiB many": '"many" is no number of messages such as 100000, nor "none" or "default"',
  };
  for (const [line, message] of Object.entries(failures)) assertEquals(await site.failure(line), message, line);
});

Deno.test("a command line that user does not understand is answered with its usage", async () => {
  await using site = new Site();
  for (
    const line of [
      "ad alice@example.org",
      "add",
      "add alice@example.org bob@example.org",
      "list alice@example.org",
      "show",
      "address alice@example.org al@example.org",
      "address alice@example.org drop al@example.org",
      "forward alice@example.org",
      "forward alice@example.org off --keep-copy",
      "quota alice@example.org",
      "show alice@example.org --keep-copy",
    ]
  ) {
    const error = await assertRejects(() => site.run(line), UsageError);
    assertEquals(error.usage?.startsWith("usage: posthorn [--config FILE] user ACTION"), true, line);
  }
  assertEquals(site.text(), ACCOUNTS);
});

Deno.test("an accounts file that was wrong before is named with its places, and left alone", async () => {
  const text = "alice@example.org: {}\nbob@example.com: {}\n";
  await using site = new Site(text);
  const error = await assertRejects(() => site.run("quota alice@example.org 1GiB"), ConfigError);
  assertEquals(
    error.message,
    `${site.accounts}:2:1: accounts: expected a mailbox of one of our domains, found "bob@example.com"`,
  );
  assertEquals(site.text(), text);
  await site.run("remove bob@example.com");
  assertEquals(site.text(), "alice@example.org: {}\n");
});
