import { assert, assertEquals, assertRejects } from "@std/assert";
import { AccountsInUseError } from "../../../lib/config/accounts_lock.ts";
import { editAccounts } from "../../../lib/config/edit_accounts.ts";
import { ConfigError } from "../../../lib/config/errors.ts";
import { systemClock } from "../../../lib/system/clock.ts";
import { systemFiles } from "../../../lib/system/files.ts";
import { AccountsFile, HASH, io, KEYS, OTHER, OTHER_KEYS, SCRAM } from "../../support/accounts_file.ts";

Deno.test("The first account makes the file, readable by its owner only", async () => {
  await using accounts = new AccountsFile();
  assertEquals(await accounts.edit({ kind: "add", address: "Alice@Example.org", keys: KEYS }), "done");
  assertEquals(await accounts.load(), [{ address: "alice@example.org", ...KEYS }]);
  assertEquals(((await Deno.stat(accounts.file)).mode ?? 0) & 0o777, 0o600);
  assertEquals(accounts.names(), ["accounts.yaml", "accounts.yaml.lock"]);
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
  await assertRejects(
    () => editAccounts({ config: accounts.config, io, files, clock: systemClock }, change),
    Error,
    "os error 5",
  );
  assertEquals(accounts.text(), "alice@example.org: {}\n");
  // What the failure left behind is no obstacle.
  assertEquals(await accounts.edit(change), "done");
});

Deno.test("The finished accounts file is handed on before it takes its place, and the lock file when it is made", async () => {
  await using accounts = new AccountsFile();
  const seen: string[] = [];
  const giveToUser = async (path: string): Promise<void> => {
    seen.push(path.slice(accounts.folder.length + 1), await Deno.readTextFile(path));
    assertEquals(accounts.names().includes("accounts.yaml"), false);
  };
  const options = { config: accounts.config, io, files: systemFiles, clock: systemClock, giveToUser };
  await editAccounts(options, { kind: "add", address: "a@example.org" });
  assertEquals(seen, ["accounts.yaml.lock", "", "accounts.yaml.new", accounts.text()]);
});

Deno.test("Addresses come and go, and the list with the last one; the rest of the file stays as it was written", async () => {
  const text = `# Our people
alice@example.org:
  password: "${HASH}" # since 2026
  addresses:
    # old names of hers
    - al@example.org # the first

    - Lise@example.org
bob@example.org: { addresses: b@example.org }
carol@example.org:
`;
  await using accounts = new AccountsFile(text);
  const add = (address: string, other: string): Promise<unknown> =>
    accounts.edit({ kind: "add-address", address, other });
  const remove = (address: string, other: string): Promise<unknown> =>
    accounts.edit({ kind: "remove-address", address, other });
  assertEquals(await add("alice@example.org", "Liese@Example.org"), "done");
  assertEquals(await add("alice@example.org", "LISE@example.org"), "has-address");
  assertEquals(await add("bob@example.org", "bobby@example.org"), "done");
  assertEquals(await add("carol@example.org", "c@example.org"), "done");
  assertEquals(await add("dave@example.org", "d@example.org"), "absent");
  assertEquals(await remove("carol@example.org", "b@example.org"), "no-address");
  assertEquals(
    accounts.text(),
    text.replace("    - Lise@example.org\n", "    - Lise@example.org\n    - liese@example.org\n")
      .replace("{ addresses: b@example.org }", "{ addresses: [ b@example.org, bobby@example.org ] }")
      .replace("carol@example.org:", "carol@example.org: { addresses: [ c@example.org ] }"),
  );
  assertEquals(await remove("alice@example.org", "lise@example.org"), "done");
  assertEquals(await remove("carol@example.org", "C@example.org"), "done");
  assertEquals((await accounts.load())?.map(({ addresses }) => addresses), [
    ["al@example.org", "liese@example.org"],
    ["b@example.org", "bobby@example.org"],
    undefined,
  ]);
});

Deno.test("A forward and a quota are set, changed and taken away again, without a trace in the file", async () => {
  const text = `alice@example.org: {} # hers\nbob@example.org: { forward: bob@elsewhere.example, keep_copy: false }\n`;
  await using accounts = new AccountsFile(text);
  const address = "alice@example.org";
  const lines: string[] = [];
  const note = (): number => lines.push(accounts.text().split("\n")[0] ?? "");
  for (
    const forward of [
      { to: ["A@elsewhere.example"], keepsCopy: false },
      { to: ["A@elsewhere.example", "bob@example.org"], keepsCopy: true },
      undefined,
    ]
  ) {
    assertEquals(await accounts.edit({ kind: "forward", address, forward }), "done");
    note();
    assertEquals((await accounts.load())?.[0], { address, ...(forward === undefined ? {} : { forward }) });
  }
  for (
    const quota of [
      { octets: 2 ** 31, messages: 100_000 },
      { octets: 1_000 },
      { octets: 0, messages: 0 },
      { octets: 0, messages: 5 },
      undefined,
    ]
  ) {
    assertEquals(await accounts.edit({ kind: "quota", address, quota }), "done");
    note();
    assertEquals((await accounts.load())?.[0], { address, ...(quota === undefined ? {} : { quota }) });
  }
  assertEquals(lines, [
    "alice@example.org: { forward: A@elsewhere.example } # hers",
    "alice@example.org: { forward: [ A@elsewhere.example, bob@example.org ], keep_copy: true } # hers",
    "alice@example.org: {} # hers",
    "alice@example.org: { quota: { storage: 2GiB, messages: 100000 } } # hers",
    'alice@example.org: { quota: { storage: "1000" } } # hers',
    "alice@example.org: { quota: none } # hers",
    "alice@example.org: { quota: { storage: none, messages: 5 } } # hers",
    "alice@example.org: {} # hers",
  ]);
  const forward = { to: ["bob@elsewhere.example"], keepsCopy: true };
  await accounts.edit({ kind: "forward", address: "bob@example.org", forward });
  assertEquals(accounts.text(), text.replace("keep_copy: false", "keep_copy: true"));
});

Deno.test("A change that would make the file wrong is refused with what would be wrong, and writes nothing", async () => {
  const text = "alice@example.org: { addresses: [ al@example.org ] }\nbob@example.org: {}\n";
  await using accounts = new AccountsFile(text);
  const add = (other: string): Promise<unknown> =>
    accounts.edit({ kind: "add-address", address: "bob@example.org", other });
  const path = "accounts.bob@example.org";
  assertEquals(await add("Alice@example.org"), {
    refused: [`${path}.addresses: "alice@example.org" is a mailbox of its own, in line 1`],
  });
  assertEquals(await add("al@example.org"), {
    refused: [`${path}.addresses: "al@example.org" belongs to alice@example.org, in line 1`],
  });
  assertEquals(await add("sales@example.org"), {
    refused: [`${path}.addresses: "sales@example.org" is in "aliases" of the configuration, too: one of them must go`],
  });
  assertEquals(await accounts.edit({ kind: "add", address: "al@example.org" }), {
    refused: ['accounts.alice@example.org.addresses: "al@example.org" is a mailbox of its own, in line 3'],
  });
  const forward = { to: ["bob@example.net"], keepsCopy: false };
  assertEquals(await accounts.edit({ kind: "forward", address: "bob@example.org", forward }), {
    refused: [`${path}.forward: "bob@example.net" is the mailbox itself; "keep_copy: true" keeps a copy in it`],
  });
  assertEquals(accounts.text(), text);
});

Deno.test("A file that was wrong before is not changed unless the change mends it, and its own problems are named", async () => {
  await using accounts = new AccountsFile("alice@example.org: {}\nbob@example.com: {}\n");
  const add = { kind: "add", address: "carol@example.org" } as const;
  const error = await assertRejects(() => accounts.edit(add), ConfigError);
  assertEquals(
    error.message,
    `${accounts.file}:2:1: accounts: expected a mailbox of one of our domains, found "bob@example.com"`,
  );
  assertEquals(await accounts.edit({ kind: "remove", address: "bob@example.com" }), "done");
  assertEquals(await accounts.edit(add), "done");
  assertEquals(accounts.text(), "alice@example.org: {}\ncarol@example.org: {}\n");
});

Deno.test("Accounts that share a part of the file (an anchor) are changed one by one", async () => {
  await using accounts = new AccountsFile(
    "alice@example.org: &staff { quota: { storage: 1GiB } }\nbob@example.org: *staff\ncarol@example.org: *staff\n",
  );
  const forward = { to: ["bob@elsewhere.example"], keepsCopy: true };
  assertEquals(await accounts.edit({ kind: "forward", address: "bob@example.org", forward }), "done");
  const quota = { octets: 2 ** 30 };
  assertEquals(await accounts.load(), [
    { address: "alice@example.org", quota },
    { address: "bob@example.org", quota, forward },
    { address: "carol@example.org", quota },
  ]);
  assertEquals(await accounts.edit({ kind: "remove", address: "alice@example.org" }), {
    refused: ["another account uses a part of this one (a YAML anchor)"],
  });
});

Deno.test("A hash in a file of its own stays there when other things are changed", async () => {
  await using accounts = new AccountsFile("alice@example.org: { password: !file alice.hash }\n");
  await Deno.writeTextFile(`${accounts.folder}/alice.hash`, `${HASH}\n`);
  const quota = { messages: 7 };
  assertEquals(await accounts.edit({ kind: "quota", address: "alice@example.org", quota }), "done");
  assertEquals(
    accounts.text(),
    "alice@example.org: { password: !file alice.hash, quota: { messages: 7 } }\n",
  );
});

Deno.test("Of two changes at the same moment none is lost", async () => {
  await using accounts = new AccountsFile();
  const addresses = Array.from({ length: 5 }, (_, i) => `user${i}@example.org`);
  const results = await Promise.all(addresses.map((address) => accounts.edit({ kind: "add", address })));
  assertEquals(results, addresses.map(() => "done"));
  assertEquals((await accounts.load())?.map(({ address }) => address).sort(), addresses);
});

Deno.test("A change waits no longer than 10 s for another command that hangs", async () => {
  await using accounts = new AccountsFile("alice@example.org: {}\n");
  let slept = 0;
  const sleep = (ms: number): Promise<void> => Promise.resolve(void (slept += ms));
  const clock = { now: () => slept, monotonic: () => slept, sleep };
  const locked = { tryLock: () => Promise.resolve(false), close: () => {} } as unknown as Deno.FsFile;
  const files = { ...systemFiles, open: () => Promise.resolve(locked) };
  const change = { kind: "add", address: "bob@example.org" } as const;
  await assertRejects(
    () => editAccounts({ config: accounts.config, io, files, clock }, change),
    AccountsInUseError,
    "another command has been changing it for 10 s",
  );
  assertEquals(slept, 10_000);
});
